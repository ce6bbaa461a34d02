//! What makes the keys of a prefix what they were at a revision.

use kvorum_proto::mvccpb::KeyValue;

use super::{COMPARED_AT_ONCE, Difference, DifferenceError, MOST_KEYS, Pair, Source, read_each};
use crate::change::{Change, Leases, Target, settle_leases};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::pb;
use crate::request::Get;

/// What is to become what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackRequest {
    pub prefix: Vec<u8>,
    /// The revision to go back to.
    pub to: i64,
    /// A plan that is gone on with was made at this revision: what others changed since then is
    /// [foreign](Rollback::foreign). `None`: this is a new plan.
    pub planned_at: Option<i64>,
}

/// What a rollback comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rollback {
    /// The revision of what it was planned from.
    pub planned_at: i64,
    /// What is to be written, in the order of keys.
    pub changes: Vec<Change>,
    /// Keys that are already what they were.
    pub unchanged: u64,
    /// Keys that come back under the lease that they had…
    pub kept_leases: u64,
    /// …and without it, for it is gone.
    pub lost_leases: u64,
    /// Keys that somebody has changed since [`RollbackRequest::planned_at`], and the revision; 0:
    /// deleted. They are not among the changes.
    pub foreign: Vec<(Vec<u8>, i64)>,
}

/// A key that is not what it was, as far as revisions tell.
struct Candidate {
    key: Vec<u8>,
    /// 0: it is not there now.
    now: i64,
    now_lease: i64,
    /// The lease it had; `None`: it was not there.
    then_lease: Option<i64>,
}

/// Compares the keys with those of then, by their revisions first; values are read only where the
/// revisions differ, to leave alone what was written again as it was.
pub async fn rollback(
    connection: &Connection,
    request: &RollbackRequest,
) -> Result<Rollback, DifferenceError> {
    let RollbackRequest { prefix, to, planned_at } = request;
    // Where there is nothing now, no page would tell at which revision that is so.
    let newest = connection.get(Get { count_only: true, ..Get::prefix(&prefix[..]) }).await?;
    let newest = newest.header.map_or(0, |header| header.revision);
    let then = Source::cluster(connection, prefix, *to, false);
    let now = Source::cluster(connection, prefix, newest, false);
    let mut difference = Difference::of(then, now);
    let mut rollback = Rollback { planned_at: newest, ..Rollback::default() };
    let mut candidates = Vec::new();
    while let Some(pair) = difference.next().await? {
        match candidate(&pair) {
            None => rollback.unchanged += 1,
            Some(candidate) => candidates.push(candidate),
        }
        if candidates.len() > MOST_KEYS {
            let text = format!("more than {MOST_KEYS} keys are not what they were");
            return Err(Failure::Config(text).into());
        }
    }
    let leases = candidates.iter().filter_map(|candidate| candidate.then_lease);
    let leases = settle_leases(connection, leases).await?;
    for some in candidates.chunks(COMPARED_AT_ONCE) {
        let same = are_same(connection, *to, some, &leases).await?;
        let foreign = are_foreign(connection, *planned_at, some).await?;
        for ((candidate, same), foreign) in some.iter().zip(same).zip(foreign) {
            rollback.add(candidate, *to, (same, foreign), &leases);
        }
    }
    Ok(rollback)
}

impl Rollback {
    fn add(
        &mut self,
        candidate: &Candidate,
        to: i64,
        (same, foreign): (bool, bool),
        leases: &Leases,
    ) {
        let Candidate { key, now, then_lease, .. } = candidate;
        if same {
            self.unchanged += 1;
            return;
        }
        if foreign {
            self.foreign.push((key.clone(), *now));
            return;
        }
        let target = match then_lease {
            None => Target::Deleted,
            Some(lease) => {
                let kept = leases.alive_or_none(*lease);
                self.kept_leases += u64::from(kept != 0);
                self.lost_leases += u64::from(kept != *lease);
                Target::At { key: key.clone(), revision: to, lease: kept }
            }
        };
        self.changes.push(Change { key: key.clone(), expected: *now, to: target });
    }
}

fn candidate(pair: &Pair) -> Option<Candidate> {
    let of = |then: Option<&KeyValue>, now: Option<&KeyValue>| {
        let key = then.or(now).map_or_else(Vec::new, |kv| kv.key.to_vec());
        Some(Candidate {
            key,
            now: now.map_or(0, |kv| kv.mod_revision),
            now_lease: now.map_or(0, |kv| kv.lease),
            then_lease: then.map(|kv| kv.lease),
        })
    };
    match pair {
        Pair::First(then) => of(Some(then), None),
        Pair::Second(now) => of(None, Some(now)),
        Pair::Both(then, now) if then.mod_revision == now.mod_revision => None,
        Pair::Both(then, now) => of(Some(then), Some(now)),
    }
}

/// Which of the keys have the same value and lease as then.
async fn are_same(
    connection: &Connection,
    to: i64,
    candidates: &[Candidate],
    leases: &Leases,
) -> Result<Vec<bool>, DifferenceError> {
    let in_both = |candidate: &&Candidate| candidate.now != 0 && candidate.then_lease.is_some();
    let gets = candidates.iter().filter(in_both).flat_map(|candidate| {
        // What was seen is compared, not what is there by now.
        [to, candidate.now].map(|revision| Get { revision, ..Get::key(candidate.key.clone()) })
    });
    let read = read_each(connection, gets.collect()).await?;
    let mut pairs = read.chunks_exact(2);
    let value = |kv: &Option<pb::KeyValue>| kv.as_ref().map(|kv| kv.value.clone());
    let same = candidates.iter().map(|candidate| {
        if !in_both(&candidate) {
            return false;
        }
        let lease = candidate.then_lease.map_or(0, |lease| leases.alive_or_none(lease));
        let values = pairs.next().is_some_and(|pair| value(&pair[0]) == value(&pair[1]));
        values && candidate.now_lease == lease
    });
    Ok(same.collect())
}

/// Which of the keys are not as they were when the plan was made.
async fn are_foreign(
    connection: &Connection,
    planned_at: Option<i64>,
    candidates: &[Candidate],
) -> Result<Vec<bool>, DifferenceError> {
    let Some(revision) = planned_at else { return Ok(vec![false; candidates.len()]) };
    let gets = candidates.iter().map(|candidate| {
        let get = Get::key(candidate.key.clone());
        Get { revision, keys_only: true, ..get }
    });
    let planned = read_each(connection, gets.collect()).await?;
    let foreign = candidates
        .iter()
        .zip(planned)
        .map(|(candidate, planned)| planned.map_or(0, |kv| kv.mod_revision) != candidate.now);
    Ok(foreign.collect())
}

#[cfg(test)]
mod tests {
    use kvorum_proto::mvccpb::KeyValue;

    use super::{Candidate, Pair, Rollback, candidate};
    use crate::change::{Leases, Target};

    fn kv(mod_revision: i64, lease: i64) -> KeyValue {
        KeyValue { key: "k".into(), mod_revision, lease, ..KeyValue::default() }
    }

    #[test]
    fn a_key_with_the_same_revision_is_what_it_was() {
        assert!(candidate(&Pair::Both(kv(3, 0), kv(3, 0))).is_none());
        let changed = candidate(&Pair::Both(kv(3, 7), kv(9, 0))).unwrap();
        assert_eq!((changed.now, changed.then_lease), (9, Some(7)));
    }

    #[test]
    fn what_was_not_there_is_deleted_and_what_others_changed_is_left() {
        let mut rollback = Rollback::default();
        let leases = Leases::default();
        let created = Candidate { key: b"a".to_vec(), now: 9, now_lease: 0, then_lease: None };
        rollback.add(&created, 5, (false, false), &leases);
        assert_eq!(rollback.changes[0].to, Target::Deleted);
        let deleted = Candidate { key: b"b".to_vec(), now: 0, now_lease: 0, then_lease: Some(7) };
        rollback.add(&deleted, 5, (false, false), &leases);
        let expected = Target::At { key: b"b".to_vec(), revision: 5, lease: 0 };
        assert_eq!(rollback.changes[1].to, expected);
        assert_eq!((rollback.kept_leases, rollback.lost_leases), (0, 1));
        rollback.add(&created, 5, (false, true), &leases);
        assert_eq!(rollback.foreign, [(b"a".to_vec(), 9)]);
        rollback.add(&created, 5, (true, false), &leases);
        assert_eq!((rollback.unchanged, rollback.changes.len()), (1, 2));
    }
}
