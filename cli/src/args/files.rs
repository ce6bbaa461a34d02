//! What etcdutl does with files, without asking a server.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::completion::CompletionArgs;
use super::snapshot::{SnapshotRestoreArgs, SnapshotStatusArgs};
use super::value::{parse_bool, parse_int};
use super::{UsageError, only};
use crate::exit;

/// A command line of etcdutl.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "etcdutl",
    about = "An administrative command line tool for etcd3.",
    args_override_self = true,
    disable_help_subcommand = true,
    subcommand_required = false,
    infer_long_args = false
)]
pub struct FileLine {
    /// Output format: simple, json, fields, table [default: simple]
    #[arg(short, long, global = true, value_name = "FORMAT", allow_hyphen_values = true)]
    pub write_out: Option<String>,

    #[command(subcommand)]
    pub command: Option<FileCommand>,
}

/// What to do with a file or a data directory.
#[derive(Debug, Clone, Subcommand)]
pub enum FileCommand {
    Defrag(DefragDirArgs),
    Snapshot(FileSnapshotArgs),
    Hashkv(HashkvArgs),
    /// Print the version of this program and of the API it speaks
    Version {
        #[arg(hide = true)]
        ignored: Vec<String>,
    },
    Completion(CompletionArgs),
    Migrate(MigrateArgs),
}

/// Make the store of a member that does not run as small as what is in it
#[derive(Debug, Clone, Args)]
pub struct DefragDirArgs {
    #[arg(hide = true)]
    ignored: Vec<String>,

    /// Data directory of the member
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// The whole of a member's data in a file: looking at it, going on from it
#[derive(Debug, Clone, Args)]
#[command(disable_help_subcommand = true)]
pub struct FileSnapshotArgs {
    #[command(subcommand)]
    pub command: FileSnapshotCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum FileSnapshotCommand {
    Restore(Box<SnapshotRestoreArgs>),
    Status(SnapshotStatusArgs),
}

/// Print the hash of the keys and their history in a snapshot, or in the db of an etcd
///
/// It is the one that `endpoint hashkv` prints of a member with the same keys and history.
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "hashkv [OPTIONS] <FILENAME>",
    after_help = "Examples:\n  hashkv backup.db\n  hashkv --rev 1000 /var/lib/etcd/member/snap/db"
)]
pub struct HashkvArgs {
    #[arg(value_name = "FILENAME")]
    pub operands: Vec<PathBuf>,

    /// Up to this revision; 0 is the newest
    #[arg(long, value_name = "REV", default_value = "0", value_parser = parse_int,
          hide_default_value = true, allow_hyphen_values = true)]
    pub rev: i64,
}

/// Make the data directory of one version of etcd fit for another
#[derive(Debug, Clone, Args)]
pub struct MigrateArgs {
    #[arg(hide = true)]
    ignored: Vec<String>,

    /// Data directory of the etcd
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Version of etcd to make it fit for, such as 3.6
    #[arg(long, value_name = "VERSION")]
    target_version: Option<String>,

    /// Go on where something does not fit
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    force: bool,
}

impl FileCommand {
    /// Whether the arguments make sense, without doing anything.
    pub fn check(&self) -> Result<(), UsageError> {
        match self {
            Self::Defrag(args) => args.data_dir().map(drop),
            Self::Snapshot(args) => match &args.command {
                FileSnapshotCommand::Restore(args) => args.check(),
                FileSnapshotCommand::Status(args) => args.file().map(drop),
            },
            Self::Hashkv(args) => args.file().map(drop),
            Self::Version { .. } => Ok(()),
            Self::Completion(args) => args.shell("etcdutl").map(drop),
            Self::Migrate(args) => args.data_dir().map(drop),
        }
    }
}

impl DefragDirArgs {
    pub fn data_dir(&self) -> Result<&PathBuf, UsageError> {
        self.data_dir.as_ref().ok_or_else(|| missing(&["data-dir"]))
    }
}

impl HashkvArgs {
    pub fn file(&self) -> Result<&PathBuf, UsageError> {
        let count = self.operands.len();
        only(&self.operands, || UsageError {
            code: exit::ERROR,
            message: format!("accepts 1 arg(s), received {count}"),
        })
    }
}

impl MigrateArgs {
    /// The directory, if what was asked for makes sense.
    pub fn data_dir(&self) -> Result<&PathBuf, UsageError> {
        let (data_dir, target) = match (&self.data_dir, &self.target_version) {
            (Some(data_dir), Some(target)) => (data_dir, target),
            (None, Some(_)) => return Err(missing(&["data-dir"])),
            (Some(_), None) => return Err(missing(&["target-version"])),
            (None, None) => return Err(missing(&["data-dir", "target-version"])),
        };
        let quoted = crate::output::go::quote(target.as_bytes());
        if target.matches('.').count() != 1 {
            return Err(UsageError::arguments(format!(
                "wrong target version format, expected \"X.Y\", got {quoted}"
            )));
        }
        let mut numbers = target.split('.').map(str::parse::<u64>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (3, 5) => Ok(data_dir),
            (Some(Ok(_)), Some(Ok(_))) => Err(UsageError::arguments(format!(
                "target version {quoted} not supported. Minimal \"3.5\""
            ))),
            _ => Err(UsageError::arguments(format!(
                "failed to parse target version: {quoted} is no version"
            ))),
        }
    }
}

fn missing(flags: &[&str]) -> UsageError {
    let flags: Vec<_> = flags.iter().map(|flag| format!("{flag:?}")).collect();
    let message = format!("required flag(s) {} not set", flags.join(", "));
    UsageError { code: exit::ERROR, message }
}
