//! What a node is told at its start, and every setting of raft with its reason.

use raft::ReadOnlyOption;
use slog::{Discard, Logger, o};

/// Entries travel in messages of about this size: large enough to fill a link, small enough
/// that a heartbeat behind one is not late. etcd's value.
const MESSAGE_BYTES: u64 = 1 << 20;
/// Append messages on their way to one peer: at most 128 MiB of entries, which are shared and
/// not copied. etcd allows 512.
const MESSAGES_IN_FLIGHT: usize = 128;
/// What a leader may have appended and not committed: the price of a lost quorum under load.
const UNCOMMITTED_BYTES: u64 = 64 << 20;
/// Committed entries are handed over in pieces of about this size, so that one batch of the
/// state machine stays short. Catching up after a restart takes a few hundred pieces per GB.
const COMMIT_BYTES: u64 = 4 << 20;

/// A node's identity, its times in ticks, and its limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// This member's id; never zero.
    pub id: u64,
    /// The only source of chance, drawn by the shell anew at every boot: election timeouts and
    /// the nonce of reads come from it. The same seed and inputs give the same effects.
    pub seed: u64,
    /// A leader sends a heartbeat every so many ticks.
    pub heartbeat_ticks: u32,
    /// A follower that hears nothing from a leader for once to twice as many ticks campaigns.
    pub election_ticks: u32,
    /// A request is given up after so many ticks.
    pub request_ticks: u32,
    /// A read that was not confirmed after so many ticks is tried again.
    pub read_retry_ticks: u32,
    /// The log is cut whenever so many entries more have been stored.
    pub snapshot_count: u64,
    /// The log keeps so many entries before the stored ones, for peers that are a little behind.
    pub catch_up_entries: u64,
    pub limits: Limits,
    pub logger: Logger,
}

/// Bounds on what a node holds. Everything beyond is refused or dropped, never queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries kept in memory so that peers a little behind, and the state machine, need no
    /// disk. What is not yet applied or durable is kept beyond it.
    pub resident_bytes: u64,
    /// Writes of this member's clients under way. A write costs about 200 bytes here.
    pub writes: usize,
    /// Writes held back because there is no leader, or until the leader has taken them.
    pub held_bytes: u64,
    /// Linearizable reads under way.
    pub reads: usize,
    /// Reads of peers that a leader confirms at a time: one per peer and tick would do, this
    /// leaves room for peers that pipeline.
    pub peer_reads: usize,
    /// Committed and not applied: beyond it a leader takes no more writes (etcd's number), ...
    pub unapplied_entries: u64,
    /// ... nor beyond so many bytes, where a follower takes no more entries either.
    pub unapplied_bytes: u64,
    /// What the log takes in while a state is on its way to a peer and keeps for it: as much as
    /// the largest state anyone should have, so another snapshot then costs no more.
    pub transfer_bytes: u64,
    /// No peer may send more in one message: twice the largest request anyone should allow.
    pub message_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            resident_bytes: 64 << 20,
            writes: 16_384,
            held_bytes: 64 << 20,
            reads: 65_536,
            peer_reads: 1024,
            unapplied_entries: 5000,
            unapplied_bytes: 128 << 20,
            transfer_bytes: 8 << 30,
            message_bytes: 32 << 20,
        }
    }
}

impl Config {
    /// etcd's default times: a heartbeat of 100 ms, which is one tick, and elections after 1 s.
    pub fn new(id: u64, seed: u64) -> Config {
        Config::with_times(id, seed, 100, 1000)
    }

    /// As etcd counts: a tick is a heartbeat interval, and a request may take 5 s and two
    /// elections, since one election can fail.
    pub fn with_times(id: u64, seed: u64, heartbeat_ms: u32, election_ms: u32) -> Config {
        let tick_ms = heartbeat_ms.max(1);
        let election_ticks = (election_ms / tick_ms).max(2);
        Config {
            id,
            seed,
            heartbeat_ticks: 1,
            election_ticks,
            request_ticks: (5000u32.div_ceil(tick_ms))
                .saturating_add(election_ticks.saturating_mul(2)),
            // etcd's retry after 500 ms, but never in the very next tick: it may be due already.
            read_retry_ticks: 500u32.div_ceil(tick_ms).max(2),
            // etcd 3.6's defaults.
            snapshot_count: 10_000,
            catch_up_entries: 5_000,
            limits: Limits::default(),
            logger: Logger::root(Discard, o!()),
        }
    }

    /// raft's own configuration. Every field is set: its defaults allow disruptive members,
    /// stale leaders and unbounded memory.
    pub(super) fn for_raft(&self, applied: u64) -> raft::Config {
        let election_tick = self.election_ticks as usize;
        raft::Config {
            id: self.id,
            election_tick,
            heartbeat_tick: self.heartbeat_ticks as usize,
            applied,
            max_size_per_msg: MESSAGE_BYTES,
            max_inflight_msgs: MESSAGES_IN_FLIGHT,
            // A leader cut off from its quorum must stop answering.
            check_quorum: true,
            // A member that was cut off must not depose the leader when it returns.
            pre_vote: true,
            // The range of the timeouts the node itself draws; see `election`.
            min_election_tick: election_tick,
            max_election_tick: 2 * election_tick,
            // The lease based way trusts clocks; a paused machine would answer stale reads.
            read_only_option: ReadOnlyOption::Safe,
            // Followers should answer their clients as soon as the leader does.
            skip_bcast_commit: false,
            // It would merge messages without regard to their size; proposals are batched
            // before they get here.
            batch_append: false,
            // All members are equal.
            priority: 0,
            max_uncommitted_size: UNCOMMITTED_BYTES,
            max_committed_size_per_ready: COMMIT_BYTES,
        }
    }
}

/// At most so many bytes of writes go to raft as one proposal, and so to a peer in one message.
pub(super) const PROPOSAL_BYTES: u64 = MESSAGE_BYTES;

/// What a leader may have uncommitted; asked before proposing, so that raft refuses nothing.
pub(super) const fn uncommitted_bytes() -> u64 {
    UNCOMMITTED_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raft_is_configured_as_safely_as_etcd() {
        let config = Config::new(1, 0);
        assert_eq!(config.request_ticks, 70);
        assert_eq!(config.read_retry_ticks, 5);
        let raft = config.for_raft(7);
        assert_eq!(raft.validate(), Ok(()));
        assert!(raft.check_quorum && raft.pre_vote);
        assert_eq!(raft.read_only_option, ReadOnlyOption::Safe);
        assert_eq!((raft.heartbeat_tick, raft.election_tick), (1, 10));
        assert_eq!((raft.min_election_tick, raft.max_election_tick), (10, 20));
        assert_eq!(raft.applied, 7);
        assert_eq!(raft.max_size_per_msg, 1 << 20);
        assert_eq!(raft.max_inflight_msgs, 128);
        assert_eq!(raft.max_uncommitted_size, 64 << 20);
        assert_eq!(raft.max_committed_size_per_ready, 4 << 20);
        assert!(!raft.batch_append && !raft.skip_bcast_commit);
    }

    #[test]
    fn times_are_counted_in_heartbeats() {
        let config = Config::with_times(1, 0, 50, 500);
        assert_eq!((config.heartbeat_ticks, config.election_ticks), (1, 10));
        assert_eq!(config.request_ticks, 120);
        assert_eq!(Config::with_times(1, 0, 1000, 100).for_raft(0).validate(), Ok(()));
    }
}
