//! A configuration that lies in the cluster: variables of a command, and files from a template.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kvorum_tests::keyspace::Keyspace;
use kvorum_tests::process::Process;
use kvorum_tests::wait::until;
use rustix::fs::OFlags;
use rustix::process::Signal;

use crate::stage::{Stage, WITHIN, await_that, on_both};

/// Tells what it was given and who it is, and goes on until the scene is over.
const SHOW: &str =
    "echo $$ > pid; echo \"$greeting\" > new; mv new seen; while [ -e seen ]; do sleep 2; done";

/// What a person does not notice, for a median on a machine that is busy with other tests; the
/// figure of the limit is what is printed.
const NOTICED: Duration = Duration::from_secs(2);

fn shown(stage: &Stage, options: &[&str]) -> Process {
    let args = [&["config", "run", "/app/"], options, &["--", "sh", "-c", SHOW]].concat();
    stage.start("run", &args)
}

fn is_there(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

fn gone(pid: &str) {
    await_that("nobody is left behind", || !is_there(pid));
}

#[test]
fn a_change_reaches_the_command_soon_and_over_an_outage() {
    on_both(1, |mut stage| {
        let keyspace = Keyspace::of(&stage.cluster);
        keyspace.put("/app/greeting", "hello");
        let mut run = shown(&stage, &[]);
        await_that("it runs", || stage.read("seen") == "hello\n");
        let mut took: Vec<Duration> = (0..9)
            .map(|round| {
                let (value, began) = (round.to_string(), Instant::now());
                keyspace.put("/app/greeting", &value);
                let is_seen = || (stage.read("seen").trim() == value).then(|| began.elapsed());
                until(WITHIN, is_seen).expect("the command sees the change")
            })
            .collect();
        took.sort();
        let median = took[took.len() / 2];
        assert!(median < NOTICED, "{took:?}");
        // Without a cluster it goes on, and hears of what it missed.
        let pid = stage.read("pid");
        stage.cluster.members[0].kill();
        await_that("the outage is told", || run.log().contains("the command goes on"));
        assert!(is_there(&pid));
        stage.cluster.members[0].start();
        stage.cluster.await_serving();
        Keyspace::of(&stage.cluster).put("/app/greeting", "again");
        await_that("it is told of the change", || stage.read("seen") == "again\n");
        gone(&pid);
        let pid = stage.read("pid");
        run.terminate();
        assert_eq!(run.ended().code(), Some(143));
        gone(&pid);
    });
}

#[test]
fn the_exit_code_is_that_of_the_command() {
    let stage = Stage::ours(1);
    for (words, expected) in
        [(&["sh", "-c", "exit 7"][..], 7), (&["true"], 0), (&["no-such-program"], 127)]
    {
        let outcome = stage.run(&[&["config", "run", "/app/", "--"], words].concat());
        assert_eq!(outcome.code, expected, "{outcome:?}");
    }
    let keyspace = Keyspace::of(&stage.cluster);
    keyspace.put("/app/db/Host", "a b");
    let told = stage.say(&["config", "run", "/app/", "--", "sh", "-c", "echo \"<$db_Host>\""]);
    assert_eq!(told, "<a b>\n");
}

#[test]
fn keys_that_cannot_be_variables_are_named_and_the_last_good_ones_stay() {
    let stage = Stage::ours(1);
    let keyspace = Keyspace::of(&stage.cluster);
    keyspace.put("/app/greeting", "good");
    let run = shown(&stage, &[]);
    await_that("it runs", || stage.read("seen") == "good\n");
    let pid = stage.read("pid");
    keyspace.put("/app/a-b", "1");
    await_that("it is given the first", || run.log().contains("a_b changed"));
    await_that("it runs again", || stage.read("pid") != pid && stage.read("seen") == "good\n");
    let pid = stage.read("pid");
    keyspace.put("/app/a.b", "2");
    let collision = "\"/app/a-b\" and \"/app/a.b\" would both be the variable a_b";
    await_that("the collision is told", || run.log().contains(collision));
    assert!(is_there(&pid));
    // Whoever starts now is told at once.
    let refused = stage.run(&["config", "run", "/app/", "--", "true"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.starts_with(&format!("error: {collision}")), "{refused:?}");
    assert!(refused.stderr.contains("hint: "), "{refused:?}");
    keyspace.delete("/app/a.b");
    keyspace.put("/app/greeting", "better");
    await_that("it takes what is good", || stage.read("seen") == "better\n");
    for (key, value, complaint) in [
        ("/bad/1st", "x", "no name begins with a digit"),
        ("/bad/", "x", "no name is left for a variable"),
        ("/bad/nul", "x\0y", "has a NUL byte"),
    ] {
        keyspace.put(key, value);
        let refused = stage.run(&["config", "run", "/bad/", "--", "true"]);
        assert!(refused.code == 1 && refused.stderr.contains(complaint), "{refused:?}");
        keyspace.delete(key);
    }
}

#[test]
fn a_signal_can_take_the_place_of_starting_again() {
    let stage = Stage::ours(1);
    let keyspace = Keyspace::of(&stage.cluster);
    keyspace.put("/app/greeting", "hello");
    let trap = "trap 'echo told > told; exit 9' HUP; : > ready; while :; do sleep 0.02; done";
    let args = ["config", "run", "/app/", "--signal", "HUP", "--", "sh", "-c", trap];
    let run = stage.start("run", &args);
    await_that("it runs", || stage.path("ready").exists());
    keyspace.put("/app/greeting", "again");
    assert_eq!(run.ended().code(), Some(9));
    assert_eq!(stage.read("told"), "told\n");
    let unknown = stage.run(&["config", "run", "/app/", "--signal", "KILLED", "--", "true"]);
    assert!(unknown.stderr.contains("one of HUP, USR1"), "{unknown:?}");
}

#[test]
fn a_command_that_does_not_listen_is_killed_after_the_grace() {
    let stage = Stage::ours(1);
    let keyspace = Keyspace::of(&stage.cluster);
    keyspace.put("/app/greeting", "hello");
    let deaf = format!("trap '' TERM; {SHOW}");
    let args = ["config", "run", "/app/", "--grace", "50ms", "--", "sh", "-c", &deaf];
    let _run = stage.start("run", &args);
    await_that("it runs", || stage.read("seen") == "hello\n");
    let pid = stage.read("pid");
    keyspace.put("/app/greeting", "again");
    await_that("it runs again", || stage.read("seen") == "again\n");
    gone(&pid);
}

const TEMPLATE: &str = "host={{ get('/app/host') }}\n\
                        {% for name, value in list('/app/users/') %}{{ name }}={{ value }}\n{% endfor %}";

#[test]
fn a_file_follows_the_keys_that_its_template_uses() {
    on_both(1, |stage| {
        let keyspace = Keyspace::of(&stage.cluster);
        keyspace.put("/app/host", "one");
        keyspace.put("/app/users/alice", "rw");
        stage.write("app.j2", TEMPLATE);
        let check = "grep -q host= {} && ! grep -q bad $KVORUM_FILE";
        let args = [
            "config",
            "render",
            "app.j2",
            "-o",
            "app.conf",
            "--check",
            check,
            "--reload",
            "cat app.conf >> reloads; echo -- >> reloads",
        ];
        let mut render = stage.start("render", &args);
        let made = |text: &str| await_that(text, || stage.read("app.conf") == text);
        made("host=one\nalice=rw\n");
        keyspace.put("/app/users/bob", "r");
        made("host=one\nalice=rw\nbob=r\n");
        // What the check refuses, and what cannot be made, leaves the last good file.
        keyspace.put("/app/host", "bad");
        await_that("the check is told", || render.log().contains("the check failed"));
        keyspace.delete("/app/host");
        let missing = "there is no key \"/app/host\": app.conf stays as it is";
        await_that("what is missing is told", || render.log().contains(missing));
        assert_eq!(stage.read("app.conf"), "host=one\nalice=rw\nbob=r\n");
        keyspace.put("/app/host", "two");
        made("host=two\nalice=rw\nbob=r\n");
        await_that("it is reloaded", || stage.read("reloads").matches("--").count() == 3);
        assert!(!stage.read("reloads").contains("bad"));
        render.signal(Signal::INT);
        assert_eq!(render.ended().code(), Some(0));
        let left = std::fs::read_dir(stage.folder.path()).expect("it is there");
        let hidden = left.flatten().filter(|it| it.file_name().to_string_lossy().starts_with('.'));
        assert_eq!(hidden.count(), 0, "no draft is left");
    });
}

#[test]
fn once_a_file_is_made_or_the_reason_is_the_exit_code() {
    let stage = Stage::ours(1);
    let keyspace = Keyspace::of(&stage.cluster);
    stage.write("app.j2", TEMPLATE);
    stage.write("broken.j2", "a\n{% for x in %}\n");
    let once = |more: &[&str]| stage.run(&[&["config", "render"], more, &["--once"]].concat());
    let broken = once(&["broken.j2", "-o", "out"]);
    assert_eq!(broken.code, 1);
    assert!(broken.stderr.starts_with("error: broken.j2: line 2: "), "{broken:?}");
    let missing = once(&["app.j2", "-o", "out"]);
    assert_eq!(missing.code, 1);
    assert!(
        missing.stderr.contains("app.j2: line 1: there is no key \"/app/host\""),
        "{missing:?}"
    );
    assert!(!stage.path("out").exists());
    keyspace.put("/app/host", "one");
    assert_eq!(once(&["app.j2", "-o", "out"]).code, 0);
    assert_eq!(stage.read("out"), "host=one\n");
    keyspace.put("/app/host", "two");
    let refused = once(&["app.j2", "-o", "out", "--check", "exit 3"]);
    assert!(refused.code == 3 && refused.stderr.contains("the check failed"), "{refused:?}");
    assert_eq!(stage.read("out"), "host=one\n");
    let untold = once(&["app.j2", "-o", "out", "--reload", "exit 4"]);
    assert!(untold.code == 4 && untold.stderr.contains("the reload failed"), "{untold:?}");
    assert!(untold.stderr.contains("out is new all the same"), "{untold:?}");
    assert_eq!(stage.read("out"), "host=two\n");
    keyspace.put("/app/host", "one");
    assert_eq!(once(&["app.j2", "-o", "out"]).code, 0);
    keyspace.put("/app/host", "two");
    let shown = once(&["app.j2", "--dry-run"]);
    assert_eq!((shown.code, shown.stdout.as_str()), (0, "host=two\n"));
    let nowhere = once(&["app.j2"]);
    assert!(nowhere.stderr.contains("-o FILE"), "{nowhere:?}");
    a_full_disk(&stage, &keyspace);
}

#[test]
fn what_is_no_file_is_not_replaced_and_not_read_either() {
    let stage = Stage::ours(1);
    Keyspace::of(&stage.cluster).put("/app/host", "one");
    stage.write("app.j2", TEMPLATE);
    let made = Command::new("mkfifo").arg(stage.path("pipe")).status().expect("mkfifo runs");
    assert!(made.success());
    for target in ["/dev/full", "/dev/zero", "pipe"] {
        // It does not wait for better times either: there will be none.
        let refused = stage.run(&["config", "render", "app.j2", "-o", target]);
        let why =
            format!("error: {target} is no regular file: it is not replaced\nhint: --dry-run");
        assert!(refused.code == 1 && refused.stderr.starts_with(&why), "{refused:?}");
    }
    // Who sends the output into a file wants what is in there to stay.
    stage.write("log", "before\n");
    let log = OpenOptions::new().append(true).open(stage.path("log")).expect("it is there");
    let mut command = stage.command(&["config", "render", "app.j2", "-o", "/dev/stdout", "--once"]);
    let status = command.stdout(log).stderr(Stdio::null()).status().expect("kvorum runs");
    assert_eq!((status.code(), stage.read("log").as_str()), (Some(1), "before\n"));
}

#[test]
fn what_never_ends_is_not_read_for_ever() {
    let stage = Stage::ours(1);
    for (args, why) in [
        (&["put", "/k"][..], "standard input has more than 64 MiB"),
        (&["cas", "/k", "--absent"], "standard input has more than 64 MiB"),
        (&["seq", "put", "/jobs", "--lines"], "standard input has more than 64 MiB"),
        (&["import", "-", "--yes"], "line 1: it has more than "),
        (&["import", "/dev/zero", "--yes"], "line 1: it has more than "),
    ] {
        let zeros = std::fs::File::open("/dev/zero").expect("there is one");
        let output = stage.command(args).stdin(zeros).output().expect("kvorum runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(why), "{args:?}: {said}");
    }
    assert_eq!(stage.count(""), 0);
}

#[test]
fn a_rehearsal_names_the_variables_and_runs_nothing() {
    let stage = Stage::ours(1);
    Keyspace::of(&stage.cluster).put("/app/password", "secret");
    let said = stage.say(&["config", "run", "/app/", "--dry-run", "--", "touch", "a file"]);
    assert_eq!(said, "would run touch 'a file', with 1 variable\npassword\n");
    assert!(!stage.path("a file").exists());
}

/// A limit on the size of files stands in for a full disk: 8 KiB.
fn a_full_disk(stage: &Stage, keyspace: &Keyspace) {
    keyspace.put("/app/host", &"x".repeat(64 * 1024));
    let rendering = stage.command(&["config", "render", "app.j2", "-o", "out", "--once"]);
    let mut shell = Command::new("bash");
    shell.args(["-c", "ulimit -f 8; trap '' XFSZ; exec \"$@\"", "bash"]);
    shell.arg(rendering.get_program()).args(rendering.get_args());
    shell.env("ETCDCTL_ENDPOINTS", stage.cluster.endpoints()).current_dir(stage.folder.path());
    let output = shell.stdin(Stdio::null()).output().expect("bash runs");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("cannot be written: File too large"), "{complaint}");
    assert_eq!(stage.read("out"), "host=one\n");
}

#[test]
fn a_prefix_that_grows_too_large_is_followed_no_further_and_the_command_goes_on() {
    let stage = Stage::ours(1);
    let keyspace = Keyspace::of(&stage.cluster);
    keyspace.put("/app/greeting", "hello");
    let mut run = shown(&stage, &[]);
    await_that("it runs", || stage.read("seen") == "hello\n");
    // A name that cannot be a variable's keeps the command from being started with so much.
    for n in 0..17 {
        keyspace.put(format!("/app/{n}"), &"x".repeat(1 << 20));
    }
    await_that("it says so", || run.log().contains("hears of no change"));
    for n in 0..17 {
        keyspace.delete(&format!("/app/{n}"));
    }
    keyspace.put("/app/greeting", "again");
    run.terminate();
    assert_eq!(run.ended().code(), Some(143));
    assert_eq!(stage.read("run").matches("hears of no change").count(), 1);
    assert_eq!(stage.read("seen"), "hello\n");
}

#[test]
fn a_pipe_that_nobody_writes_can_be_interrupted() {
    let stage = Stage::ours(1);
    let made = Command::new("mkfifo").arg(stage.path("pipe")).status().expect("mkfifo runs");
    assert!(made.success());
    for args in [
        &["import", "pipe"][..],
        &["apply", "pipe"],
        &["config", "push", "pipe", "/app/", "--format", "yaml"],
    ] {
        let mut process = stage.start("reads", args);
        // It opens for writing once somebody reads.
        let mut pipe = OpenOptions::new();
        pipe.write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let pipe = until(WITHIN, || pipe.open(stage.path("pipe")).ok()).expect("it is read");
        process.signal(Signal::INT);
        assert_eq!(process.ended().code(), Some(130), "{args:?}");
        drop(pipe);
    }
}

#[test]
fn an_interrupt_leaves_no_command_behind() {
    let stage = Stage::ours(1);
    Keyspace::of(&stage.cluster).put("/app/host", "one");
    stage.write("app.j2", TEMPLATE);
    let hang = "echo $$ > pid; sleep 600; true";
    let args = ["config", "render", "app.j2", "-o", "out", "--check", hang];
    let mut render = stage.start("render", &args);
    await_that("the check runs", || stage.read("pid").ends_with('\n'));
    let pid = stage.read("pid");
    render.signal(Signal::INT);
    assert_eq!(render.ended().code(), Some(130));
    gone(&pid);
    assert!(!Path::exists(&stage.path("out")));
}
