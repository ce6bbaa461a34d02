//! `watch [key] [range_end] [-- command…]`

use std::ffi::OsString;

use clap::{Args, Parser};
use kvorum_client::{KeyRange, Watch};

use super::UsageError;
use super::value::{bytes_of, parse_bool, parse_int};

/// Print the changes of a key or of a range of keys as they happen
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "watch [OPTIONS] [KEY] [RANGE_END] [-- COMMAND...]",
    after_help = "A command after -- runs for each event and finds it in ETCD_WATCH_REVISION,\n\
                  ETCD_WATCH_EVENT_TYPE, ETCD_WATCH_KEY and ETCD_WATCH_VALUE.\n\nExamples:\n  \
                  watch --prefix /config/\n  watch /config/app --rev 1 --prev-kv"
)]
pub struct WatchArgs {
    /// The key, and if a range is meant the first key after it
    #[arg(value_name = "KEY")]
    pub keys: Vec<OsString>,

    /// Run this for each event
    #[arg(last = true, value_name = "COMMAND")]
    pub exec: Option<Vec<OsString>>,

    /// Read watches to open from standard input
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub interactive: bool,

    /// Every key that begins with KEY
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub prefix: bool,

    /// From this revision on
    #[arg(long, value_name = "REV", default_value = "0", value_parser = parse_int,
          hide_default_value = true, allow_hyphen_values = true)]
    pub rev: i64,

    /// Print what was there before, too
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub prev_kv: bool,

    /// Print now and then up to which revision everything was seen
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub progress_notify: bool,
}

/// A key from `ETCDCTL_WATCH_KEY` and `ETCDCTL_WATCH_RANGE_END`.
#[derive(Debug, Clone, Default)]
pub struct WatchVariables {
    pub key: OsString,
    pub range_end: OsString,
}

/// What to watch, and what to run.
#[derive(Debug, Clone)]
pub struct WatchPlan {
    pub watch: Watch,
    /// Empty: print only.
    pub exec: Vec<OsString>,
}

/// A line of `watch -i`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, args_override_self = true, disable_help_flag = true)]
struct WatchLine {
    #[command(flatten)]
    args: WatchArgs,
}

impl WatchVariables {
    pub fn check(&self) -> Result<(), UsageError> {
        if self.key.is_empty() && !self.range_end.is_empty() {
            return Err(UsageError::arguments(format!(
                "ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END={}",
                crate::output::go::quote(&bytes_of(&self.range_end))
            )));
        }
        Ok(())
    }
}

impl WatchArgs {
    /// Reads the words of one line of `watch -i`, the word `watch` not included.
    pub fn parse_line(words: &[OsString]) -> Result<Self, String> {
        WatchLine::try_parse_from(words)
            .map(|line| line.args)
            .map_err(|error| crate::cobra::flag_error(&error))
    }

    pub fn plan(&self, variables: &WatchVariables) -> Result<WatchPlan, UsageError> {
        let exec = match &self.exec {
            Some(exec) if exec.is_empty() => {
                return Err(bad_number("(found separator --, but no commands)"));
            }
            exec => exec.clone().unwrap_or_default(),
        };
        let mut keys = self.keys.clone();
        if !variables.key.is_empty() {
            if !keys.is_empty() {
                return Err(bad_number("(found conflicting environment key)"));
            }
            keys.push(variables.key.clone());
            if !variables.range_end.is_empty() {
                keys.push(variables.range_end.clone());
            }
        }
        let range = match keys.as_slice() {
            [] => return Err(bad_number("")),
            [key] if self.prefix => KeyRange::prefix(bytes_of(key)),
            [_, _] if self.prefix => {
                return Err(UsageError::arguments(
                    "`range_end` and `--prefix` are mutually exclusive",
                ));
            }
            [key, end] => KeyRange::between(bytes_of(key), bytes_of(end)),
            // etcdctl ignores what follows.
            [key, ..] => KeyRange::single(bytes_of(key)),
        };
        let watch = Watch {
            range,
            start_revision: self.rev,
            prev_kv: self.prev_kv,
            progress_notify: self.progress_notify,
            fragment: false,
        };
        Ok(WatchPlan { watch, exec })
    }
}

fn bad_number(detail: &str) -> UsageError {
    UsageError::arguments(format!("bad number of arguments {detail}").trim_end().to_owned())
}
