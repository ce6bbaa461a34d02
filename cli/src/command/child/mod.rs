//! A command of somebody's that runs while a verb holds something for it: started with more
//! variables, told of signals, stopped, and its exit code passed on.

mod family;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use rustix::termios::tcgetpgrp;
use tokio::process;
use tokio::time::{Instant, timeout_at};

use super::{CommandError, Input};
use crate::exit;
use crate::output::go;

/// What is to be run, and how.
#[derive(Debug, Clone)]
pub(crate) struct Order<'a> {
    /// The program and its arguments; never empty.
    pub(crate) words: &'a [OsString],
    /// Added to the variables of this process.
    pub(crate) variables: Vec<(OsString, OsString)>,
    /// Whether it reads this process's standard input; else its input is empty.
    pub(crate) reads_input: bool,
}

/// A command that runs. It stays in the process group of this one, so that it has the terminal as if
/// it had been typed alone. Dropped, it is killed: what was held for it is held no longer.
pub(crate) struct Child {
    process: process::Child,
}

/// Why a command does not run.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be run: {}", go::quote(self.program.as_encoded_bytes()), self.reason())]
pub(crate) struct NotStarted {
    pub(crate) program: OsString,
    pub(crate) error: io::Error,
}

/// How long a command may take to end after TERM before it is killed: what service managers give
/// at least, and longer than most take to tidy up.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// What shells answer for a program that is not there.
const NOT_FOUND: u8 = 127;

/// What shells answer for one that is there and cannot be run.
const NOT_EXECUTABLE: u8 = 126;

/// Shells answer this and the signal's number for what a signal has ended.
const SIGNALLED: u8 = 128;

impl Order<'_> {
    /// Whether a command reads what this process would: only where nobody else reads it, which is
    /// so on a command line and not in the shell.
    pub(crate) fn may_read(input: &Input) -> bool {
        matches!(input, Input::Standard(None))
    }

    pub(crate) fn start(&self) -> Result<Child, NotStarted> {
        let (program, arguments) = match self.words {
            [program, arguments @ ..] => (program.as_os_str(), arguments),
            [] => (OsStr::new(""), &[][..]),
        };
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        let process = process::Command::new(program)
            .args(arguments)
            .envs(variables)
            .stdin(if self.reads_input { Stdio::inherit() } else { Stdio::null() })
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| NotStarted { program: program.to_owned(), error })?;
        Ok(Child { process })
    }
}

impl Child {
    /// Waits for its end. Dropping the future loses nothing.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.process.wait().await
    }

    /// Sends it a signal; one that has ended gets none.
    pub(crate) fn signal(&self, signal: Signal) {
        // Without an id it has been waited for, and its number may be another's.
        let id = self.process.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = id.and_then(Pid::from_raw) {
            // It may end in this moment, which is what most signals are for.
            let _ = kill_process(pid, signal);
        }
    }

    /// Passes a signal on that this process got. An interrupt from the terminal went to the whole
    /// group in front, the command with it: a second one would mean more than was typed.
    pub(crate) fn pass_on(&self, signal: Signal) {
        if signal == Signal::INT && has_terminal() {
            return;
        }
        self.signal(signal);
    }

    /// Ends it and what it has started: TERM, and KILL for whoever is still there after `grace`.
    ///
    /// A shell that is ended leaves its own commands running, and these would go on with what is
    /// held no longer.
    pub(crate) async fn stop(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        let deadline = Instant::now() + grace;
        let family = self.process.id().map(family::below).unwrap_or_default();
        self.signal(Signal::TERM);
        for relative in &family {
            relative.signal(Signal::TERM);
        }
        let ended = timeout_at(deadline, async {
            let status = self.ended().await;
            family::gone(&family).await;
            status
        });
        if let Ok(status) = ended.await {
            return status;
        }
        // Whose parent has ended is below nobody here any more.
        for relative in &family {
            relative.signal(Signal::KILL);
        }
        self.kill().await
    }

    /// Ends it and what it has started, at once.
    pub(crate) async fn kill(&mut self) -> io::Result<ExitStatus> {
        let family = self.process.id().map(family::below).unwrap_or_default();
        self.signal(Signal::KILL);
        for relative in &family {
            relative.signal(Signal::KILL);
        }
        self.ended().await
    }
}

/// Whether this process is in front of its terminal.
fn has_terminal() -> bool {
    let in_front = File::open("/dev/tty").and_then(|terminal| Ok(tcgetpgrp(terminal)?));
    in_front.is_ok_and(|group| group == getpgrp())
}

/// The command's end as that of this process: its exit code, and 128 and the number of a signal.
pub(crate) fn outcome(status: ExitStatus) -> Result<(), CommandError> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(CommandError::Silent { code: code.to_le_bytes()[0] }),
        // Whoever pressed Ctrl-C knows; a shell says nothing about it either.
        (None, Some(signal)) if signal == Signal::INT.as_raw() => {
            Err(CommandError::Silent { code: exit::SIGINT })
        }
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            Err(CommandError::Other {
                code: code_of(signal),
                message: format!("the command was ended by signal {signal}"),
            })
        }
    }
}

/// The exit code that says which signal has ended something.
pub(crate) fn code_of(signal: i32) -> u8 {
    SIGNALLED.wrapping_add(signal.to_le_bytes()[0])
}

impl NotStarted {
    fn reason(&self) -> String {
        match self.error.kind() {
            io::ErrorKind::NotFound => "there is no such program".to_owned(),
            _ => self.error.to_string(),
        }
    }
}

impl From<NotStarted> for CommandError {
    fn from(error: NotStarted) -> Self {
        let code = match error.error.kind() {
            io::ErrorKind::NotFound => NOT_FOUND,
            _ => NOT_EXECUTABLE,
        };
        Self::Other { code, message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs;
    use std::time::Duration;

    use rustix::process::Signal;

    use super::{Child, NotStarted, Order, outcome};
    use crate::command::CommandError;

    /// Longer than anything here takes.
    const LONG: Duration = Duration::from_secs(60);

    fn start(words: &[&str]) -> Result<Child, NotStarted> {
        let words: Vec<OsString> = words.iter().map(Into::into).collect();
        let variables = vec![("GIVEN".into(), "7".into())];
        Order { words: &words, variables, reads_input: false }.start()
    }

    fn shell(script: &str) -> Child {
        start(&["sh", "-c", script]).unwrap()
    }

    fn code(outcome: Result<(), CommandError>) -> u8 {
        outcome.err().map_or(0, |error| error.code())
    }

    #[tokio::test]
    async fn its_own_exit_code_is_passed_on_and_that_of_a_signal_as_shells_have_it() {
        for (script, expected) in [("exit 0", 0), ("exit $GIVEN", 7), ("kill -9 $$", 137)] {
            let status = shell(script).ended().await.unwrap();
            assert_eq!(code(outcome(status)), expected, "{script}");
        }
    }

    #[test]
    fn what_cannot_be_run_has_the_codes_of_shells() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        for (program, expected, reason) in [
            ("no-such-program", 127, "\"no-such-program\" cannot be run: there is no such program"),
            ("/etc/passwd", 126, "\"/etc/passwd\" cannot be run: Permission denied"),
        ] {
            let error = CommandError::from(start(&[program]).err().unwrap());
            assert_eq!(error.code(), expected);
            assert!(error.to_string().starts_with(reason), "{error}");
        }
    }

    #[tokio::test]
    async fn a_signal_reaches_it() {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        let script =
            format!("trap 'exit 3' HUP; : > {}; while :; do sleep 0.01; done", ready.display());
        let mut child = shell(&script);
        while !ready.exists() {
            tokio::task::yield_now().await;
        }
        child.signal(Signal::HUP);
        assert_eq!(child.ended().await.unwrap().code(), Some(3));
        // Nobody is there any more, and nobody else gets it.
        child.signal(Signal::KILL);
    }

    #[tokio::test]
    async fn it_is_stopped_with_what_it_has_started_and_killed_if_it_does_not_listen() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("below");
        for (trap, grace) in [("", LONG), ("trap '' TERM; ", Duration::from_millis(50))] {
            let script = format!("{trap}sleep 600 & echo $! > {}; wait; wait", below.display());
            let mut child = shell(&script);
            let pid = loop {
                let written = fs::read_to_string(&below).unwrap_or_default();
                match written.strip_suffix('\n') {
                    Some(pid) => break pid.to_owned(),
                    None => tokio::task::yield_now().await,
                }
            };
            assert!(!child.stop(grace).await.unwrap().success());
            let state = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            while !(state().is_empty() || state().contains(") Z ")) {
                tokio::task::yield_now().await;
            }
            fs::remove_file(&below).unwrap();
        }
    }

    #[tokio::test]
    async fn it_can_be_started_again() {
        let words = ["sh", "-c", "exit $GIVEN"].map(OsString::from);
        let variables = vec![("GIVEN".into(), "4".into())];
        let mut order = Order { words: &words, variables, reads_input: false };
        assert_eq!(order.start().unwrap().ended().await.unwrap().code(), Some(4));
        order.variables[0].1 = "5".into();
        assert_eq!(order.start().unwrap().ended().await.unwrap().code(), Some(5));
    }
}
