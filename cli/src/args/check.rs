//! `check perf|datascale`

use std::ffi::OsString;

use clap::{Args, Subcommand};

use super::UsageError;
use super::value::{bytes_of, parse_bool};

/// Try whether the cluster is up to a load
#[derive(Debug, Clone, Args)]
#[command(disable_help_subcommand = true)]
pub struct CheckArgs {
    #[command(subcommand)]
    pub command: CheckCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum CheckCommand {
    /// Write at a steady rate for a minute, and see whether the cluster keeps up
    Perf(CheckLoadArgs),
    /// Write many keys, and see how much memory the first endpoint needs for them
    Datascale(CheckLoadArgs),
}

#[derive(Debug, Clone, Args)]
pub struct CheckLoadArgs {
    #[arg(hide = true)]
    ignored: Vec<String>,

    /// How much: s(mall), m(edium), l(arge) or xl (xLarge)
    #[arg(long, value_name = "LOAD", default_value = "s", allow_hyphen_values = true)]
    load: String,

    /// Before the keys that are written, all of which are deleted afterwards [default:
    /// /etcdctl-check-perf/ or /etcdctl-check-datascale/]
    #[arg(long, value_name = "PREFIX", allow_hyphen_values = true)]
    prefix: Option<OsString>,

    /// Compact the history of them afterwards
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub auto_compact: bool,

    /// Defragment the endpoints afterwards
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub auto_defrag: bool,
}

/// etcdctl's workloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadSize {
    Small,
    Medium,
    Large,
    ExtraLarge,
}

impl CheckArgs {
    pub(super) fn check(&self) -> Result<(), UsageError> {
        let (CheckCommand::Perf(args) | CheckCommand::Datascale(args)) = &self.command;
        args.size().map(drop)
    }
}

impl CheckLoadArgs {
    pub fn size(&self) -> Result<LoadSize, UsageError> {
        match self.load.as_str() {
            "s" | "small" => Ok(LoadSize::Small),
            "m" | "medium" => Ok(LoadSize::Medium),
            "l" | "large" => Ok(LoadSize::Large),
            "xl" | "xLarge" => Ok(LoadSize::ExtraLarge),
            other => Err(UsageError::feature(format!("unknown load option {other}"))),
        }
    }

    pub fn prefix(&self, otherwise: &str) -> Vec<u8> {
        self.prefix.as_deref().map_or_else(|| otherwise.as_bytes().to_vec(), bytes_of)
    }
}
