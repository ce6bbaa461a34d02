//! `alarm list|disarm`

use clap::{Args, Subcommand};

use super::{UsageError, no_arguments};

/// Alarms: what members have found to be wrong
#[derive(Debug, Clone, Args)]
#[command(disable_help_subcommand = true)]
pub struct AlarmArgs {
    #[command(subcommand)]
    pub command: AlarmCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum AlarmCommand {
    /// Disarm all alarms
    Disarm {
        #[arg(hide = true)]
        operands: Vec<String>,
    },
    /// List the alarms that are raised
    List {
        #[arg(hide = true)]
        operands: Vec<String>,
    },
}

impl AlarmArgs {
    pub(super) fn check(&self) -> Result<(), UsageError> {
        match &self.command {
            AlarmCommand::Disarm { operands } => {
                no_arguments(operands, "alarm disarm command accepts no arguments")
            }
            AlarmCommand::List { operands } => {
                no_arguments(operands, "alarm list command accepts no arguments")
            }
        }
    }
}
