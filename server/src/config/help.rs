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
    Where to listen for clients; http, https, unix or unixs.
  --listen-client-http-urls ''
    Where to listen for clients' HTTP; those above then serve gRPC only.
  --listen-metrics-urls ''
    Where to listen for /metrics and /health besides.
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
  --max-concurrent-streams '2000'
    Most concurrent streams of one client connection; 0 is no limit.
  --watch-progress-notify-interval '10m'
    How often a watch that asked for it hears of progress.
  --quota-backend-bytes '0'
    Live bytes beyond which writes are refused; 0 is 2 GiB, a negative number no limit.
  --auto-compaction-mode 'periodic'
    'periodic' keeps the history of a time, 'revision' that of a number of revisions.
  --auto-compaction-retention '0'
    How much history is kept: 30m, 2h (a plain number means hours), or revisions; 0 keeps all.

HTTP:
  --enable-grpc-gateway 'true'
    Serve every method in JSON under /v3/.
  --cors '*'
    Origins whose pages may read answers in a browser, between commas.
  --host-whitelist '*'
    Names by which this member may be asked without TLS, between commas.
  --metrics 'basic'
    'extensive' adds to /metrics how long the calls of each method took.

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

Security:
  --cert-file '', --key-file ''
    Certificate shown to clients, and its key; PEM, read again when they change. Certificates, also
    those of clients, are of X.509 version 3, with keys that are RSA, Ed25519, P-256 or P-384.
  --client-cert-auth 'false'
    Clients must show a certificate; its common name is a user.
  --trusted-ca-file ''
    Authorities of the clients' certificates; given alone, it demands one as well.
  --client-crl-file ''
    Certificates that are revoked; DER or PEM.
  --client-cert-allowed-hostname ''
    Names of which a client's certificate must be valid for one, separated by commas.
  --client-cert-file '', --client-key-file ''
    As etcd has them: certificate and key for a client of this member itself.
  --auto-tls 'false'
    Make a certificate for clients if none is given.
  --peer-cert-file '', --peer-key-file ''
    Certificate shown to other members, and its key.
  --peer-client-cert-file '', --peer-client-key-file ''
    The same for members this one dials, if it is to be another.
  --peer-client-cert-auth 'false'
    Other members must show a certificate.
  --peer-trusted-ca-file ''
    Authorities of the members' certificates.
  --peer-crl-file ''
    Members' certificates that are revoked.
  --peer-cert-allowed-cn '', --peer-cert-allowed-hostname ''
    Common names, or names, that members' certificates may have.
  --peer-skip-client-san-verification 'false'
    Let members come from addresses that their certificates do not name.
  --peer-auto-tls 'false'
    Make a certificate for other members if none is given; who they are is not verified.
  --self-signed-cert-validity '1'
    Years that a certificate made here is good for.
  --tls-min-version 'TLS1.2', --tls-max-version ''
    TLS1.2 or TLS1.3.
  --cipher-suites ''
    Cipher suites of TLS 1.2 by Go's names, separated by commas.
  --grpc-keepalive-min-time '5s'
    Least time between two pings of a client.
  --grpc-keepalive-interval '2h0m0s', --grpc-keepalive-timeout '20s'
    When a silent client is asked whether it is there, and how long it has to answer.
Auth:
  --auth-token 'simple'
    What stands for a user who gave a password: 'simple', or signed tokens by
    'jwt,sign-method=<method>,pub-key=<file>,priv-key=<file>,ttl=10m'.
  --auth-token-ttl '300'
    Seconds a simple token lives after its last use.
  --bcrypt-cost '10'
    Work of hashing a password, 4 to 31; one more is twice as much.

Logging:
  --log-level 'info'
    One of debug, info, warn, error, panic, fatal.
  --log-format 'json'
    'json', or 'console' for people.
";
