//! Carrying commands out: one file each. A command asks the cluster and prints the answer; parsing
//! is over, and where the output goes is the [`Session`]'s affair.
//!
//! Every command is a future. Dropping it cancels the command, and nothing else.

mod alarm;
mod auth;
mod check;
mod child;
mod compaction;
mod completion;
mod defrag;
mod del;
mod downgrade;
mod effect;
mod elect;
mod endpoint;
pub(crate) mod files;
mod get;
mod guard;
mod holding;
mod input;
mod lease;
mod lock;
mod make_mirror;
mod member;
mod move_leader;
pub mod own;
mod part;
mod plan;
mod printout;
mod put;
mod remember;
mod role;
mod snapshot;
mod txn;
mod unfinished;
mod user;
mod version;
mod watch;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use kvorum_client::contexts::Places;
use kvorum_client::{Connection, Failure};
use thiserror::Error;

pub(crate) use completion::shell;
pub use effect::{Effect, effect};
pub(crate) use guard::admit;
pub use input::Input;
pub(crate) use printout::Printout;
pub(crate) use unfinished::Unfinished;
pub use version::{API_VERSION, ETCD_VERSION};
pub(crate) use watch::{follow, gap_text};

use crate::args::{Command, UsageError, WatchVariables};
use crate::exit;
use crate::manner::Manner;
use crate::mode::Mode;
use crate::output::{Answer, PrintError, Style};
use crate::settings::DEFAULT_ENDPOINTS;
use crate::{run, usage};

/// What a command works with.
pub struct Session {
    pub mode: Mode,
    pub connection: Connection,
    pub style: Style,
    pub manner: Manner,
    pub out: Box<dyn Write + Send>,
    pub err: Box<dyn Write + Send>,
    pub input: Input,
    pub confirm: Confirm,
    /// A key to watch, from variables.
    pub watch_variables: WatchVariables,
    /// A command is in the middle of what has to come to an end, and sees to Ctrl-C itself.
    pub unfinished: Arc<AtomicBool>,
    /// Where contexts are kept; `None` without a home, and as etcdctl.
    pub places: Option<Places>,
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
    /// With what to do about it.
    #[error("{message}")]
    Hinted { code: u8, message: String, hint: String },
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
            // etcdctl logs in while it connects.
            Self::Failure { failure, code: exit::ERROR, .. } if failure.is_bad_credentials() => {
                exit::BAD_CONNECTION
            }
            Self::Failure { code, .. }
            | Self::Silent { code }
            | Self::Other { code, .. }
            | Self::Hinted { code, .. } => *code,
            Self::Print(
                PrintError::Unsupported(_) | PrintError::TooManyRows | PrintError::NoMarshal(_),
            ) => exit::BAD_FEATURE,
            Self::Print(PrintError::Io(_) | PrintError::Masked) => exit::ERROR,
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
                Some(nobody_there(failure).to_owned())
            }
            Self::Failure { failure, .. } => failure.hint(),
            Self::Hinted { hint, .. } => Some(hint.clone()),
            Self::Print(PrintError::Io(error)) if lacks_space(error) => {
                Some("the output is cut: make room where it goes, or send it elsewhere".to_owned())
            }
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

fn lacks_space(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// What to do where nobody listens. Who has named a place knows of a cluster there.
fn nobody_there(failure: &Failure) -> &'static str {
    let is_default = matches!(failure, Failure::Unreachable(errors)
        if errors.iter().all(|error| error.endpoint == DEFAULT_ENDPOINTS));
    if is_default {
        "kvorum playground, or kvorum ctx add"
    } else {
        "check that a member runs there, and that this is its client port (2379 unless it was changed)"
    }
}

impl Session {
    /// An outcome that only `--exit-status` tells from success.
    fn finer(&self, success: bool, code: u8) -> Result<(), CommandError> {
        if success || !self.manner.exit_status {
            return Ok(());
        }
        Err(CommandError::Silent { code })
    }

    fn printout(&mut self) -> Printout<'_> {
        let style = self.style.clone();
        Printout { mode: self.mode, style, out: &mut *self.out, err: &mut *self.err }
    }

    fn print(&mut self, answer: Answer<'_>) -> Result<(), CommandError> {
        self.printout().print(answer)
    }

    fn say(&mut self, line: &str) -> Result<(), CommandError> {
        self.printout().say(line)
    }

    /// A failure in the words of whoever is talked to.
    fn reason(&self, failure: &Failure) -> String {
        match self.mode {
            Mode::Etcdctl => failure.etcdctl_text(),
            Mode::Kvorum => failure.to_string(),
        }
    }

    /// Says something on the side. Nobody listening is no reason to stop.
    fn remark(&mut self, line: &str) {
        let line = match self.mode {
            Mode::Etcdctl => line.to_owned(),
            Mode::Kvorum => run::said(line, self.manner.color),
        };
        self.printout().remark(&line);
    }
}

/// Carries one command out.
pub async fn execute(command: &Command, session: &mut Session) -> Result<(), CommandError> {
    if session.mode == Mode::Kvorum
        && let Some(intent) = effect::intent(command)
        && guard::is_only_meant(&intent, session).await?
    {
        return Ok(());
    }
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
        Command::Alarm(args) => alarm::execute(args, session).await,
        Command::Auth(args) => auth::execute(args, session).await,
        Command::User(args) => user::execute(args, session).await,
        Command::Role(args) => role::execute(args, session).await,
        Command::Defrag(args) => defrag::execute(args, session).await,
        Command::MoveLeader(args) => move_leader::execute(args, session).await,
        Command::Downgrade(args) => downgrade::execute(args, session).await,
        Command::Options { .. } => session.say(usage::options(session.mode).trim_end()),
        Command::Lock(args) => lock::execute(args, session).await,
        Command::Elect(args) => elect::execute(args, session).await,
        Command::MakeMirror(args) => make_mirror::execute(args, session).await,
        Command::Check(args) => check::execute(args, session).await,
        Command::Completion(args) => completion::execute(args, session),
        Command::Version => session.say(&version::text(session.mode)),
    }
}

/// What `version` says; it needs no cluster.
pub fn version_text(mode: Mode) -> String {
    version::text(mode)
}

#[cfg(test)]
mod tests {
    use kvorum_client::{Cause, ConnectError, Failure};

    use super::nobody_there;

    #[test]
    fn who_has_named_no_place_is_told_how_to_get_one() {
        let refused = |endpoint: &str| {
            let error = ConnectError { endpoint: endpoint.to_owned(), cause: Cause::Refused };
            Failure::Unreachable(vec![error])
        };
        assert!(nobody_there(&refused("127.0.0.1:2379")).starts_with("kvorum playground"));
        assert!(nobody_there(&refused("127.0.0.1:2389")).contains("client port (2379"));
    }
}
