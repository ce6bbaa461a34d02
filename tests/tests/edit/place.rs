//! Where values are edited: a member, and a script for an editor.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kvorum_tests::cluster::Cluster;
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd};
use kvorum_tests::{binary, or_skip};
use tempfile::TempDir;

pub(crate) struct Outcome {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

/// A member, and a folder for what editors are given.
pub(crate) struct Place {
    names: Names,
    pub(crate) cluster: Cluster,
    /// The id of the member's process.
    pub(crate) server: u32,
    /// The script and whatever it leaves for the test.
    pub(crate) folder: TempDir,
    /// Where drafts are.
    drafts: TempDir,
}

impl Place {
    fn at(server: &Program, names: Names) -> Place {
        let temporary = || tempfile::tempdir().expect("a temporary folder can be made");
        let mut cluster = Cluster::start(server, 1);
        let server = cluster.members[0].running().id();
        Place { names, cluster, server, folder: temporary(), drafts: temporary() }
    }

    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        let mut command = self.names.kvorum().command();
        command.args(["--endpoints", &self.cluster.endpoints()]).args(args);
        self.outcome(command)
    }

    /// Runs a line of a shell that finds `kvorum`.
    pub(crate) fn paste(&self, line: &str) -> Outcome {
        let kvorum = self.names.kvorum().command();
        let mut command = Command::new("bash");
        for (name, value) in kvorum.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let folder = Path::new(kvorum.get_program()).parent().expect("it is in a folder");
        let path = std::env::var("PATH").expect("there is a PATH");
        command.env("PATH", format!("{}:{path}", folder.display())).args(["-c", line]);
        self.outcome(command)
    }

    fn outcome(&self, mut command: Command) -> Outcome {
        command.env("EDITOR", self.folder.path().join("editor")).env("TMPDIR", self.drafts.path());
        let output = command.stdin(Stdio::null()).output().expect("kvorum runs");
        Outcome {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().expect("kvorum is not killed"),
        }
    }

    pub(crate) fn say(&self, args: &[&str]) -> String {
        let outcome = self.run(args);
        assert_eq!(outcome.code, 0, "{args:?}: {}", outcome.stderr);
        outcome.stdout
    }

    /// Edits with a script for an editor: `$1` is the file, `kvorum` the program at this cluster,
    /// `$here` a folder of the test's own.
    pub(crate) fn edit(&self, args: &[&str], script: &str) -> Outcome {
        self.take_for_an_editor(script);
        self.run(&[&["edit"], args].concat())
    }

    pub(crate) fn take_for_an_editor(&self, script: &str) {
        let kvorum = self.names.kvorum().command().get_program().to_owned();
        let text = format!(
            "#!/bin/sh\nhere='{}'\nkvorum() {{ '{}' --endpoints {} \"$@\" >/dev/null; }}\n\
             {script}\n",
            self.folder.path().display(),
            kvorum.display(),
            self.cluster.endpoints()
        );
        let path = self.folder.path().join("editor");
        fs::write(&path, text).expect("the script can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be run");
    }

    pub(crate) fn value(&self, key: &str) -> String {
        self.say(&["get", "-o", "raw", "--reveal", "--", key])
    }

    pub(crate) fn field(&self, key: &str, field: &str) -> String {
        self.say(&["get", key, "-o", &format!("jsonpath={{.kvs[0].{field}}}")]).trim().to_owned()
    }

    /// Runs the command of a hint as a person pastes it, with another script for an editor.
    pub(crate) fn go_on(&self, outcome: &Outcome, script: &str) -> Outcome {
        let at = outcome.stderr.rfind("kvorum edit ");
        let at = at.unwrap_or_else(|| panic!("no command: {}", outcome.stderr));
        self.take_for_an_editor(script);
        self.paste(outcome.stderr[at..].trim())
    }

    /// The drafts that were left, and what is in them.
    pub(crate) fn left(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(self.drafts.path()).expect("the folder can be read");
        let folders = entries.map(|entry| entry.expect("an entry can be read").path());
        let files = folders.flat_map(|folder| fs::read_dir(folder).expect("a draft's folder"));
        let paths = files.map(|file| file.expect("an entry can be read").path());
        paths.map(|path| (path.clone(), fs::read(path).expect("a draft can be read"))).collect()
    }

    pub(crate) fn put(&self, key: &str, value: &str) {
        self.say(&["put", "--", key, value]);
    }
}

/// Runs on our server and on Debian's etcd.
pub(crate) fn on_both(test: fn(&Place)) {
    let names = Names::of(binary!());
    test(&Place::at(&names.server(), names));
    let etcd = or_skip!(real_etcd(), NO_ETCD);
    test(&Place::at(&etcd, Names::of(binary!())));
}
