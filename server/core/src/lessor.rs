//! When leases expire: the leader's soft state.
//!
//! What is replicated is that a lease exists, its time to live, and what was left of that at the
//! last checkpoint. Deadlines are kept here, by the leader alone, in milliseconds of a monotonic
//! clock that the shell reads. A lease does not end because its time is over but because the
//! leader proposes its revocation, and so at the same point of the log everywhere.
//!
//! Invariants:
//! - A lease is never handed out as expired before its time to live has passed since it was
//!   granted or last renewed, however often the leader changed: a new leader gives every lease
//!   the time of an election on top of what it may have left.
//! - Once its deadline has passed a lease is not renewed, even while its revocation is under way:
//!   whoever was told that it lives would be wrong a moment later.

use std::collections::{BTreeMap, BTreeSet};

use kvorum_proto::etcdserverpb::{InternalRaftRequest, LeaseCheckpoint};

use crate::planted::{self, Bug};
use crate::store::{LeaseRecord, Reply, Root};

/// How long a revocation may take before it is proposed again: etcd's figure.
const RETRY_MS: u64 = 3_000;

/// How often what is left of a lease is written to the log; a shorter lease never is, since a
/// new leader may well start it anew. etcd's figure.
const CHECKPOINT_MS: u64 = 300_000;

/// The shortest time to live a lease may have, in seconds: one and a half elections, rounded up,
/// since a shorter one would end whenever the leader changes.
pub fn minimum_ttl_s(election_timeout_ms: u64) -> i64 {
    (election_timeout_ms * 3 / 2).div_ceil(1000) as i64
}

/// The leases of a leader; on other members, nothing.
#[derive(Debug, Default)]
pub struct Lessor {
    leads: bool,
    leases: BTreeMap<i64, Lease>,
    /// When each lease must be looked at: at its deadline, then at each retry.
    due: BTreeSet<(u64, i64)>,
    /// When what is left of a lease is to be written down.
    checkpoints: BTreeSet<(u64, i64)>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    ttl_s: i64,
    deadline_ms: u64,
    due_ms: u64,
    checkpoint_ms: Option<u64>,
    /// The replicated state says that less than the time to live is left.
    checkpointed: bool,
}

/// A lease lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    pub ttl_s: i64,
    /// A checkpoint in the log says that less is left. It must be cleared, by one that says 0,
    /// before the renewal is acknowledged, or the next leader would end the lease too early.
    pub clear_checkpoint: bool,
}

/// What a batch of entries did to leases.
#[derive(Debug, Default)]
pub struct LeaseNews {
    granted: Vec<(i64, i64)>,
    revoked: Vec<i64>,
    checkpoints: Vec<LeaseCheckpoint>,
}

impl LeaseNews {
    /// Adds what a request did that was applied with this reply.
    pub fn note(&mut self, request: &InternalRaftRequest, reply: &Reply) {
        if let Reply::LeaseGranted { id, ttl } = reply {
            self.granted.push((*id, *ttl));
        }
        if let Some(revoke) = &request.lease_revoke {
            self.revoked.push(revoke.id);
        }
        if let Some(expire) = &request.lease_expire {
            self.revoked.extend(&expire.i_ds);
        }
        if let Some(checkpoint) = &request.lease_checkpoint {
            self.checkpoints.extend(&checkpoint.checkpoints);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.granted.is_empty() && self.revoked.is_empty() && self.checkpoints.is_empty()
    }
}

impl Lessor {
    /// What a batch of entries did; `root` is the state after it.
    pub fn note(&mut self, news: &LeaseNews, root: &Root, now_ms: u64) {
        for (id, ttl_s) in &news.granted {
            self.granted(*id, *ttl_s, now_ms);
        }
        for checkpoint in &news.checkpoints {
            self.checkpointed(checkpoint.id, checkpoint.remaining_ttl);
        }
        // A lease may have been granted anew in the same batch, or not been revoked after all.
        for id in &news.revoked {
            if root.lease(*id).is_none() && !planted::is(Bug::RevokedLeaseRenewed) {
                self.revoked(*id);
            }
        }
    }

    /// This member leads from now on. Nobody renewed leases while there was no leader, so all
    /// get `extend_ms`, the election timeout, on top.
    pub fn promote(
        &mut self,
        now_ms: u64,
        leases: impl IntoIterator<Item = LeaseRecord>,
        extend_ms: u64,
    ) {
        self.demote();
        self.leads = true;
        for lease in leases {
            let checkpointed = lease.remaining_s > 0;
            let left_s = if checkpointed { lease.remaining_s } else { lease.ttl_s };
            let left_ms = in_ms(left_s).saturating_add(extend_ms);
            self.set(lease.id, lease.ttl_s, now_ms.saturating_add(left_ms), checkpointed);
            self.schedule_checkpoint(lease.id, now_ms);
        }
    }

    /// This member does not lead any longer.
    pub fn demote(&mut self) {
        *self = Lessor::default();
    }

    /// A grant was applied.
    pub fn granted(&mut self, id: i64, ttl_s: i64, now_ms: u64) {
        if self.leads {
            self.set(id, ttl_s, now_ms.saturating_add(in_ms(ttl_s)), false);
            self.schedule_checkpoint(id, now_ms);
        }
    }

    /// A revocation was applied.
    pub fn revoked(&mut self, id: i64) {
        if let Some(lease) = self.leases.remove(&id) {
            self.due.remove(&(lease.due_ms, id));
            if let Some(at_ms) = lease.checkpoint_ms {
                self.checkpoints.remove(&(at_ms, id));
            }
        }
    }

    /// A checkpoint was applied.
    pub fn checkpointed(&mut self, id: i64, remaining_s: i64) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.checkpointed = remaining_s > 0;
        }
    }

    /// A client keeps the lease alive. `None` if there is no such lease, if its time is over, or
    /// if this member does not lead.
    pub fn renew(&mut self, id: i64, now_ms: u64) -> Option<Renewal> {
        let lease = *self.leases.get(&id)?;
        if lease.deadline_ms <= now_ms {
            return None;
        }
        let deadline_ms = now_ms.saturating_add(in_ms(lease.ttl_s)).max(lease.deadline_ms);
        self.set(id, lease.ttl_s, deadline_ms, lease.checkpointed);
        self.schedule_checkpoint(id, now_ms);
        Some(Renewal { ttl_s: lease.ttl_s, clear_checkpoint: lease.checkpointed })
    }

    /// What is left of the lease; 0 while its revocation is under way. `None` if there is no such
    /// lease, or if this member does not lead.
    pub fn remaining_ms(&self, id: i64, now_ms: u64) -> Option<u64> {
        self.leases.get(&id).map(|lease| lease.deadline_ms.saturating_sub(now_ms))
    }

    /// At most `limit` leases to be revoked now, those that ended first first. Each is handed out
    /// again only if it is still there after a while.
    pub fn expired(&mut self, now_ms: u64, limit: usize) -> Vec<i64> {
        let mut expired = Vec::new();
        while expired.len() < limit
            && let Some(&(due_ms, id)) = self.due.first()
            && due_ms <= now_ms
        {
            let lease = self.leases.get_mut(&id).expect("what is due exists");
            lease.due_ms = now_ms + RETRY_MS;
            self.due.pop_first();
            self.due.insert((lease.due_ms, id));
            expired.push(id);
        }
        expired
    }

    /// At most `limit` checkpoints to be proposed now: what is left of long leases, so that a
    /// new leader does not start them anew.
    pub fn checkpoints_due(&mut self, now_ms: u64, limit: usize) -> Vec<LeaseCheckpoint> {
        let mut checkpoints = Vec::new();
        while checkpoints.len() < limit
            && let Some(&(at_ms, id)) = self.checkpoints.first()
            && at_ms <= now_ms
        {
            self.checkpoints.pop_first();
            let lease = self.leases.get_mut(&id).expect("a lease with a checkpoint exists");
            lease.checkpoint_ms = None;
            let left_ms = lease.deadline_ms.saturating_sub(now_ms);
            let remaining_ttl = left_ms.div_ceil(1000) as i64;
            if left_ms > 0 && remaining_ttl < lease.ttl_s {
                // From now on a renewal must take it back: it may be applied after the renewal.
                lease.checkpointed = true;
                checkpoints.push(LeaseCheckpoint { id, remaining_ttl });
            }
            self.schedule_checkpoint(id, now_ms);
        }
        checkpoints
    }

    fn set(&mut self, id: i64, ttl_s: i64, deadline_ms: u64, checkpointed: bool) {
        let old = self.leases.get(&id);
        if let Some(old) = old {
            self.due.remove(&(old.due_ms, id));
        }
        let checkpoint_ms = old.and_then(|old| old.checkpoint_ms);
        let lease = Lease { ttl_s, deadline_ms, due_ms: deadline_ms, checkpoint_ms, checkpointed };
        self.due.insert((deadline_ms, id));
        self.leases.insert(id, lease);
    }

    fn schedule_checkpoint(&mut self, id: i64, now_ms: u64) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        if lease.checkpoint_ms.is_none() && lease.deadline_ms.saturating_sub(now_ms) > CHECKPOINT_MS
        {
            lease.checkpoint_ms = Some(now_ms + CHECKPOINT_MS);
            self.checkpoints.insert((now_ms + CHECKPOINT_MS, id));
        }
    }
}

fn in_ms(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::{LeaseRecord, Lessor, RETRY_MS, Renewal, minimum_ttl_s};

    const TEN_S: i64 = 10;

    fn leader() -> Lessor {
        let mut lessor = Lessor::default();
        lessor.promote(0, [], 1_000);
        lessor
    }

    fn record(id: i64, ttl_s: i64, remaining_s: i64) -> LeaseRecord {
        LeaseRecord { id, ttl_s, remaining_s }
    }

    #[test]
    fn the_minimum_time_to_live_is_that_of_etcd() {
        assert_eq!(minimum_ttl_s(1_000), 2);
        assert_eq!(minimum_ttl_s(500), 1);
        assert_eq!(minimum_ttl_s(5_000), 8);
    }

    #[test]
    fn a_lease_expires_when_its_time_is_over_and_not_before() {
        let mut lessor = leader();
        lessor.granted(7, TEN_S, 5_000);
        assert_eq!(lessor.expired(14_999, 9), []);
        assert_eq!(lessor.remaining_ms(7, 14_999), Some(1));
        assert_eq!(lessor.expired(15_000, 9), [7]);
        assert_eq!(lessor.remaining_ms(7, 15_000), Some(0));
    }

    #[test]
    fn a_renewed_lease_has_its_whole_time_again() {
        let mut lessor = leader();
        lessor.granted(7, TEN_S, 0);
        let renewal = Renewal { ttl_s: TEN_S, clear_checkpoint: false };
        assert_eq!(lessor.renew(7, 9_999), Some(renewal));
        assert_eq!(lessor.expired(19_998, 9), []);
        assert_eq!(lessor.expired(19_999, 9), [7]);
    }

    #[test]
    fn an_expired_lease_is_not_renewed_even_before_it_is_revoked() {
        let mut lessor = leader();
        lessor.granted(7, TEN_S, 0);
        assert_eq!(lessor.renew(7, 10_000), None);
        assert_eq!(lessor.expired(10_000, 9), [7]);
        assert_eq!(lessor.renew(7, 10_001), None);
    }

    #[test]
    fn an_expired_lease_is_handed_out_again_only_after_a_while() {
        let mut lessor = leader();
        lessor.granted(7, TEN_S, 0);
        assert_eq!(lessor.expired(10_000, 9), [7]);
        assert_eq!(lessor.expired(10_000 + RETRY_MS - 1, 9), []);
        assert_eq!(lessor.expired(10_000 + RETRY_MS, 9), [7]);
        lessor.revoked(7);
        assert_eq!(lessor.expired(100_000, 9), []);
        assert_eq!(lessor.remaining_ms(7, 100_000), None);
    }

    #[test]
    fn many_leases_that_end_together_are_handed_out_in_portions() {
        let mut lessor = leader();
        for id in 0..100_000 {
            lessor.granted(id, TEN_S, 0);
        }
        let mut seen = Vec::new();
        for _ in 0..100 {
            let portion = lessor.expired(10_000, 1_000);
            assert_eq!(portion.len(), 1_000);
            seen.extend(portion);
        }
        assert_eq!(lessor.expired(10_000, 1_000), []);
        seen.sort_unstable();
        assert_eq!(seen, (0..100_000).collect::<Vec<i64>>());
    }

    #[test]
    fn a_new_leader_gives_every_lease_an_election_more() {
        let mut lessor = Lessor::default();
        lessor.promote(50_000, [record(1, TEN_S, 0), record(2, 600, 20)], 1_000);
        assert_eq!(lessor.remaining_ms(1, 50_000), Some(11_000));
        assert_eq!(lessor.remaining_ms(2, 50_000), Some(21_000));
        assert_eq!(lessor.expired(60_999, 9), []);
        assert_eq!(lessor.expired(61_000, 9), [1]);
        lessor.revoked(1);
        assert_eq!(lessor.expired(71_000, 9), [2]);
    }

    #[test]
    fn a_renewal_does_not_take_away_what_the_election_gave() {
        let mut lessor = Lessor::default();
        lessor.promote(0, [record(1, TEN_S, 0)], 1_000);
        assert!(lessor.renew(1, 500).is_some());
        assert_eq!(lessor.remaining_ms(1, 500), Some(10_500));
    }

    #[test]
    fn a_follower_knows_no_deadlines() {
        let mut lessor = leader();
        lessor.granted(7, TEN_S, 0);
        lessor.demote();
        lessor.granted(8, TEN_S, 0);
        assert_eq!(lessor.renew(7, 1), None);
        assert_eq!(lessor.remaining_ms(8, 1), None);
        assert_eq!(lessor.expired(u64::MAX / 2, 9), []);
    }

    #[test]
    fn what_is_left_of_a_long_lease_is_written_down_every_five_minutes() {
        let mut lessor = leader();
        lessor.granted(1, 299, 0);
        lessor.granted(2, 1_000, 0);
        assert!(lessor.checkpoints_due(299_999, 9).is_empty());
        let due = lessor.checkpoints_due(300_000, 9);
        assert_eq!((due.len(), due[0].id, due[0].remaining_ttl), (1, 2, 700));
        assert!(lessor.checkpoints_due(599_999, 9).is_empty());
        assert_eq!(lessor.checkpoints_due(600_000, 9)[0].remaining_ttl, 400);
        assert_eq!(lessor.checkpoints_due(900_000, 9)[0].remaining_ttl, 100);
        assert!(lessor.checkpoints_due(1_200_000, 9).is_empty());
    }

    #[test]
    fn a_renewal_says_that_a_checkpoint_must_be_cleared_first() {
        let mut lessor = leader();
        lessor.granted(2, 1_000, 0);
        lessor.checkpointed(2, 700);
        let renewal = Renewal { ttl_s: 1_000, clear_checkpoint: true };
        assert_eq!(lessor.renew(2, 300_001), Some(renewal));
        lessor.checkpointed(2, 0);
        let renewal = Renewal { ttl_s: 1_000, clear_checkpoint: false };
        assert_eq!(lessor.renew(2, 300_003), Some(renewal));
    }

    #[test]
    fn an_endless_time_to_live_does_not_overflow() {
        let mut lessor = leader();
        lessor.granted(1, 9_000_000_000, u64::MAX - 5);
        lessor.promote(u64::MAX - 5, [record(2, i64::MAX, 0)], 1_000);
        assert_eq!(lessor.expired(u64::MAX - 6, 9), []);
    }
}
