//! The shell, the dashboard and the playground on a real terminal, as a person meets them.

#![allow(clippy::print_stdout, reason = "screens and measured times are worth reading")]

mod dashboard;
mod pager;
mod passwords;
mod playground;
mod shell;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use kvorum_tests::binary;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::program::Names;
use kvorum_tests::terminal::Terminal;
use tempfile::TempDir;

/// How long something that must happen may take.
const SOON: Duration = Duration::from_secs(20);

/// What a person takes for at once, with room for a busy machine: a quiet one needs a tenth of it.
const AT_ONCE: Duration = Duration::from_millis(500);

/// A cluster, a home of one's own, and the program to run.
struct Place {
    names: Names,
    home: TempDir,
    cluster: Cluster,
}

impl Place {
    fn new() -> Place {
        Self::with_members(1)
    }

    fn with_members(count: usize) -> Place {
        let names = Names::of(binary!());
        let cluster = Cluster::start(&names.server(), count);
        Place { home: tempfile::tempdir().expect("a temporary folder can be made"), names, cluster }
    }

    /// The program at this cluster.
    fn kvorum(&self, arguments: &[&str]) -> Command {
        self.kvorum_at(&self.cluster.endpoints(), arguments)
    }

    fn kvorum_at(&self, endpoints: &str, arguments: &[&str]) -> Command {
        let mut command = self.names.kvorum().command();
        command.env("HOME", self.home.path()).arg("--endpoints").arg(endpoints).args(arguments);
        command
    }

    /// A shell whose prompt stands.
    fn shell(&self) -> Terminal {
        let shell = Terminal::start(self.kvorum(&[]), 80, 24);
        shell.shows(&self.prompt());
        shell
    }

    fn prompt(&self) -> String {
        format!("{}> ", self.cluster.endpoints()).trim_end().to_owned()
    }

    fn put(&self, key: &str, value: &str) {
        succeeds(&mut self.kvorum(&["put", key, value]));
    }

    fn histories(&self) -> Vec<PathBuf> {
        let folder = self.home.path().join(".local/state/kvorum");
        let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
        let files = entries.map(|entry| entry.expect("an entry can be read").path());
        let is_history = |file: &PathBuf| file.display().to_string().contains("/history-");
        files.filter(is_history).collect()
    }

    fn script(&self, lines: &str) -> Output {
        let mut command = self.kvorum(&[]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be run");
        let mut stdin = child.stdin.take().expect("it has a standard input");
        // A script that stopped early does not read the rest.
        let _ = stdin.write_all(lines.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("it ends")
    }
}

/// Half of the times at least; one event may meet a slow moment of the disk.
fn assert_at_once(mut took: Vec<Duration>) {
    took.sort_unstable();
    assert!(took[took.len() / 2] < AT_ONCE, "{took:?}");
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().expect("the program can be run");
    assert!(output.status.success(), "{command:?}: {output:?}");
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
