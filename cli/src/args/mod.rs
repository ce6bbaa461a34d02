//! What can be typed, and what it means: parsing only. No file, variable, terminal or network is
//! touched here, so that the shell parses its lines with the same types as the command line.
//!
//! Flags follow etcdctl's: a boolean flag also takes `=true`, a repeated flag is overridden by its
//! last use, flags may follow arguments, `--` ends them. Whether the arguments make sense together
//! is decided by each command's `request()`, because etcdctl answers that with texts and exit codes
//! of its own.

mod alarm;
mod auth;
mod check;
mod compaction;
mod completion;
mod defrag;
mod del;
mod downgrade;
mod elect;
mod endpoint;
mod files;
mod get;
mod global;
mod lease;
mod lock;
mod make_mirror;
pub(crate) mod member;
mod move_leader;
mod narrow;
pub mod own;
mod preferences;
mod put;
pub(crate) mod role;
mod snapshot;
pub mod txn;
pub(crate) mod user;
mod value;
mod watch;

use clap::{Parser, Subcommand, ValueEnum};

pub use alarm::{AlarmArgs, AlarmCommand};
pub use auth::{AuthArgs, AuthCommand};
pub use check::{CheckArgs, CheckCommand, CheckLoadArgs, LoadSize};
pub use compaction::CompactionArgs;
pub use completion::{CompletionArgs, Shell};
pub use defrag::DefragArgs;
pub use del::DelArgs;
pub use downgrade::{DowngradeArgs, DowngradeCommand};
pub use elect::{ElectArgs, ElectPlan};
pub use endpoint::{EndpointArgs, EndpointCommand};
pub use files::{
    DefragDirArgs, FileCommand, FileLine, FileSnapshotArgs, FileSnapshotCommand, HashkvArgs,
    MigrateArgs,
};
pub use get::GetArgs;
pub use global::Global;
pub use lease::{
    LeaseArgs, LeaseCommand, LeaseGrantArgs, LeaseIdArgs, LeaseKeepAliveArgs, LeaseTimeToLiveArgs,
};
pub use lock::{LockArgs, LockPlan};
pub use make_mirror::{DestUser, MakeMirrorArgs};
pub use member::{MemberAddArgs, MemberArgs, MemberCommand, MemberListArgs, MemberUpdateArgs};
pub use move_leader::MoveLeaderArgs;
pub(crate) use narrow::narrowed;
pub use own::{Alone, Own};
pub use preferences::{Preferences, When};
pub use put::{PutArgs, PutRequest};
pub use role::{
    Grant, PermissionRange, Revocation, RoleArgs, RoleCommand, RoleGrantArgs, RoleRevokeArgs,
};
pub use snapshot::{
    SnapshotArgs, SnapshotCommand, SnapshotRestoreArgs, SnapshotSaveArgs, SnapshotStatusArgs,
};
pub use txn::TxnArgs;
pub use user::{
    NewPassword, NewUser, UserAddArgs, UserArgs, UserCommand, UserGetArgs, UserPasswdArgs,
};
pub use value::{bytes_of, parse_bool, parse_duration, parse_int};
pub use watch::{WatchArgs, WatchPlan, WatchVariables};

use crate::exit;
use crate::mode::Mode;

/// A command line, or a line of the shell.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "kvorum",
    about = "A terminal for every etcd, and a server to run one",
    version,
    args_override_self = true,
    disable_help_subcommand = true,
    subcommand_required = false,
    infer_long_args = false
)]
pub struct Line {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do with a cluster.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    Put(PutArgs),
    Get(GetArgs),
    Del(DelArgs),
    Txn(TxnArgs),
    Watch(WatchArgs),
    Lease(LeaseArgs),
    Compaction(CompactionArgs),
    Member(MemberArgs),
    Endpoint(EndpointArgs),
    Snapshot(SnapshotArgs),
    Alarm(AlarmArgs),
    Auth(AuthArgs),
    User(UserArgs),
    Role(RoleArgs),
    Defrag(DefragArgs),
    MoveLeader(MoveLeaderArgs),
    Downgrade(DowngradeArgs),
    /// List the flags that every command takes
    Options {
        #[arg(hide = true)]
        ignored: Vec<String>,
    },
    Lock(LockArgs),
    Elect(ElectArgs),
    MakeMirror(Box<MakeMirrorArgs>),
    Check(CheckArgs),
    Completion(CompletionArgs),
    /// Print the version of this program and of the API it speaks
    Version,
}

/// The heading of flags that etcdctl does not have: under its name they are unknown.
pub(crate) const BEYOND: &str = "Beyond etcdctl";

/// What happens to a command when what it was started for is lost while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OnLost {
    /// Say so, and let it go on
    Warn,
    /// Ask it to end, and kill it after ten seconds
    #[default]
    Term,
    /// Kill it at once
    Kill,
}

/// Arguments that cannot be carried out, with the exit code etcdctl has for them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UsageError {
    pub code: u8,
    pub message: String,
}

impl UsageError {
    pub fn arguments(message: impl Into<String>) -> Self {
        Self { code: exit::BAD_ARGUMENTS, message: message.into() }
    }

    pub fn feature(message: impl Into<String>) -> Self {
        Self { code: exit::BAD_FEATURE, message: message.into() }
    }
}

impl Command {
    /// Whether the arguments make sense, without doing anything.
    pub fn check(&self) -> Result<(), UsageError> {
        match self {
            Self::Put(args) => args.request().map(drop),
            Self::Get(args) => args.request().map(drop),
            Self::Del(args) => args.request().map(drop),
            Self::Txn(args) => args.check(),
            Self::Lease(args) => args.check(),
            Self::Compaction(args) => args.revision().map(drop),
            Self::Member(args) => args.check(),
            Self::Snapshot(args) => args.check(),
            Self::Alarm(args) => args.check(),
            Self::Auth(args) => args.check(),
            Self::User(args) => args.check(),
            Self::Role(args) => args.check(),
            Self::MoveLeader(args) => args.target().map(drop),
            Self::Downgrade(args) => args.action().map(drop),
            Self::Lock(args) => {
                args.plan(Mode::Kvorum).or_else(|_| args.plan(Mode::Etcdctl)).map(drop)
            }
            Self::Elect(args) => {
                args.plan(Mode::Kvorum).or_else(|_| args.plan(Mode::Etcdctl)).map(drop)
            }
            Self::MakeMirror(args) => args.plan(Mode::Etcdctl).map(drop),
            Self::Check(args) => args.check(),
            Self::Completion(args) => args.shell("etcdctl").map(drop),
            // A watch may take its key from a variable.
            Self::Watch(_)
            | Self::Endpoint(_)
            | Self::Defrag(_)
            | Self::Options { .. }
            | Self::Version => Ok(()),
        }
    }
}

/// Exactly so many operands, or etcdctl's words for another number of them.
fn exactly<'a, const COUNT: usize>(
    operands: &'a [String],
    otherwise: &str,
) -> Result<&'a [String; COUNT], UsageError> {
    operands.try_into().map_err(|_| UsageError::arguments(otherwise))
}

fn no_arguments(operands: &[String], otherwise: &str) -> Result<(), UsageError> {
    exactly::<0>(operands, otherwise).map(drop)
}

/// One choice of `--consistency`.
pub(crate) fn is_serializable(consistency: &str) -> Result<bool, UsageError> {
    match consistency {
        "l" => Ok(false),
        "s" => Ok(true),
        other => Err(UsageError::feature(format!(
            "unknown consistency flag {}",
            crate::output::go::quote(other.as_bytes())
        ))),
    }
}

/// The one operand that there must be.
fn only<T>(operands: &[T], otherwise: impl FnOnce() -> UsageError) -> Result<&T, UsageError> {
    match operands {
        [operand] => Ok(operand),
        _ => Err(otherwise()),
    }
}
