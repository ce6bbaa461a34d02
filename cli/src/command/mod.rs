//! Carrying commands out: one file each. A command asks the cluster and prints the answer; parsing
//! is over, and where the output goes is the [`Session`]'s affair.
//!
//! Every command is a future. Dropping it cancels the command, and nothing else.

mod compaction;
mod del;
mod endpoint;
mod get;
mod input;
mod lease;
mod member;
mod put;
mod snapshot;
mod txn;
mod version;
mod watch;

use std::io::{self, Write};

use kvorum_client::{Connection, Failure};
use thiserror::Error;

pub use input::Input;
pub use version::{API_VERSION, ETCD_VERSION};

use crate::args::{Command, UsageError, WatchVariables};
use crate::exit;
use crate::mode::Mode;
use crate::output::{Answer, PrintError, Style};

/// What a command works with.
pub struct Session {
    pub mode: Mode,
    pub connection: Connection,
    pub style: Style,
    pub out: Box<dyn Write + Send>,
    pub err: Box<dyn Write + Send>,
    pub input: Input,
    pub confirm: Confirm,
    /// A key to watch, from variables.
    pub watch_variables: WatchVariables,
}

/// What happens before a range is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// The person at [`Session::input`] is asked.
    Ask,
    /// Nobody can be asked: `--yes` is needed.
    Require,
    /// As etcdctl: nothing, or a pause of two seconds.
    Etcdctl,
}

/// Why a command did not succeed.
#[derive(Debug, Error)]
pub enum CommandError {
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The cluster could not be asked, or refused. `context` is etcdctl's introduction.
    #[error("{failure}")]
    Failure { failure: Failure, code: u8, context: Option<&'static str> },
    #[error(transparent)]
    Print(#[from] PrintError),
    /// Everything has been said already.
    #[error("")]
    Silent { code: u8 },
    #[error("{message}")]
    Other { code: u8, message: String },
}

impl From<Failure> for CommandError {
    fn from(failure: Failure) -> Self {
        Self::Failure { failure, code: exit::ERROR, context: None }
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        Self::Print(PrintError::Io(error))
    }
}

impl CommandError {
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(error) => error.code,
            Self::Failure { code, .. } | Self::Silent { code } | Self::Other { code, .. } => *code,
            Self::Print(PrintError::Unsupported(_)) => exit::BAD_FEATURE,
            Self::Print(PrintError::Io(_)) => exit::ERROR,
        }
    }

    /// The reader of the output went away, which is not an error.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Print(PrintError::Io(error))
            if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// What to do about it, if something can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Failure { failure, .. } if failure.nothing_listens() => {
                Some("kvorum playground".to_owned())
            }
            Self::Failure { failure, .. } => failure.hint(),
            _ => None,
        }
    }

    /// The words etcdctl has for it.
    pub fn etcdctl_text(&self) -> String {
        match self {
            Self::Failure { failure, context: Some(context), .. } => {
                format!("{context} ({})", failure.etcdctl_text())
            }
            Self::Failure { failure, .. } => failure.etcdctl_text(),
            other => other.to_string(),
        }
    }
}

impl Session {
    fn print(&mut self, answer: Answer<'_>) -> Result<(), CommandError> {
        self.style.printer().print(answer, &mut self.out)?;
        self.out.flush()?;
        Ok(())
    }

    fn say(&mut self, line: &str) -> Result<(), CommandError> {
        writeln!(self.out, "{line}")?;
        self.out.flush()?;
        Ok(())
    }

    /// Says something on the side. Nobody listening is no reason to stop.
    fn remark(&mut self, line: &str) {
        let _ = writeln!(self.err, "{line}");
        let _ = self.err.flush();
    }
}

/// Carries one command out.
pub async fn execute(command: &Command, session: &mut Session) -> Result<(), CommandError> {
    match command {
        Command::Put(args) => put::execute(args, session).await,
        Command::Get(args) => get::execute(args, session).await,
        Command::Del(args) => del::execute(args, session).await,
        Command::Txn(args) => txn::execute(args, session).await,
        Command::Watch(args) => watch::execute(args, session).await,
        Command::Lease(args) => lease::execute(args, session).await,
        Command::Compaction(args) => compaction::execute(args, session).await,
        Command::Member(args) => member::execute(args, session).await,
        Command::Endpoint(args) => endpoint::execute(args, session).await,
        Command::Snapshot(args) => snapshot::execute(args, session).await,
        Command::Version => session.say(&version::text(session.mode)),
    }
}

/// What `version` says; it needs no cluster.
pub fn version_text(mode: Mode) -> String {
    version::text(mode)
}
