//! Somebody who types commands.

use std::process::{Child, Command, Output, Stdio};

use kvorum_tests::binary;
use kvorum_tests::program::{Names, Program};
use tempfile::TempDir;

/// A person with a home, at one cluster.
pub(crate) struct Person {
    pub(crate) kvorum: Program,
    pub(crate) home: TempDir,
    pub(crate) endpoint: String,
    /// The same, over a slow line.
    pub(crate) far: String,
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

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
