//! Signals that ask the program to end. Whoever has something to tidy up waits for them.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Somebody outside wants the program to end, or its terminal is gone. From its making on these
/// signals end nothing by themselves, for the rest of the process.
pub struct Ended {
    terminate: Signal,
    hangup: Signal,
}

impl Ended {
    /// Must be made within a runtime.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Returns when the program is to end.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// Somebody wants a command to end that holds something: Ctrl-C, or a service manager. From its
/// making on these signals end nothing by themselves, for the rest of the process.
pub struct Interrupted {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupted {
    /// Must be made within a runtime.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Returns when a signal has come since it was waited for last.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Signals that are meant for the command that runs in this program's place. From its making on
/// they end nothing by themselves, for the rest of the process.
pub struct Relayed {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Relayed {
    /// Must be made within a runtime.
    pub fn new() -> io::Result<Self> {
        Ok(Self { hangup: Some(signal(SignalKind::hangup())?), ..Self::without_hangup()? })
    }

    /// Without the one that etcdctl leaves alone.
    pub fn without_hangup() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: None,
        })
    }

    /// The next one. Dropping the future loses none.
    pub async fn next(&mut self) -> rustix::process::Signal {
        tokio::select! {
            _ = self.interrupt.recv() => rustix::process::Signal::INT,
            _ = self.terminate.recv() => rustix::process::Signal::TERM,
            Some(()) = async { self.hangup.as_mut()?.recv().await } => {
                rustix::process::Signal::HUP
            }
        }
    }
}
