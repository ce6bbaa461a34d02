//! `config run`, `config render`, `config push`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ConfigPushArgs, ConfigRenderArgs, ConfigRunArgs};
use crate::args::{Preferences, UsageError};

/// Give programs a configuration that lies in the cluster
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub command: ConfigCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum ConfigCommand {
    Run(ConfigRunArgs),
    Render(ConfigRenderArgs),
    Push(ConfigPushArgs),
}

impl ConfigArgs {
    pub fn check(&self) -> Result<(), UsageError> {
        match &self.command {
            ConfigCommand::Run(_) | ConfigCommand::Push(_) => Ok(()),
            ConfigCommand::Render(args) => args.check(),
        }
    }

    /// Takes what was said with `-o`, if it is the name of a file.
    pub fn take_file(&mut self, preferences: &mut Preferences) {
        if let ConfigCommand::Render(args) = &mut self.command {
            args.file = preferences.output.take().map(PathBuf::from);
        }
    }
}
