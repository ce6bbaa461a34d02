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
/// new leader may well start it anew. A fifth of etcd's figure: each change of leaders gives a
/// lease the time back that has passed since, so that after a few of them it still has not lived
/// longer than one of etcd's intervals too long (etcd #17132). Of 100,000 long leases it makes two
/// entries a second.
pub const CHECKPOINT_MS: u64 = 60_000;

/// The shortest time to live a lease may have, in seconds: one and a half elections, rounded up,
/// since a shorter one would end whenever the leader changes.
pub fn minimum_ttl_s(election_timeout_ms: u64) -> i64 {
    (election_timeout_ms * 3 / 2).div_ceil(1000) as i64
}

/// The leases of a leader; on other members, nothing.
#[derive(Debug)]
pub struct Lessor {
    leads: bool,
    /// Between two checkpoints of a lease.
    checkpoint_every_ms: u64,
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

impl Default for Lessor {
    fn default() -> Self {
        Lessor::new(CHECKPOINT_MS)
    }
}

impl Lessor {
    /// A lessor that does not lead, and will write down what is left of leases so often.
    pub fn new(checkpoint_every_ms: u64) -> Lessor {
        Lessor {
            leads: false,
            checkpoint_every_ms,
            leases: BTreeMap::new(),
            due: BTreeSet::new(),
            checkpoints: BTreeSet::new(),
        }
    }

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
        *self = Lessor::new(self.checkpoint_every_ms);
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

    /// Leases to be revoked now, those that ended first first: so many that what they cost
    /// together reaches `budget`. Each is handed out again only if it is still there after a while.
    pub fn expired(&mut self, now_ms: u64, budget: usize, cost: impl Fn(i64) -> usize) -> Vec<i64> {
        let mut expired = Vec::new();
        let mut spent = 0;
        while spent < budget
            && let Some(&(due_ms, id)) = self.due.first()
            && due_ms <= now_ms
        {
            let lease = self.leases.get_mut(&id).expect("what is due exists");
            lease.due_ms = now_ms + RETRY_MS;
            self.due.pop_first();
            self.due.insert((lease.due_ms, id));
            spent = spent.saturating_add(cost(id));
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

    /// The next checkpoint, in place of one that was planned: of a lease that is renewed more
    /// often there is none.
    fn schedule_checkpoint(&mut self, id: i64, now_ms: u64) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        if let Some(planned_ms) = lease.checkpoint_ms.take() {
            self.checkpoints.remove(&(planned_ms, id));
        }
        if lease.deadline_ms.saturating_sub(now_ms) > self.checkpoint_every_ms {
            let at_ms = now_ms.saturating_add(self.checkpoint_every_ms);
            lease.checkpoint_ms = Some(at_ms);
            self.checkpoints.insert((at_ms, id));
        }
    }
}

fn in_ms(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1000)
}

#[cfg(test)]
mod tests;
