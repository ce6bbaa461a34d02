//! `elect <name> [proposal]`

use std::ffi::OsString;

use clap::Args;

use super::value::{bytes_of, parse_bool};
use super::{BEYOND, OnLost, UsageError};
use crate::mode::Mode;

/// Stand for an election, or see who leads
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "elect [OPTIONS] <ELECTION-NAME> [PROPOSAL] [-- COMMAND...]",
    after_help = "A command finds the leader's key in KVORUM_LEADER_KEY and the fencing token in \
                  KVORUM_LOCK_TOKEN. Ends with the command's own exit code, or with 76 if the \
                  leadership was lost.\n\nExamples:\n  kvorum elect scheduler node-1\n  kvorum \
                  elect scheduler node-1 -- ./scheduler\n  kvorum elect scheduler --listen"
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

    /// Run this while one leads
    #[arg(last = true, value_name = "COMMAND", help_heading = BEYOND)]
    pub command: Vec<OsString>,

    /// Seconds after which another leads if whoever leads dies; 60, as of etcdctl, without
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(1..),
          help_heading = BEYOND)]
    pub ttl: Option<i64>,

    /// What happens to the command when the leadership is lost while it runs
    #[arg(long, value_name = "WHAT", value_enum, default_value_t, help_heading = BEYOND)]
    pub on_lost: OnLost,
}

/// A part in an election.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElectPlan {
    pub name: Vec<u8>,
    /// `None`: to listen.
    pub proposal: Option<Vec<u8>>,
    /// Empty: lead until a signal comes.
    pub command: Vec<OsString>,
    /// Of the session under which one stands.
    pub ttl_s: i64,
}

impl ElectArgs {
    pub fn plan(&self, mode: Mode) -> Result<ElectPlan, UsageError> {
        // To etcdctl, what follows `--` are operands as any.
        let (operands, command) = match mode {
            Mode::Etcdctl => ([&*self.operands, &*self.command].concat(), Vec::new()),
            Mode::Kvorum => (self.operands.clone(), self.command.clone()),
        };
        if self.listen && !command.is_empty() {
            return Err(UsageError::arguments("who listens does not lead, and runs no command"));
        }
        let (name, proposal) = match (operands.as_slice(), self.listen) {
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
        if mode == Mode::Kvorum && name.is_empty() {
            return Err(UsageError::arguments("the name of an election is not empty"));
        }
        let ttl_s = self.ttl.unwrap_or(super::lock::DEFAULT_TTL_S);
        Ok(ElectPlan { name: bytes_of(name), proposal, command, ttl_s })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::ElectPlan;
    use crate::args::{Command, Line};
    use crate::mode::Mode;

    fn plan(words: &[&str], mode: Mode) -> Option<ElectPlan> {
        let line = Line::try_parse_from([&["kvorum", "elect"], words].concat()).ok()?;
        let Some(Command::Elect(args)) = line.command else { panic!("it is an election") };
        args.plan(mode).ok()
    }

    #[test]
    fn what_follows_two_dashes_is_run_and_to_etcdctl_an_operand() {
        let words = ["n", "p", "--", "ls", "-l"];
        assert_eq!(plan(&words, Mode::Kvorum).unwrap().command, ["ls", "-l"]);
        assert!(plan(&words, Mode::Etcdctl).is_none());
        let words = ["n", "--", "p"];
        assert_eq!(plan(&words, Mode::Etcdctl).unwrap().proposal.unwrap(), b"p");
        assert!(plan(&words, Mode::Kvorum).is_none());
        assert!(plan(&["-l", "n", "--", "ls"], Mode::Kvorum).is_none());
        assert!(
            plan(&["", "p"], Mode::Kvorum).is_none() && plan(&["", "p"], Mode::Etcdctl).is_some()
        );
    }
}
