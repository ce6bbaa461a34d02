//! Scenes in which something happens while a plan is shown or carried out.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use kvorum_tests::cluster::Cluster;
use kvorum_tests::keyspace::Keyspace;
use kvorum_tests::program::Program;
use kvorum_tests::terminal::Terminal;
use kvorum_tests::wait::until;
use rustix::process::{Pid, Signal, kill_process};

use crate::person::{KEYS, Person, far_from_many, stderr, stdout};

/// Between the plan and the yes.
pub(crate) fn another_writer(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    keyspace.put("/c/a", "1");
    keyspace.put("/c/b", "1");
    keyspace.put("/c/a", "2");
    keyspace.put("/c/b", "2");
    let person = Person::at(&cluster.endpoints());
    let asks = |words: &[&str], meanwhile: &dyn Fn()| {
        let mut terminal = Terminal::start(person.command(words), 100, 40);
        terminal.shows("[y/N]");
        meanwhile();
        terminal.keys("y\r");
        let code = terminal.ended().code();
        (terminal.screen(), code)
    };
    let (said, code) = asks(&["rollback", "/c/", "--to", "3"], &|| keyspace.put("/c/b", "theirs"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("/c/b was changed at revision 6 since the plan was made"), "{said}");
    assert!(said.contains("nothing was written"), "{said}");
    assert_eq!(person.says(&["get", "--prefix", "/c/"]), "/c/a\n2\n/c/b\ntheirs\n");

    let (said, code) = asks(&["restore", "/c/a@2"], &|| keyspace.delete("/c/a"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("/c/a was deleted since the plan was made"), "{said}");

    person.says(&["put", "/c/mine", "1"]);
    let (said, code) = asks(&["undo"], &|| keyspace.put("/c/mine", "theirs"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("nothing was written"), "{said}");
    assert_eq!(person.says(&["get", "/c/mine"]), "/c/mine\ntheirs\n");
}

/// Ctrl-C instead of an answer, and before there is a question.
pub(crate) fn thought_better_of(server: &Program) {
    let mut cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    keyspace.put("/c/a", "1");
    keyspace.put("/c/a", "2");
    let person = Person::at(&cluster.endpoints());
    person.says(&["put", "/c/b", "1"]);
    let plans: [&[&str]; 5] = [
        &["rollback", "/c/", "--to", "2"],
        &["restore", "/c/a@2"],
        &["undo"],
        &["cp", "/c/", "/d/"],
        &["mv", "/c/", "/d/"],
    ];
    let ends = |mut terminal: Terminal| {
        terminal.keys("\x03");
        let code = terminal.ended().code();
        let said = terminal.screen();
        assert_eq!(code, Some(130), "{said}");
        let is_below = said.lines().any(|line| line == "error: interrupted: nothing was written");
        assert!(is_below, "{said}");
    };
    let written = keyspace.revision();
    for words in plans {
        let terminal = Terminal::start(person.command(words), 100, 40);
        terminal.shows("[y/N]");
        ends(terminal);
    }
    assert_eq!(keyspace.revision(), written);

    cluster.members[0].running().suspend();
    let words = ["rollback", "/c/", "--to", "2", "--dial-timeout", "60s"];
    let terminal = Terminal::start(person.command(&words), 100, 40);
    terminal.shows("waiting for an answer");
    ends(terminal);
}

/// A thousand keys that were changed, with a slow line to them; answers the revision before.
fn a_thousand(server: &Program) -> (Cluster, Keyspace, Person, i64) {
    let (cluster, keyspace, person) = far_from_many(server);
    let before = keyspace.revision();
    keyspace.fill_again(KEYS, "changed");
    (cluster, keyspace, person, before)
}

pub(crate) fn interrupted(server: &Program) {
    let (_cluster, keyspace, person, before) = a_thousand(server);
    let to = before.to_string();
    let planned_at = keyspace.revision();
    let words = ["rollback", "/many/", "--to", &to, "--yes"];
    let rollback = person.begins_far_away(&words);
    let two_are_done = || (keyspace.revision() >= planned_at + 2).then_some(());
    until(Duration::from_secs(60), two_are_done).expect("transactions happen one by one");
    let id = Pid::from_child(&rollback);
    kill_process(id, Signal::INT).expect("it is there");
    let output = rollback.wait_with_output().expect("it ends");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("error: interrupted; "), "{said}");
    assert!(said.contains(" of 1,000 keys are written, at revisions "), "{said}");
    let transactions = keyspace.revision() - planned_at;
    assert!((2..8).contains(&transactions), "{transactions}: {said}");
    assert!(said.contains(&format!("{} of 1,000 keys", transactions * 128)), "{said}");

    // What was printed goes on, and spares what somebody has changed since.
    let go_on = format!("rollback --to {before} --planned-at {planned_at} /many/");
    assert!(said.contains(&format!("{} {go_on}", person.far)), "{said}");
    let last = "/many/9/key-000999";
    keyspace.put(last, "somebody else's");
    let mut words: Vec<&str> = go_on.split(' ').collect();
    words.push("--yes");
    let rest = 1000 - transactions * 128 - 1;
    let gone_on = person.runs(&words);
    let (said, warned) = (stdout(&gone_on), stderr(&gone_on));
    assert!(said.starts_with(&format!("{rest} keys rolled back at revision")), "{said}");
    assert!(warned.contains("left alone: /many/9/key-000999 was changed at revision"), "{warned}");
    let differs = person.says(&["diff", &format!("/many/@{before}"), "--names"]);
    assert_eq!(differs, format!("~ {last}\n"));
    let again = person.runs(&words);
    assert_eq!(stdout(&again), "nothing is left to write; 1 key left alone\n");
    assert!(stderr(&again).contains("left alone: /many/"), "{again:?}");

    // Both halves can be taken back, each by itself.
    let undone = person.says(&["undo", "--yes"]);
    assert!(undone.starts_with(&format!("{rest} keys as before again")), "{undone}");
    let undone = person.says(&["undo", "--yes"]);
    assert!(undone.starts_with(&format!("{} keys as before", transactions * 128)), "{undone}");
    let changed = person.says(&["diff", &format!("/many/@{planned_at}"), "--names"]);
    assert_eq!(changed, format!("~ {last}\n"));
}

pub(crate) fn another_writer_in_the_middle(server: &Program) {
    let (_cluster, keyspace, person, before) = a_thousand(server);
    let to = before.to_string();
    let planned_at = keyspace.revision();
    let words = ["rollback", "/many/", "--to", &to, "--yes"];
    let rollback = person.begins_far_away(&words);
    let one_is_done = || (keyspace.revision() > planned_at).then_some(());
    until(Duration::from_secs(60), one_is_done).expect("transactions happen one by one");
    keyspace.put("/many/9/key-000999", "somebody else's");
    let output = rollback.wait_with_output().expect("it ends");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("/many/9/key-000999 was changed at revision"), "{said}");
    // All transactions but the one with that key are done, and that one not at all.
    assert!(said.contains("896 of 1,000 keys are written"), "{said}");
    let left = person.says(&["diff", &format!("/many/@{before}"), "--names"]);
    assert_eq!(left.lines().count(), 1000 - 896);
    let theirs = person.says(&["get", "/many/9/key-000999"]);
    assert_eq!(theirs, "/many/9/key-000999\nsomebody else's\n");
}

/// A server of which one answer to a watch in the past is not all.
pub(crate) fn many_lives(server: &Program) {
    const LIVES: usize = 600;
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    for life in 0..LIVES {
        keyspace.put("/c/often", &format!("{life}"));
        keyspace.delete("/c/often");
    }
    keyspace.put("/c/once", "1");
    let person = Person::at(&cluster.endpoints());
    let told = person.says(&["history", "/c/often", "--all", "--limit", "5000"]);
    assert_eq!(told.lines().count(), 2 * LIVES);
    assert_eq!(told.matches("  delete  what it had since revision ").count(), LIVES);
    let nothing = person.runs(&["history", "/c/never", "--all"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(stderr(&nothing).contains("nothing has happened to /c/never"), "{nothing:?}");
}

/// A server that takes fewer operations in a transaction than others do.
pub(crate) fn few_operations(server: &Program) {
    let cluster = Cluster::start_with(server, 1, &["--max-txn-ops=10"]);
    let keyspace = Keyspace::of(&cluster);
    let person = Person::at(&cluster.endpoints());
    for value in ["old", "new"] {
        for key in 0..40 {
            keyspace.put(format!("/m/{key:02}"), value);
        }
    }
    assert_eq!(person.says(&["history", "/m/07"]).lines().count(), 2);
    assert_eq!(person.says(&["diff", "/m/@41", "--names"]).lines().count(), 40);
    let said = person.says(&["rollback", "/m/", "--to", "41", "--yes"]);
    assert!(said.starts_with("40 keys rolled back at revisions 82 to "), "{said}");
    assert_eq!(person.says(&["diff", "/m/@41"]), "");
    assert!(person.says(&["undo", "--yes"]).starts_with("40 keys as before again"));
    assert_eq!(person.says(&["diff", "/m/@81"]), "");
}

/// What is not one's own is not taken back.
pub(crate) fn not_ones_own(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    let person = Person::at(&cluster.endpoints());
    keyspace.put("/c/theirs", "1");
    keyspace.delete("/c/theirs");
    let mut txn = person.command(&["txn"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let txn = txn.as_mut().expect("kvorum runs");
    let input = b"\ndel --prefix /c/\n\n\n";
    txn.stdin.take().expect("it was asked for").write_all(input).expect("it is read");
    assert!(txn.wait().expect("it ends").success());
    assert!(stderr(&person.runs(&["undo"])).contains("nothing that was written from here"));

    // A lease that was revoked took its keys, and they come back without it.
    keyspace.lease_put(0x77, "/c/leased", "l");
    person.says(&["lease", "revoke", "77"]);
    assert!(person.says(&["undo"]).starts_with("1 key as before again"));
    assert_eq!(person.says(&["get", "/c/leased"]), "/c/leased\nl\n");
}
