//! `history`, `diff`, `restore`, `rollback`, `undo`

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::show::{refuse_no_revision, split_revision};
use crate::args::{UsageError, bytes_of};

/// What keys were, and making them that again.
#[derive(Debug, Clone, Subcommand)]
pub enum Travel {
    History(HistoryArgs),
    Diff(DiffArgs),
    Restore(RestoreArgs),
    Rollback(RollbackArgs),
    Undo(UndoArgs),
}

/// Show what a key was, revision by revision
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "history [OPTIONS] <KEY>",
    after_help = "A key that is there is followed back to its creation. What was before, deletions \
                  among it, and what happened to all keys of a prefix is known to nobody but the \
                  history itself: with --all or --prefix it is read from the oldest revision that \
                  is kept on, by a member that is not the leader if there is one. What was \
                  compacted is gone.\n\nExamples:\n  history /config/app\n  history /config/app \
                  --values\n  history /config/gone --all\n  history /config/ --prefix --limit 20"
)]
pub struct HistoryArgs {
    /// The key
    #[arg(value_name = "KEY")]
    // The name `key` is taken by a global flag.
    operand: OsString,

    /// Deletions and earlier lives of the key as well
    #[arg(long)]
    pub all: bool,

    /// All keys that begin so
    #[arg(long)]
    pub prefix: bool,

    /// With the values
    #[arg(long)]
    pub values: bool,

    /// The newest so many
    #[arg(long, value_name = "REVISIONS", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}

/// Compare two states of a key or of all keys of a prefix
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "diff [OPTIONS] [KEY|PREFIX][@REV] [KEY|PREFIX[@REV]]",
    after_help = "What ends in / is a prefix, and so is everything with --prefix; anything else \
                  is one key. Without a second operand the state of now is compared with. Values \
                  are read only of what was changed.\nOf a key that ends in @ and digits itself, \
                  give --rev as well.\n\nExamples:\n  diff /config/@1204\n  diff /config/ --rev \
                  1204\n  diff /config/app@1204 /config/app@1260\n  diff /staging/ /prod/\n  diff \
                  /config/ --with-context prod\n  diff /config/ --snapshot backup.db"
)]
pub struct DiffArgs {
    /// What is compared, and with what
    #[arg(value_name = "KEY|PREFIX[@REV]", num_args = 0..=2)]
    operands: Vec<OsString>,

    /// The revision of the first operand
    #[arg(long, value_name = "REV", value_parser = clap::value_parser!(i64).range(1..))]
    rev: Option<i64>,

    /// All keys that begin so, whatever they end in
    #[arg(long)]
    prefix: bool,

    /// The cluster of this context has the second state
    #[arg(long, value_name = "NAME")]
    pub with_context: Option<String>,

    /// This file, saved by snapshot save, has the first state
    #[arg(long, value_name = "FILE", conflicts_with_all = ["with_context", "rev"])]
    pub snapshot: Option<PathBuf>,

    /// Only which keys differ, not how
    #[arg(long)]
    pub names: bool,
}

/// Give a key the value it had at a revision
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "restore [OPTIONS] <KEY@REV>",
    after_help = "Only if nobody changes the key meanwhile. It comes back under the lease it had, \
                  if that is still alive, else under none. A deleted key gets a new creation \
                  revision, so its place in an order of locks does not come back.\n\nExamples:\n  \
                  restore /config/app@1204\n  restore /config/app@1204 --dry-run\n  restore \
                  /odd@name --rev 1204"
)]
pub struct RestoreArgs {
    /// The key, and the revision at which it had the value
    #[arg(value_name = "KEY@REV")]
    // The name `key` is taken by a global flag.
    operand: OsString,

    /// The revision at which it had the value
    #[arg(long, value_name = "REV", value_parser = clap::value_parser!(i64).range(1..))]
    rev: Option<i64>,
}

/// Make all keys of a prefix what they were at a revision
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "What was created since is deleted, what was deleted is created again, what was \
                  changed gets its old value. First a plan is shown. It is carried out in \
                  transactions of at most 128 keys, each only if nobody else has changed its keys \
                  since the plan was made. If it is stopped, what is done stays done, and the same \
                  command again does the rest; with --planned-at it also leaves alone what others \
                  have changed since then. Keys come back under the leases they had, where those \
                  are still alive, else under none. Creation revisions do not come \
                  back.\n\nExamples:\n  rollback /config/ --to 1204 --dry-run\n  rollback /config/ \
                  --to 1204"
)]
pub struct RollbackArgs {
    /// What the keys begin with
    #[arg(value_name = "PREFIX")]
    prefix: OsString,

    /// The revision to go back to
    #[arg(long, value_name = "REV", value_parser = clap::value_parser!(i64).range(1..))]
    pub to: i64,

    /// The revision of the plan that is gone on with
    #[arg(long, value_name = "REV", value_parser = clap::value_parser!(i64).range(1..))]
    pub planned_at: Option<i64>,
}

/// Take back your own last write
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "What you wrote with kvorum on this machine is remembered by its revisions: not \
                  the values, which the cluster has as long as it has not compacted them. What \
                  somebody has changed since is left alone, and nothing is taken back then unless \
                  --rest says so; that somebody deleted a key and you deleted it again cannot be \
                  seen. Undone again, an earlier write is taken back. Writes of the dashboard, of \
                  seq put, whose numbers are given once, of etcdctl and of other programs are not \
                  remembered. Leases and creation revisions \
                  are as with rollback.\n\nExamples:\n  undo --list\n  undo\n  \
                  undo 3 --dry-run"
)]
pub struct UndoArgs {
    /// Which one, as --list counts them
    #[arg(value_name = "NUMBER", default_value_t = 1, hide_default_value = true,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub number: u32,

    /// The one of this revision
    #[arg(long, value_name = "REV", conflicts_with = "number",
          value_parser = clap::value_parser!(i64).range(1..))]
    pub rev: Option<i64>,

    /// Show what can be taken back, the newest first
    #[arg(long)]
    pub list: bool,

    /// Take back what nobody has changed since, and leave the rest
    #[arg(long)]
    pub rest: bool,
}

/// A key, or the keys of a prefix, at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub name: Vec<u8>,
    /// 0 is now.
    pub revision: i64,
    pub is_prefix: bool,
}

impl Travel {
    /// Whether the arguments make sense, without doing anything.
    pub fn check(&self) -> Result<(), UsageError> {
        match self {
            Self::History(args) => args.key().map(drop),
            Self::Diff(args) => args.states().map(drop),
            Self::Restore(args) => args.place().map(drop),
            Self::Rollback(_) | Self::Undo(_) => Ok(()),
        }
    }

    /// Whether its output is something to be read at leisure.
    pub fn is_paged(&self) -> bool {
        match self {
            Self::History(_) | Self::Diff(_) => true,
            Self::Undo(args) => args.list,
            Self::Restore(_) | Self::Rollback(_) => false,
        }
    }
}

impl HistoryArgs {
    pub fn key(&self) -> Result<Vec<u8>, UsageError> {
        let key = bytes_of(&self.operand);
        if key.is_empty() && !self.prefix {
            return Err(UsageError::arguments("history needs a key; of every key: --prefix ''"));
        }
        Ok(key)
    }
}

impl DiffArgs {
    /// The two states, the earlier one first.
    pub fn states(&self) -> Result<(State, State), UsageError> {
        let elsewhere = self.with_context.is_some() || self.snapshot.is_some();
        let operands = self.operands.iter().map(|operand| bytes_of(operand));
        let operands: Vec<_> = operands.collect();
        if self.rev.is_none() && !elsewhere {
            operands.iter().try_for_each(|operand| refuse_no_revision(operand))?;
        }
        let mut operands = operands.into_iter();
        let first = operands.next().unwrap_or_default();
        let (name, revision) = match self.rev {
            Some(revision) => (first, revision),
            None => split_revision(&first).unwrap_or((first, 0)),
        };
        let first = self.state(name, revision);
        let second = match operands.next() {
            Some(second) => {
                // With --rev, what is no revision is part of a key.
                let split = split_revision(&second).filter(|(_, revision)| *revision > 0);
                let (name, revision) = split.unwrap_or((second, 0));
                self.state(name, revision)
            }
            None => State { revision: 0, ..first.clone() },
        };
        if first == second && !elsewhere {
            return Err(UsageError::arguments(
                "there is nothing to compare with: give a revision, KEY@REV or --rev, another \
                 prefix, --with-context or --snapshot",
            ));
        }
        if first.is_prefix != second.is_prefix {
            return Err(UsageError::arguments(
                "a key is not compared with a prefix: both end in /, or neither, or --prefix says \
                 that both are meant so",
            ));
        }
        if self.snapshot.is_some() && first.revision != 0 {
            return Err(UsageError::arguments("a snapshot is read as it is, at no revision"));
        }
        Ok((first, second))
    }

    fn state(&self, name: Vec<u8>, revision: i64) -> State {
        let is_prefix = self.prefix || name.is_empty() || name.ends_with(b"/");
        State { name, revision, is_prefix }
    }
}

impl RestoreArgs {
    /// The key, and the revision of the value.
    pub fn place(&self) -> Result<(Vec<u8>, i64), UsageError> {
        let whole = bytes_of(&self.operand);
        let place = if let Some(revision) = self.rev {
            Some((whole, revision))
        } else {
            refuse_no_revision(&whole)?;
            split_revision(&whole)
        };
        match place {
            Some((key, revision)) if !key.is_empty() && revision > 0 => Ok((key, revision)),
            _ => Err(UsageError::arguments(
                "restore needs a key and a revision, KEY@REV: kvorum history KEY shows those there \
                 are",
            )),
        }
    }
}

impl RollbackArgs {
    pub fn prefix(&self) -> Vec<u8> {
        bytes_of(&self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{DiffArgs, State};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        diff: DiffArgs,
    }

    fn states(words: &[&str]) -> Option<(State, State)> {
        let line = Line::try_parse_from([&["diff"], words].concat()).ok()?;
        line.diff.states().ok()
    }

    fn state(name: &str, revision: i64, is_prefix: bool) -> State {
        State { name: name.into(), revision, is_prefix }
    }

    #[test]
    fn a_state_is_compared_with_now_unless_another_is_named() {
        let expected = Some((state("/a/", 3, true), state("/a/", 0, true)));
        assert_eq!(states(&["/a/@3"]), expected);
        assert_eq!(states(&["/a/", "--rev", "3"]), expected);
        let keys = Some((state("/k", 3, false), state("/k", 5, false)));
        assert_eq!(states(&["/k@3", "/k@5"]), keys);
        let whole = Some((state("", 7, true), state("", 0, true)));
        assert_eq!(states(&["--rev", "7"]), whole);
        let context = states(&["/a/", "--with-context", "prod"]);
        assert_eq!(context, Some((state("/a/", 0, true), state("/a/", 0, true))));
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        for words in [
            &["/a/"][..],
            &["/a/", "/k"],
            &["/a/@3", "--snapshot", "f"],
            &[],
            &["/k@0"],
            &["/k@-5", "/k@3"],
        ] {
            assert_eq!(states(words), None, "{words:?}");
        }
    }
}
