//! `lock <name> [command…]`

use std::ffi::OsString;

use clap::Args;

use super::UsageError;
use super::value::{bytes_of, parse_int};

/// Have a lock for as long as a command runs, or until this is interrupted
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "lock [OPTIONS] <LOCKNAME> [-- COMMAND...]",
    after_help = "A command finds the lock's key in ETCD_LOCK_KEY and the revision at which it was \
                  got in ETCD_LOCK_REV.\n\nExamples:\n  lock nightly -- ./backup.sh --full\n  \
                  lock nightly --ttl 30"
)]
pub struct LockArgs {
    /// Name of the lock, and what to run while it is held
    #[arg(value_name = "LOCKNAME")]
    pub operands: Vec<OsString>,

    /// Seconds after which the lock is free if whoever holds it dies
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_int,
          allow_hyphen_values = true)]
    pub ttl: i64,
}

/// What to lock, and what to run meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockPlan {
    pub name: Vec<u8>,
    /// Empty: hold the lock until a signal comes.
    pub command: Vec<OsString>,
    pub ttl_s: i64,
}

/// Of a session of etcd's client that names none.
pub(super) const DEFAULT_TTL_S: i64 = 60;

impl LockArgs {
    pub fn plan(&self) -> Result<LockPlan, UsageError> {
        let Some((name, command)) = self.operands.split_first() else {
            return Err(UsageError::arguments(
                "lock takes a lock name argument and an optional command to execute",
            ));
        };
        let ttl_s = if self.ttl > 0 { self.ttl } else { DEFAULT_TTL_S };
        Ok(LockPlan { name: bytes_of(name), command: command.to_vec(), ttl_s })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::{Command, Line, LockPlan};

    fn plan(words: &[&str]) -> Option<LockPlan> {
        let line = Line::try_parse_from([&["etcdctl", "lock"], words].concat()).ok()?;
        let Some(Command::Lock(args)) = line.command else { panic!("it is a lock") };
        args.plan().ok()
    }

    #[test]
    fn what_follows_the_name_is_run() {
        let expected =
            LockPlan { name: b"n".to_vec(), command: vec!["ls".into(), "-l".into()], ttl_s: 5 };
        for words in
            [&["n", "--ttl=5", "--", "ls", "-l"][..], &["--ttl", "5", "n", "ls", "--", "-l"]]
        {
            assert_eq!(plan(words).as_ref(), Some(&expected), "{words:?}");
        }
        assert_eq!(plan(&["n", "--ttl", "-1"]).unwrap().ttl_s, 60);
        assert!(plan(&[]).is_none() && plan(&["n", "ls", "-l"]).is_none());
    }
}
