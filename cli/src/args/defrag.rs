//! `defrag`

use clap::Args;

use super::BEYOND;
use super::value::parse_bool;

/// Give the free space of members' databases back to their disks
#[derive(Debug, Clone, Args)]
#[command(override_usage = "defrag [OPTIONS]")]
pub struct DefragArgs {
    /// All endpoints of the member list
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub cluster: bool,

    /// Every member, the leader last and after its leadership was handed over; stops at the first
    /// that is not well
    #[arg(long, conflicts_with = "cluster", help_heading = BEYOND)]
    pub rolling: bool,

    #[arg(hide = true)]
    pub ignored: Vec<String>,
}
