//! Every verb, as a person and a script meet it: in a pipe and on a terminal, where something is
//! not there, is no text, is not allowed, where there is no quorum, and among 100,000 keys, against
//! our server and Debian's etcd. What looks into a keyspace has its own scenes, in `explore`.
//!
//! What is run and what is said stand in `transcripts/`; see [`script`]. `KVORUM_UPDATE=1` writes
//! anew what is said.

mod mask;
mod play;
mod reasons;
mod script;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use kvorum_tests::cluster::Cluster;
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd};
use kvorum_tests::wait::until;
use kvorum_tests::{binary, skip, workspace};

use play::Stage;
use script::{Case, SERVERS};

/// Without it, hundreds of logins would only measure bcrypt.
const CHEAP_PASSWORDS: &str = "--bcrypt-cost=4";

#[test]
fn what_is_not_there() {
    scene("missing", one_after_the_other, |server| {
        let stage = Stage::of(Cluster::start(server, 1));
        stage.keyspace.put("/app/a", "v");
        stage
    });
}

#[test]
fn what_is_no_text() {
    scene("binary", one_after_the_other, |server| {
        let stage = Stage::of(Cluster::start(server, 1));
        let keys: [&[u8]; 5] = [
            b"/b/line\nbreak",
            b"/b/nul\0byte",
            b"/b/\x1b[31mred\x1b]0;title\x07",
            "/b/\u{202e}txet".as_bytes(),
            b"/b/\xff\xfe",
        ];
        for key in keys {
            stage.keyspace.put(key, &[key, b" \x1b[2J\n\xff value"].concat()[..]);
        }
        stage.keyspace.lease_put(0x77, "/l/\x1b[31mred", "\x1b[2J");
        stage
    });
}

#[test]
fn what_is_not_allowed() {
    scene("denied", one_after_the_other, |server| {
        let stage = Stage::of(Cluster::start_with(server, 1, &[CHEAP_PASSWORDS]));
        for key in ["/app/a", "/app/b", "/other/x", "/shared"] {
            stage.keyspace.put(key, "v");
        }
        stage.keyspace.lease_put(0x77, "/other/lease", "v");
        stage.keyspace.enable_auth();
        stage
    });
}

#[test]
fn where_there_is_no_quorum() {
    scene("no_quorum", many_at_once, |server| {
        let mut stage = Stage::of(Cluster::start(server, 3));
        stage.keyspace.put("/app/a", "v");
        stage.keyspace.lease_put(0x77, "/locks/l/77", "");
        // What the leader has said, the first member has heard.
        stage.keyspace.read_linearizably();
        stage.cluster.members[1].kill();
        stage.cluster.members[2].kill();
        let alone = || stage.keyspace.lacks_leader().then_some(());
        until(Duration::from_secs(30), alone).expect("the member notices that it is alone");
        stage
    });
}

#[test]
fn among_a_hundred_thousand_keys() {
    scene("many", one_after_the_other, |server| {
        let stage = Stage::of(Cluster::start(server, 1));
        stage.keyspace.fill(100_000);
        for (lease, key) in [(0x98, "/l/98"), (0x99, "/l/99")] {
            stage.keyspace.lease_put(lease, key, "v");
        }
        stage
    });
}

/// How the commands of a scene are run.
type Manner = fn(&Stage, &[Case]) -> Vec<String>;

fn one_after_the_other(stage: &Stage, cases: &[Case]) -> Vec<String> {
    cases.iter().map(|case| stage.play(case)).collect()
}

/// For commands that wait for what does not come, and change nothing.
fn many_at_once(stage: &Stage, cases: &[Case]) -> Vec<String> {
    // More would make a busy machine miss the second that each of them waits.
    const AT_ONCE: usize = 8;
    let mut said = Vec::new();
    for cases in cases.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let played: Vec<_> =
                cases.iter().map(|case| scope.spawn(|| stage.play(case))).collect();
            said.extend(played.into_iter().map(|one| one.join().expect("a case is played")));
        });
    }
    said
}

/// Plays a scene on both servers, and compares with its transcript.
fn scene(name: &str, manner: Manner, stage: impl Fn(&Program) -> Stage + Sync) {
    let text = transcript(name);
    let (head, cases) = script::read(&text);
    let play = |server: &Program| {
        let stage = stage(server);
        let said = manner(&stage, &cases);
        (said, stage.leaks.into_inner().expect("nobody has panicked"))
    };
    let etcd = real_etcd();
    let (ours, theirs) = std::thread::scope(|scope| {
        let theirs = etcd.as_ref().map(|etcd| scope.spawn(|| play(etcd)));
        let ours = play(&Names::of(binary!()).server());
        (ours, theirs.map(|theirs| theirs.join().expect("etcd is asked")))
    });
    let ((ours, leaks), theirs) = (ours, theirs.map(|(said, _)| said));
    if std::env::var_os("KVORUM_UPDATE").is_some() {
        let theirs = theirs.as_ref().expect(NO_ETCD);
        let text = script::written(&head, &cases, &ours, theirs);
        std::fs::write(path_of(name), text).expect("a transcript can be written");
    }
    assert!(leaks.is_empty(), "a terminal would obey what reaches it:\n{}", leaks.join("\n"));
    if std::env::var_os("KVORUM_UPDATE").is_some() {
        return;
    }
    let mut wrong = String::new();
    for (server, said) in SERVERS.iter().zip([Some(&ours), theirs.as_ref()]) {
        for (case, said) in cases.iter().zip(said.into_iter().flatten()) {
            let kept = case.kept(server);
            if *said != kept {
                let _ = write!(
                    wrong,
                    "{server}: {} {}\n--- kept\n{kept}--- said\n{said}\n",
                    case.sign, case.line
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{name}.txt differs:\n{wrong}");
    if theirs.is_none() {
        skip::skip(NO_ETCD);
    }
}

fn transcript(scene: &str) -> String {
    std::fs::read_to_string(path_of(scene)).expect("a transcript can be read")
}

fn path_of(scene: &str) -> PathBuf {
    workspace::root().join("tests/tests/verbs/transcripts").join(format!("{scene}.txt"))
}

#[test]
fn every_verb_is_in_every_scene_or_has_a_reason() {
    let verbs = verbs(&kvorum::kvorum::grammar(), "");
    let mut wrong = Vec::new();
    for scene in reasons::SCENES {
        let (_, cases) = script::read(&transcript(scene));
        let played: BTreeSet<(char, String)> =
            cases.iter().filter_map(|case| Some((case.sign, verb_of(case, &verbs)?))).collect();
        for verb in &verbs {
            let missing: Vec<char> = ['$', '%']
                .into_iter()
                .filter(|sign| !played.contains(&(*sign, verb.clone())))
                .collect();
            match (reasons::reason(verb, scene), missing.len()) {
                (None, 1..) => wrong.push(format!("{scene}: {verb} is not run by {missing:?}")),
                (Some(_), 0) => wrong.push(format!("{scene}: {verb} is run, whatever the reason")),
                _ => {}
            }
        }
    }
    for (verb, _, _) in reasons::REASONS {
        if !verbs.iter().any(|known| known == verb) {
            wrong.push(format!("there is no verb {verb}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn verb_of(case: &Case, verbs: &[String]) -> Option<String> {
    let words = play::words_of(&case.invocation()).join(" ");
    let begins = |verb: &&String| words == **verb || words.starts_with(&format!("{verb} "));
    verbs.iter().find(begins).cloned()
}

fn verbs(command: &clap::Command, path: &str) -> Vec<String> {
    if !command.has_subcommands() {
        return vec![path.trim().to_owned()];
    }
    let below = command.get_subcommands().filter(|sub| sub.get_name() != "help");
    below.flat_map(|sub| verbs(sub, &format!("{path} {}", sub.get_name()))).collect()
}
