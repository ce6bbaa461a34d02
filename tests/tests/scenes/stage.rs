//! Where a scene is played: a cluster, the program, and a folder for what its processes leave.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use kvorum_tests::cluster::Cluster;
use kvorum_tests::etcdctl::Outcome;
use kvorum_tests::process::Process;
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd};
use kvorum_tests::wait::until;
use kvorum_tests::{binary, or_skip};
use tempfile::TempDir;

/// How long something that must happen may take.
pub(crate) const WITHIN: Duration = Duration::from_secs(20);

pub(crate) struct Stage {
    pub(crate) names: Names,
    pub(crate) cluster: Cluster,
    pub(crate) folder: TempDir,
}

/// Plays a scene on our server and at the same time on Debian's etcd, with so many members: most of
/// it is waiting.
pub(crate) fn on_both(members: usize, scene: impl Fn(Stage) + Sync) {
    thread::scope(|scope| {
        scope.spawn(|| scene(Stage::ours(members)));
        let etcd = or_skip!(real_etcd(), NO_ETCD);
        scene(Stage::at(&etcd, Names::of(binary!()), members));
    });
}

impl Stage {
    pub(crate) fn ours(members: usize) -> Stage {
        let names = Names::of(binary!());
        Stage::at(&names.server(), names, members)
    }

    fn at(server: &Program, names: Names, members: usize) -> Stage {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Stage { names, cluster: Cluster::start(server, members), folder }
    }

    /// `kvorum` with these arguments, at this cluster. What it starts finds `kvorum` and the cluster
    /// as well.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.names.kvorum().command();
        let programs = Path::new(command.get_program()).parent().expect("it is in a folder");
        let path = std::env::var("PATH").expect("there is a PATH");
        let path = format!("{}:{path}", programs.display());
        command.env("PATH", path).env("ETCDCTL_ENDPOINTS", self.cluster.endpoints());
        command.current_dir(self.folder.path()).args(args);
        command
    }

    /// A shell with this script, which finds `kvorum` and the cluster; what is added are its
    /// arguments.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let kvorum = self.command(&[]);
        let mut command = Command::new("bash");
        for (name, value) in kvorum.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(self.folder.path()).args(["-c", script, "bash"]);
        command
    }

    /// Runs `kvorum` to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        let output = self.command(args).stdin(Stdio::null()).output().expect("kvorum runs");
        Outcome {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// Runs what must succeed, and gives what it prints.
    pub(crate) fn say(&self, args: &[&str]) -> String {
        let outcome = self.run(args);
        assert_eq!(outcome.code, 0, "{args:?}: {outcome:?}");
        outcome.stdout
    }

    /// Starts `kvorum`; what it and its command print is in the process's log, `name`.
    pub(crate) fn start(&self, name: &str, args: &[&str]) -> Process {
        Process::start(self.command(args), &self.path(name)).expect("kvorum runs")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is in a file of this folder; nothing if it is not there yet.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file can be written");
    }

    pub(crate) fn value(&self, key: &str) -> String {
        self.say(&["get", "-o", "raw", "--", key])
    }

    pub(crate) fn count(&self, prefix: &str) -> usize {
        let counted = self.say(&["count", prefix, "-o", "jsonpath={.count}"]);
        counted.trim().parse().unwrap_or_else(|_| panic!("no count: {counted}"))
    }
}

/// Waits until something is so.
pub(crate) fn await_that(what: &str, is_so: impl Fn() -> bool) {
    until(WITHIN, || is_so().then_some(())).unwrap_or_else(|| panic!("{what}: it does not come"));
}
