//! Locks: who waits how long, what becomes of a command whose lock is lost, and the fencing token.

use std::time::{Duration, Instant};

use kvorum_tests::process::Process;
use kvorum_tests::terminal::Terminal;
use kvorum_tests::wait::until;
use rustix::process::Signal;

use crate::stage::{Stage, WITHIN, await_that, on_both};

/// Holds the lock `job` until the file `done` is there, or the scene is over, and says so in the file
/// `held`.
const HOLD: [&str; 6] = [
    "lock",
    "job",
    "--",
    "sh",
    "-c",
    "echo $KVORUM_LOCK_TOKEN > held; until [ -e done -o ! -e held ]; do sleep 0.02; done",
];

fn code(process: Process) -> i32 {
    process.ended().code().expect("it ends by itself")
}

#[test]
fn who_does_not_want_to_wait_is_told_who_has_the_lock() {
    on_both(1, |stage| {
        let free = stage.run(&["lock", "job", "--try", "--", "sh", "-c", "echo $ETCD_LOCK_KEY"]);
        assert!(free.code == 0 && free.stdout.starts_with("job/"), "{free:?}");
        let holder = stage.start("holder", &HOLD);
        await_that("the lock is held", || stage.read("held").ends_with('\n'));
        let token = stage.read("held").trim().to_owned();
        let tried = stage.run(&["lock", "job", "--try", "--", "touch", "never"]);
        assert_eq!(tried.code, 75, "{tried:?}");
        let said = format!(", token {token}\n");
        assert!(tried.stderr.contains(&said), "{tried:?}");
        let late = stage.run(&["lock", "job", "--timeout", "50ms", "--", "touch", "never"]);
        assert_eq!(late.code, 124, "{late:?}");
        assert!(late.stderr.contains("was not free within 50ms"), "{late:?}");
        assert_eq!((stage.count("job/"), stage.path("never").exists()), (1, false));
        let shown = stage.say(&["locks", "-o", "jsonpath={[0].fencing_token}"]);
        assert_eq!(shown.trim(), token);
        stage.write("done", "");
        assert_eq!((code(holder), stage.count("job/")), (0, 0));
    });
}

#[test]
fn the_command_has_the_input_and_the_signals_and_gives_its_own_exit_code() {
    let stage = Stage::ours(1);
    stage.write("input", "typed\n");
    let mut reading =
        stage.command(&["lock", "job", "--", "sh", "-c", "read word; echo $word; exit 7"]);
    let input = std::fs::File::open(stage.path("input")).expect("it was written");
    let output = reading.stdin(input).output().expect("kvorum runs");
    assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"typed\n"[..], Some(7)));
    for (program, expected) in [("no-such-program", 127), ("/etc/passwd", 126)] {
        let outcome = stage.run(&["lock", "job", "--", program]);
        assert_eq!(outcome.code, expected, "{outcome:?}");
        assert!(outcome.stderr.starts_with("error: \""), "{outcome:?}");
    }
    let trap = "trap 'exit 5' HUP; : > ready; while :; do sleep 0.02; done";
    let mut hung_up = stage.start("hung-up", &["lock", "job", "--", "sh", "-c", trap]);
    await_that("the command runs", || stage.path("ready").exists());
    hung_up.signal(Signal::HUP);
    assert_eq!(code(hung_up), 5);
    let mut terminated = stage.start("terminated", &HOLD);
    await_that("the lock is held", || stage.read("held").ends_with('\n'));
    terminated.terminate();
    assert_eq!((code(terminated), stage.count("job/")), (143, 0));
}

#[test]
fn an_interrupt_from_the_terminal_reaches_the_command_once_and_the_lock_is_free() {
    let stage = Stage::ours(1);
    let trap =
        "trap 'echo got >> got' INT; echo ready; until [ -e done ]; do sleep 0.05; done; exit 6";
    let command = stage.command(&["lock", "job", "--", "bash", "-c", trap]);
    let mut terminal = Terminal::start(command, 80, 24);
    terminal.shows("ready");
    terminal.keys("\x03");
    await_that("the command gets it", || stage.read("got") == "got\n");
    stage.write("done", "");
    assert_eq!(terminal.ended().code(), Some(6));
    assert_eq!((stage.read("got").as_str(), stage.count("job/")), ("got\n", 0));
}

#[test]
fn a_command_that_succeeds_has_succeeded_though_nobody_takes_the_lock_back() {
    let mut stage = Stage::ours(1);
    let script = "echo got > got; until [ -e done ]; do sleep 0.02; done";
    let args =
        ["--command-timeout", "300ms", "lock", "job", "--ttl", "60", "--", "sh", "-c", script];
    let process = stage.start("holder", &args);
    await_that("the lock is held", || stage.read("got") == "got\n");
    stage.cluster.members[0].kill();
    stage.write("done", "");
    assert_eq!(code(process), 0);
    let said = stage.read("holder");
    assert!(said.contains("warning: the lock is not given up (") && said.contains("within 60 s"));
}

#[test]
fn in_the_shell_an_interrupt_is_left_to_the_command_that_has_the_lock() {
    let stage = Stage::ours(1);
    stage.write(
        "trap.sh",
        "trap 'echo got >> got' INT; : > ready; until [ -e done ]; do sleep 0.05; done; : > whole",
    );
    let mut command = stage.command(&[]);
    // What is typed is remembered there.
    command.env("HOME", stage.folder.path());
    let mut shell = Terminal::start(command, 80, 24);
    shell.shows(">");
    shell.keys("lock job -- bash trap.sh\r");
    await_that("the command runs", || stage.path("ready").exists());
    shell.keys("\x03");
    await_that("the command gets it", || stage.read("got") == "got\n");
    assert_eq!(stage.count("job/"), 1);
    stage.write("done", "");
    await_that("it comes to its end", || stage.path("whole").exists() && stage.count("job/") == 0);
    shell.keys("exit\r");
    assert!(shell.ended().success());
}

#[test]
fn a_command_that_an_interrupt_ends_is_not_spoken_of() {
    let stage = Stage::ours(1);
    let command = stage.command(&["lock", "job", "--", "sh", "-c", "echo ready; exec sleep 600"]);
    let mut terminal = Terminal::start(command, 80, 24);
    terminal.shows("ready");
    terminal.keys("\x03");
    assert_eq!(terminal.ended().code(), Some(130));
    assert_eq!((terminal.screen().trim_end(), stage.count("job/")), ("ready\n^C", 0));
}

#[test]
fn a_person_who_waits_is_told_for_whom_and_a_lock_without_a_name_is_none() {
    on_both(1, |stage| {
        let _holder = stage.start("holder", &HOLD);
        await_that("the lock is held", || stage.read("held").ends_with('\n'));
        let token = stage.read("held").trim().to_owned();
        let _first = stage.start("first", &["lock", "job"]);
        await_that("it waits", || stage.count("job/") == 2);
        let mut second = Terminal::start(stage.command(&["lock", "job", "true"]), 100, 24);
        second.shows(&format!("token {token}, 1 waits before this"));
        second.keys("\x03");
        assert_eq!(second.ended().code(), Some(130));
        for args in [&["lock", "", "--", "true"][..], &["lock", "--try", "--", "true"]] {
            let refused = stage.run(args);
            assert_eq!((refused.code, refused.stdout.as_str()), (128, ""), "{refused:?}");
        }
        assert_eq!(stage.run(&["elect", "", "me"]).code, 128);
        assert_eq!(stage.count(""), 2);
    });
}

#[test]
fn who_is_told_to_end_while_it_waits_leaves_the_line() {
    let stage = Stage::ours(1);
    let _holder = stage.start("holder", &HOLD);
    await_that("the lock is held", || stage.read("held").ends_with('\n'));
    let mut waiting = stage.start("waiting", &["lock", "job"]);
    await_that("it waits", || stage.count("job/") == 2);
    waiting.signal(Signal::INT);
    assert_eq!((code(waiting), stage.count("job/")), (130, 1));
}

#[test]
fn a_command_whose_lock_is_lost_is_ended_or_killed_or_goes_on_as_it_is_wanted() {
    on_both(1, |stage| {
        let trap = "trap ': > trapped; exit 0' TERM; : > ready; while :; do sleep 0.02; done";
        let go_on = "trap ': > trapped; exit 0' TERM; : > ready; until [ -e done ]; do sleep 0.02; done; exit 9";
        for (on_lost, script, expected, trapped) in
            [("term", trap, 76, true), ("kill", trap, 76, false), ("warn", go_on, 9, false)]
        {
            let flag = format!("--on-lost={on_lost}");
            let process = stage.start(on_lost, &["lock", "job", &flag, "--", "sh", "-c", script]);
            await_that("the command runs", || stage.path("ready").exists());
            let lease = stage.say(&["locks", "-o", "jsonpath={[0].lease}"]);
            stage.say(&["lease", "revoke", lease.trim()]);
            await_that("it is said", || stage.read(on_lost).contains("warning: the lock is lost"));
            stage.write("done", "");
            assert_eq!(code(process), expected, "{}", stage.read(on_lost));
            assert_eq!(stage.path("trapped").exists(), trapped, "{on_lost}");
            for left in ["ready", "trapped", "done"] {
                let _ = std::fs::remove_file(stage.path(left));
            }
        }
    });
}

#[test]
fn who_was_stopped_past_its_lease_is_exposed_by_its_token_and_notices_at_once() {
    /// What each of five does under the lock: it writes once it may, and only if nobody had the
    /// lock later. What protects is the server: the lock's key is as old as the token, or is gone.
    const WORK: &str = r#"
        echo $KVORUM_LOCK_TOKEN >> holders
        until [ -e go ]; do sleep 0.02; done
        printf 'create("%s") = "%s"\n\nput account %s\n\nput refused %s\n\n' \
            "$ETCD_LOCK_KEY" $KVORUM_LOCK_TOKEN $KVORUM_LOCK_TOKEN $KVORUM_LOCK_TOKEN |
            kvorum txn >> answers
        echo $KVORUM_LOCK_TOKEN >> finished
        [ $1 = first ] && exec sleep 600
        exit 0"#;
    let contend = |stage: &Stage, name: &str| {
        stage.start(name, &["lock", "job", "--ttl", "2", "--", "sh", "-c", WORK, "sh", name])
    };
    let numbers = |text: String| -> Vec<i64> {
        text.lines().map(|line| line.parse().expect("a token is a number")).collect()
    };
    on_both(1, |stage| {
        let mut first = contend(&stage, "first");
        await_that("the first holds it", || stage.read("holders").ends_with('\n'));
        let others = ["second", "third", "fourth", "fifth"].map(|name| contend(&stage, name));
        await_that("five contend", || stage.count("job/") == 5);
        first.suspend();
        // Its command goes on: nobody is there to end it.
        await_that("its lease runs out", || stage.read("holders").lines().count() == 2);
        stage.write("go", "");
        for process in others {
            assert_eq!(code(process), 0);
        }
        await_that("all five have written", || stage.read("finished").lines().count() == 5);
        let tokens = numbers(stage.read("holders"));
        assert!(tokens.is_sorted() && tokens.len() == 5, "{tokens:?}");
        assert_eq!(stage.value("account"), tokens[4].to_string());
        assert_eq!(stage.value("refused"), tokens[0].to_string(), "the stale token is refused");
        let history = stage.say(&["get", "account", "-o", "jsonpath={.kvs[0].version}"]);
        assert_eq!(history.trim(), "4", "nobody else is refused");

        let since = Instant::now();
        first.resume();
        until(WITHIN, || stage.read("first").contains("the lock is lost").then_some(()))
            .unwrap_or_else(|| panic!("it does not notice: {}", stage.read("first")));
        assert!(since.elapsed() < Duration::from_secs(1), "it took {:?}", since.elapsed());
        assert_eq!(code(first), 76);
        let said = stage.read("first");
        assert!(
            said.contains("error: the lock was lost while the command ran, which was ended"),
            "{said}"
        );
    });
}

#[test]
fn a_leader_runs_a_command_and_hands_over_at_its_end() {
    on_both(1, |stage| {
        let lead =
            "echo $KVORUM_LEADER_KEY > leader; until [ -e done ]; do sleep 0.02; done; exit 4";
        let leader = stage.start("one", &["elect", "chief", "one", "--", "sh", "-c", lead]);
        await_that("it leads", || stage.read("leader").starts_with("chief/"));
        let key = stage.read("leader");
        assert_eq!(stage.value(key.trim()), "one");
        let next = stage.start("two", &["elect", "chief", "two", "--", "true"]);
        await_that("two stand", || stage.count("chief/") == 2);
        stage.write("done", "");
        assert_eq!((code(leader), code(next), stage.count("chief/")), (4, 0, 0));
    });
}
