//! The playground: what it serves, what it keeps and what it leaves behind.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use kvorum_tests::binary;
use kvorum_tests::process::Process;
use kvorum_tests::program::Names;
use kvorum_tests::wait::until;
use rustix::process::Signal;
use tempfile::TempDir;

use super::{SOON, succeeds};

/// A playground that no terminal is attached to.
pub(crate) struct Playground {
    pub(crate) process: Process,
    endpoints: String,
    names: Names,
    folder: TempDir,
}

impl Playground {
    pub(crate) fn start() -> Playground {
        let names = Names::of(binary!());
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (process, endpoints) = serve(&names, folder.path(), &[]);
        Playground { process, endpoints, names, folder }
    }

    /// The program at the playground.
    pub(crate) fn kvorum(&self, arguments: &[&str]) -> Command {
        let mut command = self.names.kvorum().command();
        command.env("HOME", self.folder.path()).arg("--endpoints").arg(&self.endpoints);
        command.args(arguments);
        command
    }
}

/// Starts a playground whose temporary files go to `folder`, and waits for its endpoints.
fn serve(names: &Names, folder: &Path, arguments: &[&str]) -> (Process, String) {
    // What one said before is no answer of the next.
    let log = tempfile::Builder::new().prefix("log-").tempfile_in(folder);
    let (_, log) = log.and_then(|file| Ok(file.keep()?)).expect("a log can be made");
    let mut command = names.kvorum().command();
    command.env("TMPDIR", folder).arg("playground").args(arguments);
    let process = Process::start(command, &log).expect("the playground can be run");
    let endpoints = until(SOON * 2, || {
        let log = process.log();
        let line = log.rsplit_terminator('\n').find(|line| line.starts_with("127."));
        line.map(str::to_owned)
    });
    let endpoints = endpoints.unwrap_or_else(|| panic!("no endpoints: {}", process.log()));
    (process, endpoints)
}

/// The folders of playgrounds that are still there.
pub(crate) fn temporary_folders(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("an entry can be read").file_name());
    names.filter(|name| name.to_string_lossy().starts_with("kvorum-playground-")).count()
}

#[test]
fn a_playground_without_a_terminal_serves_until_it_is_told_to_end() {
    for signal in [Signal::TERM, Signal::INT] {
        let playground = Playground::start();
        let keys = succeeds(&mut playground.kvorum(&["get", "", "--prefix", "--keys-only"]));
        for key in ["/config/app/motd", "/services/web/10.0.0.21:80", "/locks/nightly-backup/"] {
            assert!(keys.contains(key), "{keys}");
        }
        let limits = ["show", "/config/app/limits.json", "-o", "jsonpath={.version}"];
        let version = succeeds(&mut playground.kvorum(&limits));
        assert_eq!(version, "4\n", "there is a key with a history");
        let search = ["grep", "--values", "color|timeout", "/config/"];
        assert_eq!(succeeds(&mut playground.kvorum(&search)).lines().count(), 2);
        assert_eq!(temporary_folders(playground.folder.path()), 1);
        let asked = Instant::now();
        let mut process = playground.process;
        process.signal(signal);
        assert!(process.ended().success());
        println!("the playground ended {:?} after {signal:?}", asked.elapsed());
        assert_eq!(temporary_folders(playground.folder.path()), 0);
    }
}

#[test]
fn a_playground_keeps_its_data_and_its_ports_in_a_folder_of_ones_own() {
    let names = Names::of(binary!());
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = folder.path().join("data");
    let data = data.to_str().expect("its name is text");
    let (mut process, endpoints) = serve(&names, folder.path(), &["--data-dir", data]);
    let at = |arguments: &[&str]| {
        let mut command = names.kvorum().command();
        succeeds(command.arg("--endpoints").arg(&endpoints).args(arguments))
    };
    at(&["put", "/config/app/motd", "mine"]);
    process.terminate();
    assert!(process.ended().success());
    let (_process, again) = serve(&names, folder.path(), &["--data-dir", data]);
    assert_eq!(again, endpoints);
    assert_eq!(at(&["get", "/config/app/motd"]), "/config/app/motd\nmine\n");
}
