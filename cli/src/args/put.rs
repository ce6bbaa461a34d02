//! `put <key> [value]`

use std::ffi::OsString;

use clap::Args;
use kvorum_client::Put;

use super::UsageError;
use super::value::{bytes_of, parse_bool, parse_radix};

/// Write a key
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "put [OPTIONS] <KEY> [VALUE]",
    after_help = "Without a value, the value is read from standard input.\nA value that begins \
                  with '-' goes after '--'.\n\nExamples:\n  put /config/app on\n  \
                  put /config/app -- -1\n  put /config/app < file"
)]
pub struct PutArgs {
    /// The key, and the value
    #[arg(value_name = "KEY VALUE")]
    pub operands: Vec<OsString>,

    /// Lease to attach, in hexadecimal
    #[arg(
        long,
        value_name = "ID",
        default_value = "0",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub lease: String,

    /// Print what was there before
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub prev_kv: bool,

    /// Keep the value that is there
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub ignore_value: bool,

    /// Keep the lease that is there
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub ignore_lease: bool,
}

/// A write, as far as the arguments tell.
#[derive(Debug, Clone)]
pub enum PutRequest {
    Ready(Put),
    /// The value is still to be read from standard input.
    NeedsValue(Put),
}

impl PutArgs {
    /// etcdctl's words when there is no key, or no value anywhere.
    pub const NEEDS: &str = "put command needs 1 argument and input from stdin or 2 arguments";

    pub fn request(&self) -> Result<PutRequest, UsageError> {
        let Some(key) = self.operands.first() else {
            return Err(UsageError::arguments(Self::NEEDS));
        };
        if self.ignore_value && self.operands.len() > 1 {
            return Err(UsageError::arguments(
                "put command needs only 1 argument when 'ignore-value' is set",
            ));
        }
        let lease = parse_radix(&self.lease, 16).map_err(|error| {
            UsageError::arguments(format!("bad lease ID ({error}), expecting ID in Hex"))
        })?;
        let put = Put {
            key: bytes_of(key),
            value: self.operands.get(1).map(|value| bytes_of(value)).unwrap_or_default(),
            lease,
            prev_kv: self.prev_kv,
            ignore_value: self.ignore_value,
            ignore_lease: self.ignore_lease,
        };
        let ready = self.ignore_value || self.operands.len() > 1;
        Ok(if ready { PutRequest::Ready(put) } else { PutRequest::NeedsValue(put) })
    }
}
