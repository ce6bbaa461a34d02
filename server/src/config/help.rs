//! What `--help` says.

/// The flags, their defaults and what they mean; `program` is how the server was called.
pub fn help(program: &str) -> String {
    format!("{USAGE}{FLAGS}").replace("PROGRAM", program)
}

const USAGE: &str = "\
Usage:

  PROGRAM [flags]
    Start a member of a cluster, etcd's flags with one dash or two.

  PROGRAM --version
    Show the versions.

Every flag can be set by a variable: --listen-client-urls by ETCD_LISTEN_CLIENT_URLS.

";

const FLAGS: &str = "\
Member:
  --name 'default'
    Name of this member, unique in its cluster.
  --data-dir '${name}.etcd'
    Folder for everything the member keeps.
  --listen-peer-urls 'http://localhost:2380'
    Where to listen for other members.
  --listen-client-urls 'http://localhost:2379'
    Where to listen for clients.
  --heartbeat-interval '100'
    Milliseconds between a leader's heartbeats.
  --election-timeout '1000'
    Milliseconds without a leader before an election; at least five heartbeats.
  --snapshot-count '10000'
    Applied entries after which the log is cut.
  --snapshot-catchup-entries '5000'
    Entries that a cut leaves for members a little behind.
  --max-request-bytes '1572864'
    Largest request a client may send, in bytes.
  --max-txn-ops '128'
    Most operations in a transaction.
  --max-concurrent-streams '4294967295'
    Most concurrent streams of one client connection.
  --watch-progress-notify-interval '10m'
    How often a watch that asked for it hears of progress.
  --quota-backend-bytes '0'
    Live bytes beyond which writes are refused; 0 is 2 GiB, a negative number no limit.
  --auto-compaction-mode 'periodic'
    'periodic' keeps the history of a time, 'revision' that of a number of revisions.
  --auto-compaction-retention '0'
    How much history is kept: 30m, 2h (a plain number means hours), or revisions; 0 keeps all.

Cluster:
  --initial-advertise-peer-urls 'http://localhost:2380'
    This member's peer URLs, as the other members dial them.
  --advertise-client-urls 'http://localhost:2379'
    This member's client URLs, as clients dial them.
  --initial-cluster 'default=http://localhost:2380'
    Names and peer URLs of all members of a new cluster; ignored on a restart.
  --initial-cluster-state 'new'
    'new' when the cluster is born; ignored on a restart.
  --initial-cluster-token 'etcd-cluster'
    Keeps clusters with equal URLs apart; ignored on a restart.

Logging:
  --log-level 'info'
    One of debug, info, warn, error, panic, fatal.
  --log-format 'json'
    'json', or 'console' for people.
";
