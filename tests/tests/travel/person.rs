//! Somebody who types commands.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use kvorum_tests::cluster::Cluster;
use kvorum_tests::keyspace::Keyspace;
use kvorum_tests::program::{Names, Program};
use kvorum_tests::{binary, slow};
use tempfile::TempDir;

/// A person with a home, at one cluster.
pub(crate) struct Person {
    pub(crate) kvorum: Program,
    pub(crate) home: TempDir,
    pub(crate) endpoint: String,
    /// The same, over a slow line.
    pub(crate) far: String,
}

/// Keys of a plan that is stopped: eight transactions.
pub(crate) const KEYS: usize = 1000;

/// Long enough to come in between two transactions, whatever else the machine does.
const ROUND_TRIP: Duration = Duration::from_millis(20);

/// A member with so many keys, and somebody with a slow line to it.
pub(crate) fn far_from_many(server: &Program) -> (Cluster, Keyspace, Person) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    keyspace.fill(KEYS);
    let port = cluster.members[0].client_port();
    let far = slow::line_to(port, ROUND_TRIP / 2).expect("a port can be had");
    let person = Person { far, ..Person::at(&cluster.endpoints()) };
    (cluster, keyspace, person)
}

impl Person {
    pub(crate) fn at(endpoint: &str) -> Person {
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        let kvorum = Names::of(binary!()).kvorum();
        Person { kvorum, home, endpoint: endpoint.to_owned(), far: endpoint.to_owned() }
    }

    /// A command that takes its time, and has begun.
    pub(crate) fn begins_far_away(&self, words: &[&str]) -> Child {
        let mut command = self.kvorum.command();
        command.env("HOME", self.home.path()).args(["--endpoints", &self.far]).args(words);
        command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("kvorum runs")
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.kvorum.command();
        command.env("HOME", self.home.path()).args(["--endpoints", &self.endpoint]).args(words);
        command
    }

    pub(crate) fn runs(&self, words: &[&str]) -> Output {
        self.command(words).stdin(Stdio::null()).output().expect("kvorum runs")
    }

    /// A file in their home.
    pub(crate) fn file(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    pub(crate) fn says(&self, words: &[&str]) -> String {
        let output = self.runs(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).expect("it is text")
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
