//! `compaction <revision>`

use clap::Args;

use super::UsageError;
use super::value::{parse_bool, parse_radix};
use crate::exit;

/// Give up the history before a revision
#[derive(Debug, Clone, Args)]
#[command(override_usage = "compaction [OPTIONS] <REVISION>")]
pub struct CompactionArgs {
    /// The oldest revision to keep
    #[arg(value_name = "REVISION")]
    pub operands: Vec<String>,

    /// Wait until the space is free
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub physical: bool,
}

impl CompactionArgs {
    pub fn revision(&self) -> Result<i64, UsageError> {
        let [revision] = self.operands.as_slice() else {
            return Err(UsageError::arguments("compaction command needs 1 argument"));
        };
        parse_radix(revision, 10).map_err(|message| UsageError { code: exit::ERROR, message })
    }
}
