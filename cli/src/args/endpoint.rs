//! `endpoint health|status`

use clap::{Args, Subcommand};

use super::value::parse_bool;

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
