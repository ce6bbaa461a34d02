//! `auth enable|disable|status`

use clap::{Args, Subcommand};

use super::{UsageError, no_arguments};

/// Whether requests need a user
#[derive(Debug, Clone, Args)]
#[command(disable_help_subcommand = true)]
pub struct AuthArgs {
    #[command(subcommand)]
    pub command: AuthCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum AuthCommand {
    /// Need no user from now on
    Disable {
        #[arg(hide = true)]
        operands: Vec<String>,
    },
    /// Need a user from now on; there must be one called root
    Enable {
        #[arg(hide = true)]
        operands: Vec<String>,
    },
    /// Say whether a user is needed
    Status {
        #[arg(hide = true)]
        operands: Vec<String>,
    },
}

impl AuthArgs {
    pub(super) fn check(&self) -> Result<(), UsageError> {
        let (operands, text) = match &self.command {
            AuthCommand::Disable { operands } => {
                (operands, "auth disable command does not accept any arguments")
            }
            AuthCommand::Enable { operands } => {
                (operands, "auth enable command does not accept any arguments")
            }
            AuthCommand::Status { operands } => {
                (operands, "auth status command does not accept any arguments")
            }
        };
        no_arguments(operands, text)
    }
}
