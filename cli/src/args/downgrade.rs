//! `downgrade validate|enable|cancel`

use clap::{Args, Subcommand};
use kvorum_client::Downgrade;

use super::UsageError;

/// Going back to an older version of etcd, all members together
#[derive(Debug, Clone, Args)]
#[command(disable_help_subcommand = true)]
pub struct DowngradeArgs {
    #[command(subcommand)]
    pub command: DowngradeCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum DowngradeCommand {
    /// Give a downgrade up
    Cancel {
        #[arg(hide = true)]
        ignored: Vec<String>,
    },
    /// Begin a downgrade
    #[command(override_usage = "downgrade enable <TARGET_VERSION>")]
    Enable {
        #[arg(value_name = "TARGET_VERSION")]
        operands: Vec<String>,
    },
    /// Ask whether a downgrade could begin
    #[command(override_usage = "downgrade validate <TARGET_VERSION>")]
    Validate {
        #[arg(value_name = "TARGET_VERSION")]
        operands: Vec<String>,
    },
}

impl DowngradeArgs {
    pub fn action(&self) -> Result<Downgrade, UsageError> {
        match &self.command {
            DowngradeCommand::Cancel { .. } => Ok(Downgrade::Cancel),
            DowngradeCommand::Enable { operands } => target(operands).map(Downgrade::Enable),
            DowngradeCommand::Validate { operands } => target(operands).map(Downgrade::Validate),
        }
    }
}

fn target(operands: &[String]) -> Result<String, UsageError> {
    match operands {
        [] => Err(UsageError::arguments("TARGET_VERSION not provided")),
        [version] if version.is_empty() => {
            Err(UsageError::arguments("target version not provided"))
        }
        [version] => Ok(version.clone()),
        _ => Err(UsageError::arguments("too many arguments")),
    }
}
