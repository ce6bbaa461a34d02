//! What goes on for longer: locks, elections, mirrors, checks.

use rustix::process::Signal;

use super::{Case, Mask, Script};

/// Of sessions, in one format.
pub(super) fn sessions(script: &mut Script) {
    let lines = script.by_format(2, 1, 12);
    // The second one has it because the first one gave it back.
    for signal in [Signal::INT, Signal::TERM] {
        goes_on(script.run("lock queue"), lines, signal);
    }
    goes_on(script.run("lock queue --ttl 5"), lines, Signal::TERM);
    for signal in [Signal::INT, Signal::TERM] {
        goes_on(script.run("elect queue \"first\\nlast\""), lines, signal);
    }
    script.run("get --prefix queue");
}

fn goes_on(case: &mut Case, lines: usize, signal: Signal) {
    case.mask = Mask::Session;
    case.lines = Some(lines);
    case.signal = signal;
}

/// What has one format, or none.
pub(super) fn once() -> Vec<Case> {
    let mut script = Script { format: "", cases: Vec::new() };
    commands(&mut script);
    mistakes(&mut script);
    script.cases
}

fn commands(script: &mut Script) {
    for line in [
        "lock queue -- sh -c \"echo $ETCD_LOCK_KEY $ETCD_LOCK_REV\"",
        "lock queue echo while it is held",
        "lock --ttl=3 queue true",
        "lock --ttl 0 queue true",
        "lock queue nosuchcommand",
        "lock queue false",
    ] {
        script.run(line).mask = Mask::Session;
    }
    // The command has no input.
    script.run("lock queue cat").input = "never read\n";
    script.run("lock queue -- sh -c \"echo before; exit 3\"").row = Some("lock-exit-code");
    script.run("lock queue -- sh -c \"kill -9 $$\"").row = Some("lock-exit-code");
    script.run("get --prefix queue");
}

fn mistakes(script: &mut Script) {
    script.run_all(&[
        "lock",
        "elect",
        "elect queue",
        "elect queue a b",
        "elect queue a -l",
        "elect -l",
        "make-mirror",
        "make-mirror a:1 b:1",
        "make-mirror {ENDPOINT} --dest-prefix a --no-dest-prefix",
        "check perf --load huge",
        "check datascale --load huge",
        "put check/1 there",
        "check perf --prefix check/",
        "check datascale --prefix check/ --load=small",
        "get --prefix check/",
    ]);
}
