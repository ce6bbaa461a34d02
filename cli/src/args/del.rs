//! `del <key> [range_end]`

use std::ffi::OsString;

use clap::Args;
use kvorum_client::Delete;

use super::UsageError;
use super::get::{CHOOSE_ONE, key_range};
use super::value::parse_bool;

/// Delete a key or a range of keys
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "del [OPTIONS] <KEY> [RANGE_END]",
    after_help = "Examples:\n  del /config/app\n  del --prefix /config/"
)]
pub struct DelArgs {
    /// The key, and if a range is meant the first key after it
    #[arg(value_name = "KEY")]
    pub keys: Vec<OsString>,

    /// Every key that begins with KEY
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub prefix: bool,

    /// Print what was there before
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub prev_kv: bool,

    /// Every key from KEY on
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub from_key: bool,

    /// A range is meant: do not wait two seconds for second thoughts
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub range: bool,
}

impl DelArgs {
    pub fn request(&self) -> Result<Delete, UsageError> {
        if self.keys.is_empty() || self.keys.len() > 2 {
            return Err(UsageError::arguments(
                "del command needs one argument as key and an optional argument as range_end",
            ));
        }
        if self.prefix && self.from_key {
            return Err(UsageError::arguments(CHOOSE_ONE));
        }
        let range = key_range(&self.keys, self.prefix, self.from_key)?;
        Ok(Delete { range, prev_kv: self.prev_kv })
    }
}
