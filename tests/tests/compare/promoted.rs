//! A learner that becomes a voter, which takes a member that runs.

use kvorum_tests::etcdctl::Etcdctl;
use kvorum_tests::or_skip;
use kvorum_tests::ports::free;
use kvorum_tests::process::Process;
use kvorum_tests::program::{NO_ETCD, Program};
use kvorum_tests::wait::until;
use serde_json::Value;

use crate::programs::{Programs, WITHIN};

const TOO_EARLY: &str = "can only promote a learner member which is in sync with leader";

#[test]
fn a_learner_is_promoted_when_it_has_caught_up() {
    let programs = or_skip!(Programs::find(), NO_ETCD);
    let said = programs.both(|etcdctl| promote(&programs, etcdctl, "simple"));
    check(&said);
    assert_eq!(said[1].0, ["", "Member LEARNER promoted in cluster CLUSTER"]);
}

/// etcdctl 3.4 has the member promoted and crashes; 3.6 prints the answer.
#[test]
fn a_promotion_is_told_as_json_like_every_answer() {
    let programs = or_skip!(Programs::find(), NO_ETCD);
    let theirs = promote(&programs, &programs.theirs, "json");
    assert_eq!((theirs[1].0.as_slice(), theirs[1].2), (&[String::new()][..], 2));
    let ours = promote(&programs, &programs.ours, "json");
    check(&ours);
    // It has the members in it.
    assert_eq!(ours[1].0, ours[3].0);
    assert_eq!(ours[3], theirs[3]);
}

fn check(said: &[(Vec<String>, String, i32)]) {
    assert!(said[0].1.contains(TOO_EARLY), "{said:?}");
    assert_eq!((said[0].2, said[1].2, said[2].2), (1, 0, 1), "{said:?}");
    assert!(said[2].1.ends_with("can only promote a learner member"), "{said:?}");
}

/// What is said before it runs, when it has caught up, once more, and of all members; without what
/// cannot be the same.
fn promote(
    programs: &Programs,
    etcdctl: &Program,
    format: &str,
) -> Vec<(Vec<String>, String, i32)> {
    let cluster = programs.cluster();
    let ctl = Etcdctl::new(etcdctl, cluster.endpoints());
    let ports = free(2);
    let peer = format!("http://127.0.0.1:{}", ports[1]);
    let added =
        ctl.json(&["member", "add", "learner", "--learner", &format!("--peer-urls={peer}")]);
    let (id, cluster_id) = (number(&added["member"]["ID"]), number(&added["header"]["cluster_id"]));
    let first = number(&added["header"]["member_id"]);
    let masks: Vec<_> = [(id, "LEARNER"), (first, "FIRST"), (cluster_id, "CLUSTER")]
        .into_iter()
        .flat_map(|(id, name)| {
            [
                // Where it is padded, a short ID has spaces before it.
                (format!("Member {id:16x}"), format!("Member {name}")),
                (format!("cluster {id:16x}"), format!("cluster {name}")),
                (id.to_string(), name.to_owned()),
                (format!("{id:x}"), name.to_owned()),
            ]
        })
        .chain(ports.iter().map(|port| (port.to_string(), "PORT".to_owned())))
        .chain([
            (cluster.members[0].client_port().to_string(), "PORT".to_owned()),
            (cluster.members[0].peer_port().to_string(), "PORT".to_owned()),
        ])
        .collect();
    let mask = |text: &str| {
        masks.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from.as_str(), to))
    };
    let told = |words: &[&str]| {
        let outcome = ctl.run(&[words, &["-w", format]].concat());
        // Members are in the order of their IDs, which are at random.
        let mut words: Vec<_> = mask(&outcome.stdout)
            .split(['{', '}', '[', ']', ',', '\n'])
            .map(str::to_owned)
            .collect();
        words.sort_unstable();
        let error = outcome.stderr.lines().find(|line| line.starts_with("Error: "));
        (words, error.unwrap_or_default().to_owned(), outcome.code)
    };
    let hex = format!("{id:x}");
    let promote = || told(&["member", "promote", &hex]);
    let early = promote();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut command = programs.etcd.command();
    let client = format!("http://127.0.0.1:{}", ports[0]);
    command.args(["--name=learner", "--initial-cluster-state=existing"]);
    command.arg(format!("--data-dir={}", folder.path().join("data").display()));
    command.args([format!("--listen-client-urls={client}"), format!("--listen-peer-urls={peer}")]);
    command.arg(format!("--advertise-client-urls={client}"));
    command.arg(format!("--initial-advertise-peer-urls={peer}"));
    let peers = format!("m1={},learner={peer}", cluster.members[0].peer_url());
    command.arg(format!("--initial-cluster={peers}"));
    let learner = Process::start(command, &folder.path().join("log")).expect("a member starts");
    let promoted =
        until(WITHIN, || Some(promote()).filter(|(_, error, _)| !error.contains(TOO_EARLY)));
    let promoted = promoted.unwrap_or_else(|| panic!("it is not promoted:\n{}", learner.log()));
    let again = promote();
    vec![early, promoted, again, told(&["member", "list"])]
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("an ID is a number")
}
