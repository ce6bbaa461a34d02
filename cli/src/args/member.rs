//! `member list`

use clap::{Args, Subcommand};

use super::{UsageError, is_serializable};

/// The members of the cluster
#[derive(Debug, Clone, Args)]
#[command(disable_help_subcommand = true)]
pub struct MemberArgs {
    #[command(subcommand)]
    pub command: MemberCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum MemberCommand {
    List(MemberListArgs),
}

/// List the members: ID, status, name, peer addresses, client addresses, whether a learner
#[derive(Debug, Clone, Args)]
pub struct MemberListArgs {
    /// Linearizable (l) or serializable (s)
    #[arg(long, value_name = "l|s", default_value = "l", allow_hyphen_values = true)]
    pub consistency: String,

    #[arg(hide = true)]
    pub ignored: Vec<String>,
}

impl MemberArgs {
    pub(super) fn check(&self) -> Result<(), UsageError> {
        match &self.command {
            MemberCommand::List(args) => args.serializable().map(drop),
        }
    }
}

impl MemberListArgs {
    pub fn serializable(&self) -> Result<bool, UsageError> {
        is_serializable(&self.consistency)
    }
}
