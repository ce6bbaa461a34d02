//! A log that is damaged.
//!
//! A single member is refused, and every byte of it stays as it is: nobody else has what is lost,
//! and a person may still get it back. A member of a cluster keeps what is good of its log and
//! goes on as one that does not vote until it has got the rest from its leader. That is safe only
//! while it knows in which term it was and to whom it gave its vote; the log has that in a file of
//! its own, and without it the member is refused too.
//!
//! Who else votes, the store says. It is looked at without being touched.

use kvorum_core::node::Group;
use kvorum_core::store::Position;
use raft_proto::eraftpb::HardState;

use super::BootError;
use crate::identity::Identity;
use crate::storage::StorageError;
use crate::storage::backend::RedbBackend;
use crate::storage::dir::DataDir;
use crate::storage::wal::{Log, LogError, Options, Recovered, Salvage};

type Opened = (Identity, Log, Recovered, Option<Salvage>);

/// Opens the log, after it was salvaged if that is needed and may be done.
pub(super) fn open_log(dir: &DataDir, options: Options) -> Result<Opened, StorageError> {
    let disk = dir.disk();
    let open = |identity| Log::open(disk.clone(), &dir.log(), identity, u64::MAX, options);
    let opened = Log::identity(&**disk, &dir.log()).and_then(|identity| {
        let (log, recovered) = open(identity)?;
        Ok((identity, log, recovered, None))
    });
    let damage = match opened {
        Ok(opened) => return Ok(opened),
        Err(damage @ (LogError::Damaged { .. } | LogError::Missing { .. })) => damage,
        Err(other) => return Err(other.into()),
    };
    // Should the store be damaged too, there is nothing to go on from.
    let Ok((identity, position)) = RedbBackend::peek(&**disk, &dir.store()) else {
        return Err(damage.into());
    };
    if !has_others(&position, identity.member_id) {
        return Err(damage.into());
    }
    let Some(salvage) = Log::salvage(&**disk, &dir.log(), identity, options)? else {
        return Err(damage.into());
    };
    let (log, recovered) = open(identity)?;
    Ok((identity, log, recovered, Some(salvage)))
}

/// Lets an incomplete log begin anew where the store is, if what is left of it ends before that or
/// contradicts it: an older version of entries may be left that were replaced.
pub(super) fn begin_anew(
    log: &mut Log,
    recovered: &mut Recovered,
    position: &Position,
) -> Result<(), StorageError> {
    let applied = (position.index, position.term);
    let goes_on = log.term(applied.0) == Some(applied.1) || applied.0 < recovered.base.0;
    if recovered.incomplete.is_none() || goes_on {
        return Ok(());
    }
    if recovered.hard_state.term < applied.1 {
        let (index, store) = applied;
        return Err(BootError::Diverged { index, store, log: recovered.hard_state.term }.into());
    }
    let hard_state = HardState { commit: applied.0, ..recovered.hard_state };
    let base = Some(applied);
    let group = Group { base, hard_state: Some(hard_state.clone()), ..Group::default() };
    log.append(&group)?;
    log.sync()?;
    recovered.hard_state = hard_state;
    (recovered.base, recovered.last) = (applied, applied);
    recovered.runs.clear();
    Ok(())
}

fn has_others(position: &Position, member_id: u64) -> bool {
    let conf_state = &position.conf_state;
    let mut voters = conf_state.voters.iter().chain(&conf_state.voters_outgoing);
    voters.any(|voter| *voter != member_id)
}
