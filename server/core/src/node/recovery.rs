//! A member whose log was damaged, until the leader has replicated past all that it lost.
//!
//! The member knows its last term and vote, which its disk has apart from the log, but not all
//! entries: it may have acknowledged some that it no longer has. It neither votes nor campaigns
//! until it has everything it ever promised, and to know when, it asks its leader where the
//! leader's log ends: the **bound**. When its own log is durable and is the leader's up to there,
//! it is complete.
//!
//! # Why this is safe
//!
//! Let the member be in term T, with the leader L of T, when it completes.
//! - It has promised nothing in a term above T, for its last term is known, and its term only
//!   grows. Nor will it vote twice in T, for its vote in it is known.
//! - An entry that was committed, or still may be, with its help in a term below T: those who
//!   elected L and those who committed the entry have a member in common. If it is another one
//!   than this, that is raft's usual case. If it is this one, it voted for L after it had
//!   acknowledged the entry and with all of its log, since without it does not vote. So either way
//!   L had the entry when it was elected. By induction over terms and completions this holds
//!   however many members were ever damaged, and however many are now: those only do not vote.
//! - What it acknowledged to L itself before the damage was at or below L's last entry, and so at
//!   or below the bound, since a leader's log only grows and its question came after the damage.
//! - So with L's log up to the bound it has all it ever acknowledged, and is like a member that
//!   never lost anything.
//!
//! Acknowledgements of what is durable here are true and leave at any time. Old ones that are
//! still on their way, and what leaders have counted, may be untrue for a while: a leader may
//! commit with them what only it and others have. That is an entry up to the bound, and until it
//! is here nobody can be elected with this member's vote. Heartbeats are acknowledged too, for
//! reads: they say only in which term this member is.
//!
//! But what this member is told on the strength of its old acknowledgements it must not believe. A
//! heartbeat commits up to what the leader thinks its receiver has. Part of a log can be an older
//! version of it, with other entries at these indexes: so heartbeats commit nothing here. What is
//! committed comes with entries, and raft compares those.
//!
//! # Why it ends
//!
//! raft takes a peer's refusal of what the peer acknowledged before for an old message, and would
//! never send it again. So the leader forgets, once for each question with a new nonce, what the
//! peer has acknowledged. This affects no promise: a leader that counts less commits later. An
//! old acknowledgement may arrive afterwards and mislead it again; so a member that has an answer
//! and acknowledges nothing for an election timeout asks anew. Another term or leader means
//! another bound, and so another question.
//!
//! While so many members are not complete that the others make no majority, there is no leader and
//! will be none. That is right, for nobody can tell what was committed; but somebody must be told.

use std::collections::BTreeMap;

use raft::{ProgressState, StateRole};
use raft_proto::eraftpb::{Message, MessageType};

use super::{Effect, Effects, Node};

/// A place in the log of the leader of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    leader: u64,
    term: u64,
    index: u64,
}

/// A member that is not complete.
#[derive(Debug)]
pub(super) struct Recovery {
    /// Of the questions to the leader; tells apart those of one life from those of another.
    nonce: u64,
    bound: Option<Place>,
    /// The highest acknowledgement that left, all of it durable, to the newest leader.
    acknowledged: Option<Place>,
    /// The tick of the newest answer or acknowledgement.
    since: u64,
    /// Ticks without a leader.
    leaderless: u64,
}

/// Election timeouts without a leader after which somebody should hear of it: far more than an
/// election takes.
const LEADERLESS_ELECTIONS: u64 = 10;

/// Then again each time so many have passed: a minute, at the usual times.
const REMIND_ELECTIONS: u64 = 60;

/// The answers that a leader gave to members that are not complete; one for each at most.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    /// The term that this member leads in.
    term: u64,
    /// Nonce and bound, by member.
    told: BTreeMap<u64, (u64, u64)>,
}

impl Recovery {
    pub(super) fn new(nonce: u64) -> Recovery {
        Recovery { nonce, bound: None, acknowledged: None, since: 0, leaderless: 0 }
    }

    fn is_past(&self, leader: u64, term: u64) -> bool {
        let (Some(bound), Some(acknowledged)) = (self.bound, self.acknowledged) else {
            return false;
        };
        let current = |place: Place| place.leader == leader && place.term == term;
        current(bound) && current(acknowledged) && acknowledged.index >= bound.index
    }
}

impl Node {
    /// Says what to do if no leader comes who could give back what was lost.
    pub(super) fn complain_of_no_leader(&mut self) {
        let Some(recovery) = &mut self.recovery else { return };
        if self.raw.raft.leader_id != 0 {
            recovery.leaderless = 0;
            return;
        }
        recovery.leaderless += 1;
        let election = u64::from(self.config.election_ticks);
        let patience = LEADERLESS_ELECTIONS * election;
        let over = recovery.leaderless.checked_sub(patience);
        if over.is_some_and(|over| over.is_multiple_of(REMIND_ELECTIONS * election)) {
            self.complaints.leaderless(recovery.leaderless);
        }
    }

    /// Asks the leader, if its answer is not known or of no use.
    pub(super) fn ask_bound(&mut self, out: &mut Effects) {
        let raft = &self.raw.raft;
        let (leader, term, last) = (raft.leader_id, raft.term, raft.raft_log.last_index());
        let Some(recovery) = &mut self.recovery else { return };
        if leader == 0 {
            return;
        }
        let known = recovery.bound.is_some_and(|it| it.leader == leader && it.term == term);
        if known {
            if self.now - recovery.since < u64::from(self.config.election_ticks) {
                return;
            }
            recovery.nonce = recovery.nonce.wrapping_add(1);
        }
        recovery.bound = None;
        out.push(Effect::AskBound { to: leader, nonce: recovery.nonce, last });
    }

    /// The leader's answer.
    pub(super) fn bound_told(
        &mut self,
        from: u64,
        nonce: u64,
        bound: (u64, u64),
        out: &mut Effects,
    ) {
        let (term, index) = bound;
        let current = self.raw.raft.term == term && self.raw.raft.leader_id == from;
        if let Some(recovery) = &mut self.recovery
            && recovery.nonce == nonce
            && recovery.bound.is_none()
            && current
        {
            recovery.bound = Some(Place { leader: from, term, index });
            recovery.since = self.now;
            self.complete_if_past(out);
        }
    }

    /// A message leaves, and all that it says is durable.
    pub(super) fn note_acknowledged(&mut self, message: &Message, out: &mut Effects) {
        let Some(recovery) = &mut self.recovery else { return };
        if message.get_msg_type() != MessageType::MsgAppendResponse || message.reject {
            return;
        }
        let (leader, term) = (message.to, message.term);
        let before = recovery.acknowledged.filter(|it| it.leader == leader && it.term == term);
        let index = before.map_or(0, |it| it.index).max(message.index);
        recovery.acknowledged = Some(Place { leader, term, index });
        recovery.since = self.now;
        self.complete_if_past(out);
    }

    fn complete_if_past(&mut self, out: &mut Effects) {
        let (leader, term) = (self.raw.raft.leader_id, self.raw.raft.term);
        if self.recovery.take_if(|recovery| recovery.is_past(leader, term)).is_some() {
            out.push(Effect::LogComplete);
        }
    }

    /// Takes from a message what it says on the strength of old acknowledgements.
    pub(super) fn distrust(&self, message: &mut Message) {
        if self.recovery.is_some() && message.msg_type == MessageType::MsgHeartbeat as i32 {
            message.commit = 0;
        }
    }

    /// A peer that is not complete asks where the log of its leader ends. Its `last` entry is
    /// where to begin sending.
    pub(super) fn bound_asked(&mut self, from: u64, nonce: u64, last: u64, out: &mut Effects) {
        let raft = &mut self.raw.raft;
        let (term, own_last) = (raft.term, raft.raft_log.last_index());
        if raft.state != StateRole::Leader || from == raft.id {
            return;
        }
        let Some(progress) = raft.mut_prs().get_mut(from) else { return };
        if self.bounds.term != term {
            self.bounds = Bounds { term, ..Bounds::default() };
        }
        let known = self.bounds.told.get(&from).filter(|(asked, _)| *asked == nonce);
        let index = if let Some((_, index)) = known {
            *index
        } else {
            progress.matched = 0;
            // From a snapshot on its way raft goes on itself, when that has ended.
            if progress.state != ProgressState::Snapshot {
                progress.become_probe();
                progress.next_idx = last.min(own_last) + 1;
            }
            self.bounds.told.insert(from, (nonce, own_last));
            own_last
        };
        out.push(Effect::TellBound { to: from, nonce, term, index });
    }
}
