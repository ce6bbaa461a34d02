//! The global flags that only `kvorum` has: how it shows things, and how careful it is.

use clap::{Args, ValueEnum};

use super::value::parse_bool;

#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Options of kvorum's own")]
pub struct Preferences {
    /// Output for people and programs: simple, fields, table, json, ndjson, yaml, raw, keys,
    /// jsonpath=PATH. Text is text, IDs are strings; -w has etcdctl's formats
    #[arg(short, long, global = true, value_name = "FORMAT", conflicts_with = "write_out")]
    pub output: Option<String>,

    /// The cluster to work with, by its name among the contexts
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,

    /// Let nothing that changes the cluster leave this program
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = parse_bool, hide_possible_values = true)]
    pub read_only: Option<bool>,

    /// Say what would be written or deleted, and write nothing
    #[arg(long, global = true)]
    pub dry_run: bool,

    /// Answer every question with yes
    #[arg(long, short, global = true)]
    pub yes: bool,

    /// Say nothing but the result
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say on standard error what was asked of whom, and how long it took
    #[arg(long, short, global = true)]
    pub verbose: bool,

    /// No boxes, no colours, nothing drawn twice, states in words
    #[arg(long, global = true)]
    pub plain: bool,

    /// Colours: on a terminal (auto), always or never; `NO_COLOR` is never
    #[arg(long, global = true, value_name = "WHEN", value_enum)]
    pub color: Option<When>,

    /// Do not page long output on a terminal
    #[arg(long, global = true)]
    pub no_pager: bool,

    /// Show values below the masked prefixes (by default /registry/secrets)
    #[arg(long, global = true)]
    pub reveal: bool,

    /// Finer exit codes: 10 not found, 11 the transaction's else, 12 nothing there, 2 usage,
    /// 69 unreachable, 77 denied, 124 timed out
    #[arg(long, global = true)]
    pub exit_status: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    Auto,
    Always,
    Never,
}
