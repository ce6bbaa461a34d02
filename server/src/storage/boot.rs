//! Making a member, and starting it again from what it left on disk.
//!
//! The backend says up to which entry A the log was applied, and of which term and configuration
//! that entry was. The log must hold A, of the same term; everything after it, raft hands out
//! again as it is committed. So nothing is applied that is not durable, nothing twice, and a log
//! and a backend that do not belong together are found out. A log that is damaged starts only in a
//! cluster; see `damage`.

use std::io;
use std::path::{Path, PathBuf};

use kvorum_core::node::Boot;
use kvorum_core::planted::{self, Bug};
use kvorum_core::store::{Position, RestoreError, Store};
use kvorum_proto::membershippb::Member;
use raft_proto::eraftpb::ConfState;
use thiserror::Error;

use super::StorageError;
use super::backend::{Backend, BackendError, RedbBackend};
use super::dir::DataDir;
use super::disk::Kind;
use super::snapshot;
use super::wal::{Log, LogError, Options, Recovered, Salvage};
use crate::identity::Identity;

mod damage;

/// Why log and backend do not make a member.
#[derive(Debug, Error)]
pub enum BootError {
    #[error(
        "{} is missing; put it back, or restore the data directory from a backup",
        path.display()
    )]
    Missing { path: PathBuf },
    #[error(
        "the store has applied entry {applied}, but the log ends at entry {last}: the end of the \
         log is lost, and with it what this member promised; restore the data directory from a \
         backup"
    )]
    StoreAhead { applied: u64, last: u64 },
    #[error(
        "the store has applied entry {applied}, but the log begins after entry {base}: the store \
         is an older copy; put the newer one back, or restore the data directory from a backup"
    )]
    StoreBehind { applied: u64, base: u64 },
    #[error(
        "the store has applied entry {index} of term {store}, but in the log it is of term {log}: \
         the two do not belong together; restore the data directory from a backup"
    )]
    Diverged { index: u64, store: u64, log: u64 },
    #[error(
        "the log says that entry {commit} is committed, but ends at entry {last}; restore the \
         data directory from a backup"
    )]
    CommitAhead { commit: u64, last: u64 },
    #[error("cannot make {} durable: {source}", path.display())]
    Unsettled { path: PathBuf, source: io::Error },
    #[error("the store cannot be read back: {0}; restore the data directory from a backup")]
    Restore(#[from] RestoreError),
}

/// A member as it was left.
pub struct Booted {
    pub identity: Identity,
    /// As of the backend's last commit; what came after it is in the log.
    pub store: Store,
    pub backend: RedbBackend,
    pub log: Log,
    /// What the node goes on from.
    pub consensus: Boot,
    /// What a crash left unfinished in the log and was cut off, in words.
    pub torn: Option<String>,
    /// The log was damaged, and this start set it right as far as it can be: the member does not
    /// vote until it has got back the rest.
    pub salvaged: Option<Salvage>,
}

/// Makes a new member: an empty log and the store of a cluster of `members`.
pub fn bootstrap(
    dir: &DataDir,
    identity: Identity,
    members: Vec<Member>,
    conf_state: ConfState,
    options: Options,
) -> Result<(), StorageError> {
    let store = Store::bootstrap(members, conf_state);
    let position = store.position();
    let base = (position.index, position.term);
    dir.create_member(|log, path| {
        let disk = &**dir.disk();
        Log::create(disk, log, identity, base, options)?;
        RedbBackend::create(disk, path, identity, &store.initial_changes(), &position)?;
        Ok(())
    })
}

/// Starts the member that lives in `dir`.
pub fn boot(dir: &DataDir, options: Options) -> Result<Booted, StorageError> {
    for path in [dir.store(), dir.log()] {
        if dir.kind(&path)?.is_none() {
            return Err(BootError::Missing { path }.into());
        }
    }
    dir.sync()?;
    if !planted::is(Bug::UnsyncedTrusted) {
        settle(dir)?;
    }
    // The log first: opening the store writes to it, and a member whose log is damaged is left as
    // it is. Which entries are wanted, the store says; until then none is kept.
    let (identity, mut log, mut recovered, salvaged) = damage::open_log(dir, options)?;
    snapshot::settle(&dir.member(), identity, recovered.base)?;
    let backend = RedbBackend::open(&**dir.disk(), &dir.store())?;
    if backend.identity() != identity {
        let expected = backend.identity();
        return Err(LogError::Stranger { path: dir.log(), found: identity, expected }.into());
    }
    let position = backend.position().clone();
    damage::begin_anew(&mut log, &mut recovered, &position)?;
    check(&log, &recovered, &position)?;
    let store = restore(&backend, position.clone())?;
    snapshot::clear(&dir.member())?;
    let Recovered { mut hard_state, base, last, runs, torn, incomplete, .. } = recovered;
    let tail = if position.index < last.0 {
        log.read(position.index + 1, last.0 + 1, u64::MAX)?
    } else {
        Vec::new()
    };
    // What is applied was committed, even if the log was not told.
    if !planted::is(Bug::CommitBehindApplied) {
        hard_state.commit = hard_state.commit.max(position.index);
    }
    let consensus = Boot {
        hard_state,
        conf_state: position.conf_state,
        applied: (position.index, position.term),
        base,
        last: last.0,
        runs,
        tail,
        incomplete,
    };
    Ok(Booted { identity, store, backend, log, consensus, torn, salvaged })
}

/// Makes what the process before left in the cache durable, and lets everything be read from the
/// medium: if a sync of that process failed, the cache shows what no sync will ever make durable.
fn settle(dir: &DataDir) -> Result<(), StorageError> {
    let disk = &**dir.disk();
    let unsettled = |path: &Path| {
        let path = path.to_owned();
        move |source| BootError::Unsettled { path, source }
    };
    let log = dir.log();
    for inside in log.parent().into_iter().chain([&*log]) {
        for name in disk.list(inside).map_err(unsettled(inside))? {
            let path = inside.join(name);
            if dir.kind(&path)? == Some(Kind::File) {
                let file = disk.open(&path).map_err(unsettled(&path))?;
                file.sync().and_then(|()| file.forget_cache()).map_err(unsettled(&path))?;
            }
        }
    }
    Ok(())
}

/// Whether the log goes on where the store is.
fn check(log: &Log, recovered: &Recovered, position: &Position) -> Result<(), BootError> {
    let (applied, base, last) = (position.index, recovered.base.0, recovered.last.0);
    if applied > last {
        return Err(BootError::StoreAhead { applied, last });
    }
    match log.term(applied) {
        None => return Err(BootError::StoreBehind { applied, base }),
        Some(term) if term != position.term => {
            return Err(BootError::Diverged { index: applied, store: position.term, log: term });
        }
        Some(_) => {}
    }
    let commit = recovered.hard_state.commit;
    if commit > last {
        return Err(BootError::CommitAhead { commit, last });
    }
    Ok(())
}

/// The store whose records a backend holds.
pub(super) fn restore(backend: &dyn Backend, position: Position) -> Result<Store, StorageError> {
    let mut records = backend.records()?;
    let restored = Store::restore(position, &mut records);
    // Records that ended early look like a damaged store; the cause is what to report.
    if let Some(error) = records.error() {
        return Err(BackendError::into(error));
    }
    Ok(restored.map_err(BootError::from)?)
}

#[cfg(test)]
mod tests;
