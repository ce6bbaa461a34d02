//! A data directory of ours, made from a snapshot or from a data directory of etcd's.
//!
//! As with `etcdutl snapshot restore` keys, history, leases, users, roles and the alarm CORRUPT are
//! kept, and the members are new: the cluster is another one, with ids of its own. Whoever restores
//! a cluster of several members gives each the same file. A member gets its name when all of it is
//! there and durable: there is all of it or nothing.

use std::fs::{self, DirEntry, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kvorum_core::store::{Change, Position, Store};
use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
use kvorum_proto::etcdserverpb::{AlarmRequest, AlarmType, InternalRaftRequest};
use thiserror::Error;

use super::bolt::Bolt;
use super::schema::{self, SchemaError, State};
use super::snapshot::{self, SnapshotError};
use super::wal::WalError;
use crate::config::{Config, ConfigError, Url};
use crate::runtime::{Newborn, StartError};
use crate::storage::StorageError;
use crate::storage::adopt::{Adoption, adopt};
use crate::storage::dir::DataDir;
use crate::storage::disk::{DiskFile, FileDisk};
use crate::version::CLUSTER_VERSION;

mod replay;

pub use replay::Replayed;
use replay::replay;

/// What an attempt that was killed may have left in a directory, and another may replace.
const LEFT: [&str; 2] = ["kvorum.lock", "kvorum.new"];

/// Why nothing was restored; the texts are etcdutl's where it has one.
#[derive(Debug, Error)]
pub enum RestoreError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Start(Box<StartError>),
    #[error("data-dir {0:?} not empty or could not be read")]
    NotEmpty(PathBuf),
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error("the state cannot be read: {0}")]
    Schema(#[from] SchemaError),
    #[error("the log cannot be read: {0}")]
    Wal(#[from] WalError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("--bump-revision {0} goes beyond the highest revision")]
    Bump(u64),
    #[error("{} is no data directory of etcd: it has no member/snap/db", .0.display())]
    NotEtcd(PathBuf),
    #[error("{} is in use: its etcd runs; stop it first", .0.display())]
    Running(PathBuf),
    #[error("entry {index} of the log is none that this version knows")]
    UnknownEntry { index: u64 },
    #[error(
        "entry {index} of the log has a password in clear, as etcd 3.4 writes it before it is \
         hashed; start that etcd once more, so that the entry comes into its store"
    )]
    ClearPassword { index: u64 },
}

/// The member that is to be made.
#[derive(Clone, Debug)]
pub struct Target {
    pub data_dir: PathBuf,
    pub name: String,
    /// As `--initial-cluster` says it.
    pub initial_cluster: String,
    pub initial_cluster_token: String,
    /// As `--initial-advertise-peer-urls` says it.
    pub peer_urls: String,
}

/// What of a snapshot's restoring can be chosen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choices {
    pub skip_hash_check: bool,
    /// How much the revision is raised; what was before then counts as compacted, so that whoever
    /// watches learns of it. 0 leaves both as they are.
    pub bump_revision: u64,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub cluster_id: u64,
    pub member_id: u64,
    pub revision: i64,
    pub keys: u64,
    /// The version that the state is of, if it is one whose records we may not all know.
    pub newer_version: Option<String>,
    /// What came from etcd's log.
    pub replayed: Replayed,
}

impl Default for Target {
    fn default() -> Target {
        Target {
            data_dir: PathBuf::new(),
            name: "default".to_owned(),
            initial_cluster: "default=http://localhost:2380".to_owned(),
            initial_cluster_token: "etcd-cluster".to_owned(),
            peer_urls: "http://localhost:2380".to_owned(),
        }
    }
}

/// Restores a snapshot made by us or by etcd.
pub fn restore(file: &Path, target: &Target, choices: Choices) -> Result<Made, RestoreError> {
    let newborn = plan(target)?;
    check_empty(&target.data_dir)?;
    let bolt = snapshot::open(file, choices.skip_hash_check)?;
    let source = Source { bolt, bump: choices.bump_revision, log: None };
    source.into_dir(target, &newborn)
}

/// Takes over the data directory of an etcd that does not run: its store, and what is in its log
/// beyond that. Nothing in it is changed.
///
/// The members of one cluster are all made from the same directory: the ends of two logs may
/// differ. `wal_dir` is where the log is, if that etcd has been told so.
pub fn import(
    etcd_dir: &Path,
    wal_dir: Option<&Path>,
    target: &Target,
) -> Result<Made, RestoreError> {
    let newborn = plan(target)?;
    check_empty(&target.data_dir)?;
    let path = etcd_dir.join("member/snap/db");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(RestoreError::NotEtcd(etcd_dir.to_owned()));
        }
        Err(source) => return Err(RestoreError::Io { action: "open", path, source }),
    };
    // A running etcd has this lock; while we have it, none can start.
    match file.try_lock_shared() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(RestoreError::Running(etcd_dir.to_owned())),
        Err(TryLockError::Error(source)) => {
            return Err(RestoreError::Io { action: "lock", path, source });
        }
    }
    let size = DiskFile::size(&file).map_err(|source| RestoreError::Io {
        action: "read",
        path,
        source,
    })?;
    let bolt = Bolt::open(Arc::new(file), size).map_err(SchemaError::from)?;
    let log = wal_dir.map_or_else(|| etcd_dir.join("member/wal"), Path::to_owned);
    let source = Source { bolt, bump: 0, log: Some(log) };
    source.into_dir(target, &newborn)
}

/// Where a state comes from.
struct Source {
    bolt: Bolt,
    bump: u64,
    /// etcd's log, for what is not in the file.
    log: Option<PathBuf>,
}

impl Source {
    fn into_dir(self, target: &Target, newborn: &Newborn) -> Result<Made, RestoreError> {
        let data_dir = &target.data_dir;
        let was_there = data_dir.exists();
        let dir = DataDir::open(Arc::new(FileDisk), data_dir).map_err(StorageError::from)?;
        if dir.has_member().map_err(StorageError::from)? {
            return Err(RestoreError::NotEmpty(data_dir.clone()));
        }
        let made = self.make(&dir, newborn);
        if made.is_err() {
            // The first error is the one to report.
            let [lock, new] = LEFT.map(|name| data_dir.join(name));
            let _ = fs::remove_dir_all(new);
            let _ = fs::remove_file(lock);
            if !was_there {
                let _ = fs::remove_dir(data_dir);
            }
        }
        made
    }

    fn make(&self, dir: &DataDir, newborn: &Newborn) -> Result<Made, RestoreError> {
        let index = if self.log.is_some() { schema::consistent_index(&self.bolt)? } else { 0 };
        let position = Position {
            index,
            // At least 1: an entry of term 0 is there in every log.
            term: 1,
            conf_state: newborn.conf_state.clone(),
            ..Position::default()
        };
        let mut made = Made {
            cluster_id: newborn.identity.cluster_id,
            member_id: newborn.identity.member_id,
            revision: 0,
            keys: 0,
            newer_version: newer_version(schema::storage_version(&self.bolt)?),
            replayed: Replayed::default(),
        };
        let fill = |adoption: &mut Adoption| self.fill(newborn, adoption);
        adopt(dir, newborn.identity, &position, fill, |store, adoption| {
            if let Some(log) = &self.log {
                made.replayed = replay(log, index, store, adoption)?;
            }
            take_back_no_space(store, adoption)?;
            // As many as the entries that would have added the members, one after the other.
            let first = newborn.members.len() as u64;
            if store.root().index() < first {
                store.skip(first, 1);
            }
            (made.revision, made.keys) = (store.root().revision(), store.root().key_count());
            Ok(())
        })?;
        Ok(made)
    }

    fn fill(&self, newborn: &Newborn, adoption: &mut Adoption) -> Result<(), RestoreError> {
        for member in &newborn.members {
            adoption.put(Change::of_member(member))?;
        }
        let take = |change| adoption.put(change).map_err(RestoreError::from);
        let State { revision, compacted, .. } = schema::read(&self.bolt, take)?;
        let bumped = i64::try_from(self.bump).ok().and_then(|bump| revision.checked_add(bump));
        let bumped = bumped.filter(|bumped| *bumped < i64::MAX);
        let bumped = bumped.ok_or(RestoreError::Bump(self.bump))?;
        adoption.put(Change::of_revision(bumped))?;
        let compacted = if self.bump > 0 { Some(bumped) } else { compacted };
        if let Some(compacted) = compacted {
            adoption.put(Change::of_compacted(compacted))?;
        }
        Ok(())
    }
}

/// The alarm NOSPACE speaks of members that are no more, and none but they would take it back: the
/// new ones judge by their own quota. It must stand until the end of the log, which it decides about.
fn take_back_no_space(store: &mut Store, adoption: &mut Adoption) -> Result<(), StorageError> {
    let before = store.root();
    for alarm in before.alarms().iter().filter(|alarm| alarm.alarm() == AlarmType::Nospace) {
        let request = AlarmRequest {
            action: AlarmAction::Deactivate as i32,
            member_id: alarm.member_id,
            alarm: alarm.alarm,
        };
        let entry = InternalRaftRequest { alarm: Some(request), ..InternalRaftRequest::default() };
        let (index, term) = (store.root().index() + 1, before.term());
        let changes = store.apply_etcds(index, term, &entry).changes;
        changes.into_iter().try_for_each(|change| adoption.put(change))?;
    }
    Ok(())
}

/// The version, if it is newer than ours. One that nobody can read is taken for newer.
fn newer_version(version: String) -> Option<String> {
    let minor = |version: &str| -> Option<(u64, u64)> {
        let mut parts = version.split('.').map(str::parse);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    };
    let is_known = version.is_empty()
        || minor(&version).is_some_and(|version| Some(version) <= minor(CLUSTER_VERSION));
    (!is_known).then_some(version)
}

fn plan(target: &Target) -> Result<Newborn, RestoreError> {
    let urls = Url::parse_list(&target.peer_urls).map_err(ConfigError::Invalid)?;
    let config = Config {
        name: target.name.clone(),
        initial_cluster: Some(target.initial_cluster.clone()),
        initial_cluster_token: target.initial_cluster_token.clone(),
        initial_advertise_peer_urls: urls,
        ..Config::default()
    };
    Newborn::plan(&config).map_err(|error| match error {
        StartError::Config(error) => RestoreError::Config(error),
        error => RestoreError::Start(Box::new(error)),
    })
}

fn check_empty(data_dir: &Path) -> Result<(), RestoreError> {
    let is_left = |entry: io::Result<DirEntry>| {
        entry.is_ok_and(|entry| LEFT.iter().any(|left| entry.file_name() == *left))
    };
    let is_free = match fs::read_dir(data_dir) {
        Ok(mut entries) => entries.all(is_left),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if is_free { Ok(()) } else { Err(RestoreError::NotEmpty(data_dir.to_owned())) }
}

#[cfg(test)]
mod tests;
