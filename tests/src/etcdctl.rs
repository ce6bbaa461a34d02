//! etcdctl, run as people run it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::program::Program;
use crate::wait::until;

/// How long a line that must come may take to come.
const COMES_WITHIN: Duration = Duration::from_secs(20);

/// etcdctl with the endpoints it talks to.
pub struct Etcdctl {
    program: Program,
    endpoints: String,
    more: Vec<String>,
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

/// A command that goes on until it is dropped, read line by line.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Etcdctl {
    pub fn new(program: &Program, endpoints: impl Into<String>) -> Etcdctl {
        Etcdctl { program: program.clone(), endpoints: endpoints.into(), more: Vec::new() }
    }

    /// The same with more flags to every command.
    pub fn with(mut self, flags: &[&str]) -> Etcdctl {
        self.more.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    /// Runs one command to its end.
    pub fn run(&self, args: &[&str]) -> Outcome {
        self.run_with(args, "")
    }

    /// Runs one command with this on its standard input.
    pub fn run_with(&self, args: &[&str], input: &str) -> Outcome {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().expect("etcdctl runs");
        let mut stdin: ChildStdin = child.stdin.take().expect("the input is a pipe");
        // A command that does not read its input may have closed it.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("etcdctl ends");
        Outcome {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// Runs a command that must succeed and gives what it prints.
    pub fn say(&self, args: &[&str]) -> String {
        let outcome = self.run(args);
        assert_eq!(outcome.code, 0, "etcdctl {args:?}: {outcome:?}");
        outcome.stdout
    }

    /// Runs a command that must succeed, with `-w json`.
    pub fn json(&self, args: &[&str]) -> Value {
        let said = self.say(&[args, &["-w", "json"]].concat());
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{args:?}: {error}: {said}"))
    }

    /// Starts a command that goes on, such as `watch`.
    pub fn start(&self, args: &[&str]) -> Running {
        let mut child = self.command(args).stdin(Stdio::null()).spawn().expect("etcdctl runs");
        let stdout = child.stdout.take().expect("the output is a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let whole = BufReader::new(stdout).lines().map_while(Result::ok);
            // Ends with the child, or when nobody reads any more.
            whole.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
        });
        Running { child, lines }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program.command();
        command
            .args(["--endpoints", &self.endpoints, "--command-timeout=20s", "--dial-timeout=10s"])
            .args(&self.more)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

impl Running {
    /// The next `count` lines, in order.
    pub fn lines(&mut self, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.len() < count {
            match self.lines.recv_timeout(COMES_WITHIN) {
                Ok(line) => lines.push(line),
                Err(why) => panic!("after {lines:?} nothing more came: {why}"),
            }
        }
        lines
    }
}

impl Running {
    /// Sends a signal, and says how the command ends.
    pub fn end(mut self, signal: Signal) -> Outcome {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("a child can be signalled");
        self.outcome()
    }

    /// Waits for the end, and says how it was: what was not read yet, and the exit code, -1 of a
    /// signal.
    pub fn ended(mut self) -> Outcome {
        self.outcome()
    }

    fn outcome(&mut self) -> Outcome {
        let ended = until(COMES_WITHIN, || self.child.try_wait().expect("it can be asked"));
        let code = ended.expect("the command ends").code().unwrap_or(-1);
        let mut stderr = String::new();
        if let Some(mut pipe) = self.child.stderr.take() {
            pipe.read_to_string(&mut stderr).expect("the pipe can be read");
        }
        let stdout = self.lines.iter().map(|line| line + "\n").collect();
        Outcome { stdout, stderr, code }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().expect("a killed child ends");
    }
}
