//! `elect <name> [proposal]`

use std::ffi::OsString;

use clap::Args;

use super::UsageError;
use super::value::{bytes_of, parse_bool};

/// Stand for an election, or see who leads
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "elect [OPTIONS] <ELECTION-NAME> [PROPOSAL]",
    after_help = "Examples:\n  elect scheduler node-1\n  elect scheduler --listen"
)]
pub struct ElectArgs {
    /// Name of the election, and what to propose as its leader
    #[arg(value_name = "ELECTION-NAME")]
    pub operands: Vec<OsString>,

    /// Only see who leads, and each new proposal
    #[arg(long, short, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub listen: bool,
}

/// A part in an election.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElectPlan {
    pub name: Vec<u8>,
    /// `None`: to listen.
    pub proposal: Option<Vec<u8>>,
    /// Of the session under which one stands.
    pub ttl_s: i64,
}

impl ElectArgs {
    pub fn plan(&self) -> Result<ElectPlan, UsageError> {
        let (name, proposal) = match (self.operands.as_slice(), self.listen) {
            ([name], true) => (name, None),
            ([name, proposal], false) => (name, Some(bytes_of(proposal))),
            ([_], false) => {
                return Err(UsageError::arguments("no proposal argument but -l not set"));
            }
            ([_, _], true) => return Err(UsageError::arguments("proposal given but -l is set")),
            _ => {
                return Err(UsageError::arguments(
                    "elect takes one election name argument and an optional proposal argument",
                ));
            }
        };
        Ok(ElectPlan { name: bytes_of(name), proposal, ttl_s: super::lock::DEFAULT_TTL_S })
    }
}
