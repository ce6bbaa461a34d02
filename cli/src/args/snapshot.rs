//! `snapshot save|status|restore`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::value::{parse_bool, parse_int};
use super::{UsageError, only};

/// The whole of a member's data in a file: making one, looking at it, going on from it
#[derive(Debug, Clone, Args)]
#[command(disable_help_subcommand = true)]
pub struct SnapshotArgs {
    #[command(subcommand)]
    pub command: SnapshotCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum SnapshotCommand {
    Save(SnapshotSaveArgs),
    Status(SnapshotStatusArgs),
    Restore(Box<SnapshotRestoreArgs>),
}

/// Save what one member has to a file
#[derive(Debug, Clone, Args)]
#[command(override_usage = "snapshot save [OPTIONS] <FILENAME>")]
pub struct SnapshotSaveArgs {
    #[arg(value_name = "FILENAME")]
    pub operands: Vec<PathBuf>,
}

/// Print what is in a file: hash, revision, keys, size, version
#[derive(Debug, Clone, Args)]
#[command(override_usage = "snapshot status [OPTIONS] <FILENAME>")]
pub struct SnapshotStatusArgs {
    #[arg(value_name = "FILENAME")]
    pub operands: Vec<PathBuf>,
}

/// Make the data directory of a new member from a file
#[derive(Debug, Clone, Args)]
#[command(override_usage = "snapshot restore [OPTIONS] <FILENAME>")]
pub struct SnapshotRestoreArgs {
    #[arg(value_name = "FILENAME")]
    pub operands: Vec<PathBuf>,

    /// Directory to make; `<name>.etcd` if none is given
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Directory of etcd's log; kvorum's is inside the data directory
    #[arg(long, value_name = "DIR", hide = true)]
    pub wal_dir: Option<PathBuf>,

    /// Name of the member
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub name: String,

    /// All members of the new cluster
    #[arg(long, value_name = "NAME=URL,…", default_value = "default=http://localhost:2380")]
    pub initial_cluster: String,

    /// What tells the new cluster from others with the same addresses
    #[arg(long, value_name = "TOKEN", default_value = "etcd-cluster")]
    pub initial_cluster_token: String,

    /// Where the other members reach this one
    #[arg(long, value_name = "URL,…", default_value = "http://localhost:2380")]
    pub initial_advertise_peer_urls: String,

    /// Take a file without its hash, as it is copied from a data directory, or with a wrong one
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub skip_hash_check: bool,

    /// Raise the revision by so much, so that it is higher than any that was ever seen
    #[arg(long, value_name = "N", default_value = "0", value_parser = parse_int,
          allow_hyphen_values = true, hide_default_value = true)]
    pub bump_revision: i64,

    /// Count what is before as compacted, so that watchers learn of it; with --bump-revision
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = parse_bool,
          hide_default_value = true)]
    pub mark_compacted: bool,

    /// Accepted: nothing is mapped into memory
    #[arg(long, value_name = "BYTES", hide = true)]
    pub initial_memory_map_size: Option<String>,
}

impl SnapshotArgs {
    pub(super) fn check(&self) -> Result<(), UsageError> {
        match &self.command {
            SnapshotCommand::Save(args) => args.file().map(drop),
            SnapshotCommand::Status(args) => args.file().map(drop),
            SnapshotCommand::Restore(args) => args.check(),
        }
    }
}

impl SnapshotSaveArgs {
    pub fn file(&self) -> Result<&PathBuf, UsageError> {
        only(&self.operands, refused("snapshot save expects one argument <filename>"))
    }
}

impl SnapshotStatusArgs {
    pub fn file(&self) -> Result<&PathBuf, UsageError> {
        only(&self.operands, refused("snapshot status requires exactly one argument"))
    }
}

impl SnapshotRestoreArgs {
    pub fn file(&self) -> Result<&PathBuf, UsageError> {
        only(&self.operands, refused("snapshot restore requires exactly one argument"))
    }

    /// How much the revision is raised.
    pub fn bump(&self) -> u64 {
        self.bump_revision.unsigned_abs()
    }

    pub fn dir(&self) -> PathBuf {
        let named = || PathBuf::from(format!("{}.etcd", self.name));
        self.data_dir.clone().unwrap_or_else(named)
    }

    pub(super) fn check(&self) -> Result<(), UsageError> {
        self.file()?;
        if self.bump_revision < 0 {
            return Err(UsageError::arguments(format!(
                "invalid argument \"{}\" for \"--bump-revision\" flag: it must not be negative",
                self.bump_revision
            )));
        }
        if (self.bump_revision > 0) != self.mark_compacted {
            return Err(UsageError::arguments("--mark-compacted required if --revision-bump > 0"));
        }
        if self.wal_dir.is_some() {
            return Err(UsageError::arguments(
                "--wal-dir: kvorum keeps its log inside the data directory; leave it out",
            ));
        }
        Ok(())
    }
}

fn refused(message: &'static str) -> impl FnOnce() -> UsageError {
    move || UsageError::arguments(message)
}
