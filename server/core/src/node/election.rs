//! When a member campaigns: its election timeouts, drawn from the shell's seed.
//!
//! raft draws a timeout from a generator of the thread whenever it changes role or term. That
//! number is replaced before every tick, the only moment raft looks at it, so the same seed
//! gives the same elections. Replacing it is better than withholding ticks from raft: those
//! also measure how long a follower protects its leader against other candidates, and that
//! time must not vary.

use raft::{RawNode, StateRole};

use super::log::Log;

/// A small generator (splitmix64), good enough to keep members from campaigning together.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub(super) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[derive(Debug)]
pub(super) struct Election {
    chance: Chance,
    /// Silence from the leader that this member bears before it campaigns, in ticks.
    timeout: usize,
    drawn_for: Option<(StateRole, u64)>,
    /// A leader was known at some time since the start.
    seen_leader: bool,
}

impl Election {
    pub(super) fn new(chance: Chance) -> Election {
        Election { chance, timeout: 0, drawn_for: None, seen_leader: false }
    }

    /// One tick passes for raft.
    pub(super) fn tick(&mut self, raw: &mut RawNode<Log>) {
        self.notice(raw);
        let raft = &mut raw.raft;
        let durable = raft.raft_log.persisted == raft.raft_log.last_index();
        if raft.state != StateRole::Leader && raft.promotable() && raft.prs().is_singleton() {
            if !durable {
                // A lone voter wins at once, and raft demands that its log is durable then.
                return;
            }
            // There is nobody to wait for.
            raft.election_elapsed = self.timeout;
        } else if !self.seen_leader && raft.state != StateRole::Candidate {
            // Nobody has led since the start, so there is most likely nobody to disturb; and
            // before it votes a peer that has a leader says no. Two heartbeats of an existing
            // leader are waited for, as etcd does.
            let early = raft.election_timeout().saturating_sub(2);
            raft.election_elapsed = raft.election_elapsed.max(early);
        }
        raft.set_randomized_election_timeout(self.timeout);
        let leads = raft.state == StateRole::Leader;
        if raw.tick() && !leads {
            // It campaigned; should that come to nothing, the next try comes after another time.
            self.drawn_for = None;
        }
    }

    /// One tick passes for a member that may not campaign: it only notices that its leader is
    /// gone.
    pub(super) fn rest(&mut self, raw: &mut RawNode<Log>) {
        self.notice(raw);
        let raft = &mut raw.raft;
        if raft.leader_id == 0 {
            return;
        }
        raft.election_elapsed += 1;
        if raft.election_elapsed >= self.timeout {
            let term = raft.term;
            raft.become_follower(term, 0);
        }
    }

    fn notice(&mut self, raw: &RawNode<Log>) {
        let raft = &raw.raft;
        self.seen_leader |= raft.leader_id != 0;
        let part = (raft.state, raft.term);
        if self.drawn_for != Some(part) {
            self.drawn_for = Some(part);
            let ticks = raft.election_timeout();
            self.timeout = ticks + (self.chance.draw() % ticks as u64) as usize;
        }
    }
}
