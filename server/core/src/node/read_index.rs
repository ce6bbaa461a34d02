//! Linearizable reads: from which applied index on may they be served?
//!
//! The leader answers once a quorum has confirmed, after the question came, that it still leads.
//! All reads that wait ask one question. raft may drop it silently, so it is asked again after a
//! while, when the leader or term changes, and when the first entry of the term is committed;
//! each time under a context never used before, so that late confirmations of an old question
//! cannot be taken for a new one's. An answer counts only if its question is still open and
//! leader and term are those it was asked under.

use std::collections::{BTreeMap, VecDeque};

use raft::{ReadState, StateRole};

use super::{Effect, Effects, Node, Refusal};
use crate::planted::{self, Bug};

/// Questions open at a time, so that a read need not wait for the one before it; each is a
/// round of heartbeats.
const QUESTIONS: usize = 4;
/// Member, nonce of its boot, number of the question.
const CONTEXT_BYTES: usize = 24;
/// Lives of a peer whose questions are remembered. One from before that many starts of the peer,
/// all of them under one leader, is on its way no longer.
const LIVES: usize = 8;

#[derive(Debug)]
pub(super) struct Reads {
    /// Tells this boot's contexts from those of the boots before.
    nonce: u64,
    asked: u64,
    waiting: VecDeque<Read>,
    questions: VecDeque<Question>,
    /// What the open questions were asked under.
    under: Under,
    /// What each peer has asked, the life that asked last at the end.
    seen: BTreeMap<u64, VecDeque<Life>>,
}

/// From one start of a peer to the next.
#[derive(Clone, Copy, Debug)]
struct Life {
    nonce: u64,
    /// Of its newest question that came here.
    number: u64,
}

#[derive(Clone, Copy, Debug)]
struct Read {
    id: u64,
    deadline: u64,
}

#[derive(Debug)]
struct Question {
    number: u64,
    asked_at: u64,
    reads: Vec<Read>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Under {
    leader: u64,
    term: u64,
    /// An entry of this term is committed; before that a leader answers nothing.
    settled: bool,
}

impl Reads {
    pub(super) fn new(nonce: u64) -> Reads {
        Reads {
            nonce,
            asked: 0,
            waiting: VecDeque::new(),
            questions: VecDeque::new(),
            under: Under::default(),
            seen: BTreeMap::new(),
        }
    }

    /// Whether a peer's question is newer than all it asked before in the same life. Were an old
    /// one taken again, confirmations still on their way for it would seem to confirm this leader
    /// now. Which of two lives is the older one nobody can tell, so each has numbers of its own.
    pub(super) fn is_new(&self, from: u64, context: &[u8]) -> bool {
        let Some((member, nonce, number)) = decode(context) else { return false };
        let mut lives = self.seen.get(&from).into_iter().flatten();
        let known = lives.find(|life| life.nonce == nonce);
        let newest = known.is_none_or(|life| life.number < number);
        member == from && (newest || planted::is(Bug::ReadContextReused))
    }

    pub(super) fn note(&mut self, from: u64, context: &[u8]) {
        let Some((_, nonce, number)) = decode(context) else { return };
        let lives = self.seen.entry(from).or_default();
        lives.retain(|life| life.nonce != nonce);
        lives.push_back(Life { nonce, number });
        if lives.len() > LIVES {
            lives.pop_front();
        }
    }

    fn len(&self) -> usize {
        self.waiting.len() + self.questions.iter().map(|open| open.reads.len()).sum::<usize>()
    }

    /// Gives the open questions up; their reads wait again, the oldest first.
    fn reopen(&mut self) {
        while let Some(question) = self.questions.pop_back() {
            for read in question.reads.into_iter().rev() {
                self.waiting.push_front(read);
            }
        }
    }

    fn expire(&mut self, now: u64) -> Vec<u64> {
        let mut expired = Vec::new();
        let mut in_time = |read: &Read| {
            let keep = read.deadline > now;
            if !keep {
                expired.push(read.id);
            }
            keep
        };
        for question in &mut self.questions {
            question.reads.retain(&mut in_time);
        }
        self.waiting.retain(&mut in_time);
        self.questions.retain(|question| !question.reads.is_empty());
        expired
    }
}

impl Node {
    pub(super) fn admit_read(&mut self, id: u64, out: &mut Effects) {
        if self.reads.len() >= self.config.limits.reads {
            out.push(Effect::Refused { id, refusal: Refusal::TooManyRequests });
            return;
        }
        let deadline = self.now + u64::from(self.config.request_ticks);
        self.reads.waiting.push_back(Read { id, deadline });
    }

    /// Asks the leader on behalf of all reads that wait, if there is one that can answer.
    pub(super) fn ask(&mut self) {
        let raft = &self.raw.raft;
        let under = Under {
            leader: raft.leader_id,
            term: raft.term,
            settled: raft.commit_to_current_term(),
        };
        let retry = u64::from(self.config.read_retry_ticks);
        let overdue = |open: &Question| self.now - open.asked_at >= retry;
        if under != self.reads.under || self.reads.questions.iter().any(overdue) {
            self.reads.under = under;
            self.reads.reopen();
        }
        let unsettled = raft.state == StateRole::Leader && !under.settled;
        if under.leader == 0 || unsettled {
            return;
        }
        let reads = &mut self.reads;
        if reads.waiting.is_empty() || reads.questions.len() >= QUESTIONS {
            return;
        }
        reads.asked += u64::from(!planted::is(Bug::ReadContextReused));
        let question = Question {
            number: reads.asked,
            asked_at: self.now,
            reads: reads.waiting.drain(..).collect(),
        };
        let context = encode(self.config.id, reads.nonce, question.number);
        reads.questions.push_back(question);
        self.raw.read_index(context);
    }

    /// The leader's answers.
    pub(super) fn answer_reads(&mut self, states: Vec<ReadState>, out: &mut Effects) {
        let (leader, term) = (self.raw.raft.leader_id, self.raw.raft.term);
        for state in states {
            let Some((member, nonce, number)) = decode(&state.request_ctx) else { continue };
            let ours = (member, nonce) == (self.config.id, self.reads.nonce);
            let current = (leader, term) == (self.reads.under.leader, self.reads.under.term);
            let questions = &mut self.reads.questions;
            let open = questions.iter().position(|question| question.number == number);
            if let Some(at) = open
                && ours
                && current
                && let Some(question) = questions.remove(at)
            {
                let ids = question.reads.iter().map(|read| read.id).collect();
                let early = planted::is(Bug::ReadBeforeApply);
                out.push(Effect::ReadReady { ids, index: if early { 0 } else { state.index } });
            }
        }
    }

    pub(super) fn expire_reads(&mut self, out: &mut Effects) {
        let refusal = match self.raw.raft.leader_id {
            0 => Refusal::NoLeader,
            _ => Refusal::Timeout,
        };
        for id in self.reads.expire(self.now) {
            out.push(Effect::Refused { id, refusal });
        }
    }
}

fn encode(member: u64, nonce: u64, number: u64) -> Vec<u8> {
    [member, nonce, number].iter().flat_map(|part| part.to_be_bytes()).collect()
}

fn decode(context: &[u8]) -> Option<(u64, u64, u64)> {
    let context: &[u8; CONTEXT_BYTES] = context.try_into().ok()?;
    let part = |at: usize| {
        context[at..at + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    Some((part(0), part(8), part(16)))
}

#[cfg(test)]
mod tests {
    use super::{LIVES, Reads, encode};

    /// Whether the question of member 2 is taken.
    fn asks(reads: &mut Reads, nonce: u64, number: u64) -> bool {
        let context = encode(2, nonce, number);
        let taken = reads.is_new(2, &context);
        if taken {
            reads.note(2, &context);
        }
        taken
    }

    #[test]
    fn a_question_is_taken_once_though_its_member_starts_again() {
        let mut reads = Reads::new(0);
        assert!(asks(&mut reads, 70, 1) && asks(&mut reads, 70, 2));
        assert!(asks(&mut reads, 80, 1) && asks(&mut reads, 80, 2));
        assert!(!asks(&mut reads, 70, 2), "one of the life before");
        assert!(!asks(&mut reads, 80, 1) && !asks(&mut reads, 80, 2), "one of this life");
        assert!(asks(&mut reads, 80, 3));
    }

    #[test]
    fn a_late_question_of_a_life_before_does_not_shut_out_this_one() {
        let mut reads = Reads::new(0);
        assert!(asks(&mut reads, 80, 5));
        assert!(asks(&mut reads, 70, 9), "it never came here before");
        assert!(!asks(&mut reads, 80, 5) && asks(&mut reads, 80, 6));
        assert!(!asks(&mut reads, 70, 9));
    }

    #[test]
    fn a_peer_speaks_of_its_own_questions_and_costs_little() {
        let mut reads = Reads::new(0);
        assert!(!reads.is_new(3, &encode(2, 70, 1)), "somebody else's");
        assert!(!reads.is_new(2, b"garbage"));
        for nonce in 0..1_000 {
            assert!(asks(&mut reads, nonce, 1));
        }
        assert_eq!(reads.seen[&2].len(), LIVES);
    }
}
