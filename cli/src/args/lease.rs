//! `lease grant|revoke|timetolive|list|keep-alive`

use clap::{Args, Subcommand};

use super::UsageError;
use super::value::{parse_bool, parse_radix};

/// Leases: keys that go away by themselves
#[derive(Debug, Clone, Args)]
#[command(disable_help_subcommand = true)]
pub struct LeaseArgs {
    #[command(subcommand)]
    pub command: LeaseCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum LeaseCommand {
    Grant(LeaseGrantArgs),
    Revoke(LeaseIdArgs),
    Timetolive(LeaseTimeToLiveArgs),
    /// List the leases there are
    List,
    KeepAlive(LeaseKeepAliveArgs),
}

/// Create a lease
#[derive(Debug, Clone, Args)]
#[command(override_usage = "lease grant <TTL>")]
pub struct LeaseGrantArgs {
    /// Time to live, in seconds
    #[arg(value_name = "TTL")]
    pub operands: Vec<String>,
}

/// End a lease and delete its keys
#[derive(Debug, Clone, Args)]
#[command(override_usage = "lease revoke <ID>")]
pub struct LeaseIdArgs {
    /// The lease, in hexadecimal
    #[arg(value_name = "ID")]
    pub operands: Vec<String>,
}

/// Say how long a lease has left
#[derive(Debug, Clone, Args)]
#[command(override_usage = "lease timetolive <ID> [OPTIONS]")]
pub struct LeaseTimeToLiveArgs {
    /// The lease, in hexadecimal
    #[arg(value_name = "ID")]
    pub operands: Vec<String>,

    /// And which keys are attached
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub keys: bool,
}

/// Keep a lease alive for as long as this runs
#[derive(Debug, Clone, Args)]
#[command(override_usage = "lease keep-alive [OPTIONS] <ID>")]
pub struct LeaseKeepAliveArgs {
    /// The lease, in hexadecimal
    #[arg(value_name = "ID")]
    pub operands: Vec<String>,

    /// Renew it once and exit
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub once: bool,
}

impl LeaseArgs {
    pub(super) fn check(&self) -> Result<(), UsageError> {
        match &self.command {
            LeaseCommand::Grant(args) => args.ttl_s().map(drop),
            LeaseCommand::Revoke(args) => args.id().map(drop),
            LeaseCommand::Timetolive(args) => args.id().map(drop),
            LeaseCommand::KeepAlive(args) => args.id().map(drop),
            LeaseCommand::List => Ok(()),
        }
    }
}

impl LeaseGrantArgs {
    pub fn ttl_s(&self) -> Result<i64, UsageError> {
        let [ttl] = self.operands.as_slice() else {
            return Err(UsageError::arguments("lease grant command needs TTL argument"));
        };
        parse_radix(ttl, 10).map_err(|error| UsageError::arguments(format!("bad TTL ({error})")))
    }
}

impl LeaseIdArgs {
    pub fn id(&self) -> Result<i64, UsageError> {
        lease_id(&self.operands, "lease revoke command needs 1 argument")
    }
}

impl LeaseTimeToLiveArgs {
    pub fn id(&self) -> Result<i64, UsageError> {
        lease_id(&self.operands, "lease timetolive command needs lease ID as argument")
    }
}

impl LeaseKeepAliveArgs {
    pub fn id(&self) -> Result<i64, UsageError> {
        lease_id(&self.operands, "lease keep-alive command needs lease ID as argument")
    }
}

fn lease_id(operands: &[String], missing: &str) -> Result<i64, UsageError> {
    let [id] = operands else { return Err(UsageError::arguments(missing)) };
    parse_radix(id, 16).map_err(|error| {
        UsageError::arguments(format!("bad lease ID arg ({error}), expecting ID in Hex"))
    })
}
