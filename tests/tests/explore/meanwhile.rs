//! What happens to a cluster while it is read: the reader holds the scan up by not reading on.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Stdio};

use kvorum_tests::binary;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::keyspace::Keyspace;
use kvorum_tests::program::{Names, Program};

const KEYS: usize = 100_000;

/// With names this long, far more than what a pipe, a connection and two pages hold.
const MORE: usize = 150;

/// A tree of which only the first line was read so far.
struct Held {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Held {
    fn begin(endpoints: &str) -> Held {
        let kvorum = Names::of(binary!()).kvorum();
        let mut command = kvorum.command();
        command.args(["--endpoints", endpoints, "tree", "--depth", "0", "/many/"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kvorum runs");
        let mut out = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let mut line = String::new();
        out.read_line(&mut line).expect("a line comes");
        assert_eq!(line, "0/\n");
        Held { child, out }
    }

    /// Reads the rest: every key must be there once. Gives what was said on the side.
    fn rest(mut self) -> String {
        let lines = self.out.lines().map(|line| line.expect("a line is text"));
        let keys: Vec<String> = lines.filter(|line| line.starts_with("  key-")).collect();
        assert_eq!(keys.len(), KEYS);
        let mut said = String::new();
        let mut err = self.child.stderr.take().expect("it is a pipe");
        err.read_to_string(&mut said).expect("it is text");
        assert!(self.child.wait().expect("it ends").success(), "{said}");
        said
    }
}

pub(crate) fn a_member_is_lost(server: &Program) {
    let mut cluster = Cluster::start(server, 3);
    let keyspace = Keyspace::of(&cluster);
    keyspace.fill_with(KEYS, MORE);
    let held = Held::begin(&cluster.endpoints());
    cluster.members[0].kill();
    assert_eq!(held.rest(), "");
}

pub(crate) fn history_is_given_up(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    keyspace.fill_with(KEYS, MORE);
    let held = Held::begin(&cluster.endpoints());
    keyspace.put(format!("/many/0/key-000000{}", "x".repeat(MORE)), "again");
    keyspace.compact();
    let said = held.rest();
    // Who streams a range holds on to what was there when it began.
    let told =
        said.starts_with("the history was compacted meanwhile: this is of revision 1001 and");
    assert!(said.is_empty() || told, "{said}");
    assert!(told || keyspace.streams(), "{said}");
}
