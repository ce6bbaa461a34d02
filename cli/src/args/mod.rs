//! What can be typed, and what it means: parsing only. No file, variable, terminal or network is
//! touched here, so that the shell parses its lines with the same types as the command line.
//!
//! Flags follow etcdctl's: a boolean flag also takes `=true`, a repeated flag is overridden by its
//! last use, flags may follow arguments, `--` ends them. Whether the arguments make sense together
//! is decided by each command's `request()`, because etcdctl answers that with texts and exit codes
//! of its own.

mod compaction;
mod del;
mod endpoint;
mod get;
mod global;
mod lease;
mod member;
mod put;
mod snapshot;
pub mod txn;
mod value;
mod watch;

use clap::{Parser, Subcommand};

pub use compaction::CompactionArgs;
pub use del::DelArgs;
pub use endpoint::{EndpointArgs, EndpointCommand};
pub use get::GetArgs;
pub use global::Global;
pub use lease::{
    LeaseArgs, LeaseCommand, LeaseGrantArgs, LeaseIdArgs, LeaseKeepAliveArgs, LeaseTimeToLiveArgs,
};
pub use member::{MemberArgs, MemberCommand, MemberListArgs};
pub use put::{PutArgs, PutRequest};
pub use snapshot::{
    SnapshotArgs, SnapshotCommand, SnapshotRestoreArgs, SnapshotSaveArgs, SnapshotStatusArgs,
};
pub use txn::TxnArgs;
pub use value::{bytes_of, parse_bool, parse_duration, parse_int};
pub use watch::{WatchArgs, WatchPlan, WatchVariables};

use crate::exit;

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
    /// Print the version of this program and of the API it speaks
    Version,
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
            // A watch may take its key from a variable.
            Self::Watch(_) | Self::Endpoint(_) | Self::Version => Ok(()),
        }
    }
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
