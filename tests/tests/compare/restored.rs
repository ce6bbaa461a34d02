//! What Debian's etcdctl makes of a snapshot for etcd and ours for our server are one member: the same
//! identity, the same keys.

use std::path::Path;

use kvorum_tests::etcdctl::Etcdctl;
use kvorum_tests::ports::free;
use kvorum_tests::process::Process;
use kvorum_tests::program::{NO_ETCD, Names, Program};
use kvorum_tests::wait::until;
use kvorum_tests::{binary, or_skip};

use crate::programs::{Programs, WITHIN};

#[test]
fn a_member_is_restored_under_the_name_and_in_the_cluster_that_the_flags_say() {
    let programs = or_skip!(Programs::find(), NO_ETCD);
    let source = programs.cluster();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("snapshot");
    let here = Etcdctl::new(&programs.theirs, source.endpoints());
    here.say(&["put", "key", "value"]);
    here.say(&["snapshot", "save", &file.display().to_string()]);
    // The IDs are made of the addresses: both must have the same.
    let ports = free(2);
    let ports = [ports[0], ports[1]];
    let restored = |server: &Program, etcdctl: &Program| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        restore_and_ask(server, etcdctl, &file, ports, folder.path())
    };
    let theirs = restored(&programs.etcd, &programs.theirs);
    let ours = restored(&Names::of(binary!()).server(), &programs.ours);
    assert_eq!(ours, theirs);
    assert!(ours.iter().any(|said| said == "value\n"), "{ours:?}");
}

/// Restores, starts a server on it, and says who is in it and what.
fn restore_and_ask(
    server: &Program,
    etcdctl: &Program,
    file: &Path,
    [client, peer]: [u16; 2],
    folder: &Path,
) -> [String; 3] {
    let path = |name: &str| folder.join(name).display().to_string();
    let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    let ctl = Etcdctl::new(etcdctl, client.trim_start_matches("http://"));
    let data = path("data");
    let restored = ctl.run(&[
        "snapshot",
        "restore",
        &file.display().to_string(),
        "--name=restored",
        &format!("--initial-cluster=restored={peer}"),
        "--initial-cluster-token=another cluster",
        &format!("--initial-advertise-peer-urls={peer}"),
        &format!("--data-dir={data}"),
        "--skip-hash-check",
    ]);
    assert_eq!(restored.code, 0, "{restored:?}");
    let mut command = server.command();
    command.args(["--name=restored", &format!("--data-dir={data}")]);
    command.args([format!("--listen-client-urls={client}"), format!("--listen-peer-urls={peer}")]);
    command.arg(format!("--advertise-client-urls={client}"));
    let member = Process::start(command, &folder.join("log")).expect("a server starts");
    let answers = || (ctl.run(&["get", "key", "--command-timeout=1s"]).code == 0).then_some(());
    until(WITHIN, answers).unwrap_or_else(|| panic!("it does not serve:\n{}", member.log()));
    let said = |words: &[&str]| ctl.say(words);
    let cluster = ctl.json(&["get", "key"])["header"]["cluster_id"].to_string();
    [said(&["member", "list"]), cluster, said(&["get", "key", "--print-value-only"])]
}
