//! `endpoint hashkv|health|status`

use clap::{Args, Subcommand};

use super::value::{parse_bool, parse_int};

/// Single endpoints: how they are
#[derive(Debug, Clone, Args)]
#[command(disable_help_subcommand = true)]
pub struct EndpointArgs {
    #[command(subcommand)]
    pub command: EndpointCommand,

    /// All endpoints of the member list
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = parse_bool)]
    pub cluster: Option<bool>,
}

#[derive(Debug, Clone, Subcommand)]
pub enum EndpointCommand {
    /// Print the hash of all keys and their history of each of --endpoints
    Hashkv {
        /// Up to this revision; 0 is the newest
        #[arg(long, value_name = "REV", default_value = "0", value_parser = parse_int,
              hide_default_value = true, allow_hyphen_values = true)]
        rev: i64,

        #[arg(hide = true)]
        ignored: Vec<String>,
    },
    /// Check whether each of --endpoints serves
    Health {
        #[arg(hide = true)]
        ignored: Vec<String>,
    },
    /// Print the status of each of --endpoints
    Status {
        #[arg(hide = true)]
        ignored: Vec<String>,
    },
}

impl EndpointArgs {
    pub fn whole_cluster(&self) -> bool {
        self.cluster.unwrap_or(false)
    }
}
