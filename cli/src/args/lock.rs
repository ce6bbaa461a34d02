//! `lock <name> [command…]`

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;

use super::value::{bytes_of, parse_duration, parse_int};
use super::{BEYOND, OnLost, UsageError};
use crate::mode::Mode;

/// Have a lock for as long as a command runs, or until this is interrupted
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "lock [OPTIONS] <LOCKNAME> [-- COMMAND...]",
    after_help = "A command finds the lock's key in ETCD_LOCK_KEY, the revision at which it was got \
                  in ETCD_LOCK_REV, and in KVORUM_LOCK_TOKEN the fencing token, which is higher for \
                  each later holder: whatever the command writes to can refuse a lower one than it \
                  has seen.\nEnds with the command's own exit code (128 and the number of a signal \
                  that ended it); 75 if --try finds the lock taken, 124 if the --timeout is up, 76 \
                  if the lock was lost.\n\nExamples:\n  kvorum lock nightly -- ./backup.sh --full\n  \
                  kvorum lock nightly --try -- ./backup.sh\n  kvorum lock nightly --timeout 30s --on-lost \
                  kill -- ./backup.sh"
)]
pub struct LockArgs {
    /// Name of the lock; as of etcdctl, what to run may follow it without --
    #[arg(value_name = "LOCKNAME")]
    pub operands: Vec<OsString>,

    /// Run this while the lock is held
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,

    /// Seconds after which the lock is free if whoever holds it dies
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_int,
          allow_hyphen_values = true)]
    pub ttl: i64,

    /// Do not wait: exit with 75 if somebody else has the lock
    #[arg(long = "try", conflicts_with = "lock_timeout", help_heading = BEYOND)]
    pub at_once: bool,

    /// Wait so long at most, and exit with 124 then
    #[arg(id = "lock_timeout", long = "timeout", value_name = "DURATION",
          value_parser = parse_duration, help_heading = BEYOND)]
    pub timeout: Option<Duration>,

    /// What happens to the command when the lock is lost while it runs
    #[arg(long, value_name = "WHAT", value_enum, default_value_t, help_heading = BEYOND)]
    pub on_lost: OnLost,
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
    pub fn plan(&self, mode: Mode) -> Result<LockPlan, UsageError> {
        // To etcdctl, what follows `--` are operands as any.
        let words = match (mode, self.command.as_slice()) {
            // A name that looks like a flag.
            (Mode::Kvorum, [name, dashes, command @ ..])
                if self.operands.is_empty() && dashes == "--" =>
            {
                [std::slice::from_ref(name), command].concat()
            }
            (Mode::Kvorum, [_, ..]) if self.operands.is_empty() => {
                let text = "the name of the lock goes before the --: lock NAME -- COMMAND";
                return Err(UsageError::arguments(text));
            }
            _ => [&*self.operands, &*self.command].concat(),
        };
        let Some((name, command)) = words.split_first() else {
            return Err(UsageError::arguments(
                "lock takes a lock name argument and an optional command to execute",
            ));
        };
        if mode == Mode::Kvorum && name.is_empty() {
            return Err(UsageError::arguments("the name of a lock is not empty"));
        }
        let ttl_s = if self.ttl > 0 { self.ttl } else { DEFAULT_TTL_S };
        Ok(LockPlan { name: bytes_of(name), command: command.to_vec(), ttl_s })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::{Command, Line, LockPlan};
    use crate::mode::Mode;

    fn plan_in(mode: Mode, words: &[&str]) -> Option<LockPlan> {
        let line = Line::try_parse_from([&["kvorum", "lock"], words].concat()).ok()?;
        let Some(Command::Lock(args)) = line.command else { panic!("it is a lock") };
        args.plan(mode).ok()
    }

    fn plan(words: &[&str]) -> Option<LockPlan> {
        let plans = [Mode::Kvorum, Mode::Etcdctl].map(|mode| plan_in(mode, words));
        assert_eq!(plans[0], plans[1]);
        plans.into_iter().next().flatten()
    }

    #[test]
    fn a_name_may_look_like_a_flag() {
        let plan = plan_in(Mode::Kvorum, &["--", "-n", "--", "ls", "-l"]).unwrap();
        assert_eq!((plan.name.as_slice(), plan.command.len()), (&b"-n"[..], 2));
    }

    #[test]
    fn a_command_is_not_taken_for_a_forgotten_name_except_as_etcdctl() {
        for words in [&["--", "ls"][..], &["--try", "--", "ls"], &["", "--", "ls"], &[""]] {
            assert!(plan_in(Mode::Kvorum, words).is_none(), "{words:?}");
            assert!(plan_in(Mode::Etcdctl, words).is_some(), "{words:?}");
        }
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
