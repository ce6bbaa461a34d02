//! A process that a test has started, and that does not outlive it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::until;

/// How long a process may take to end after it was asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// A running process whose output goes to a file. Dropping it kills it.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it prints is appended to `log`.
    pub fn start(mut command: Command, log: &Path) -> io::Result<Process> {
        let mut file = OpenOptions::new().create(true).append(true).open(log)?;
        writeln!(file, "--- {command:?}")?;
        let errors: File = file.try_clone()?;
        let child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn()?;
        Ok(Process { child, log: log.to_owned() })
    }

    /// What all runs with this log file have printed.
    pub fn log(&self) -> String {
        read_log(&self.log)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked about")
    }

    /// The CPU time that it has used, all its threads together.
    pub fn cpu(&self) -> Duration {
        // The last fields of the line are counted from the end of the name, which may hold spaces.
        const USER: usize = 11;
        const TICKS_PER_SECOND: u64 = 100;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("a process that runs can be asked about");
        let after_name = stat.rsplit(") ").next().unwrap_or_default();
        let fields = after_name.split(' ').skip(USER).take(2);
        let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap_or(0)).sum();
        Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
    }

    /// `kill -9`, without waiting for it to be gone.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
    }

    /// Stops it where it is: when this returns, none of its threads runs.
    pub fn suspend(&mut self) {
        self.signal(Signal::STOP);
        let is_still = || self.is_still().then_some(());
        until(ENDS_WITHIN, is_still).expect("a process that is told to stop does");
    }

    /// A thread runs until it has heard of the signal.
    fn is_still(&self) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.id())) else { return false };
        threads.flatten().all(|thread| {
            let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            status.lines().any(|line| line.starts_with("State:\tT"))
        })
    }

    pub fn resume(&mut self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to end, as a service manager would.
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Waits until it is gone.
    pub fn ended(mut self) -> ExitStatus {
        let log = self.log.clone();
        until(ENDS_WITHIN, || self.has_ended())
            .unwrap_or_else(|| panic!("the process does not end:\n{}", read_log(&log)))
    }

    pub fn signal(&mut self, signal: Signal) {
        // A child that has been waited for has no id any more: its number may be another's.
        if self.has_ended().is_none() {
            let pid = Pid::from_child(&self.child);
            kill_process(pid, signal).expect("a child can be signalled");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        self.child.wait().expect("a killed child ends");
    }
}

/// The last part of a log, which is what a failing test should show.
pub fn tail(log: &str) -> &str {
    const LINES: usize = 30;
    let start = log.rmatch_indices('\n').nth(LINES).map_or(0, |(at, _)| at + 1);
    &log[start..]
}

fn read_log(path: &Path) -> String {
    std::fs::read(path)
        .map_or_else(|_| String::new(), |log| String::from_utf8_lossy(&log).into_owned())
}
