//! What survives a crash of a simulated member: its log, its state machine as of the last flush,
//! and the states it received.

use std::collections::{BTreeMap, VecDeque};

use kvorum_core::node::{Boot, Group, TermRun};
use raft_proto::eraftpb::{ConfState, Entry, HardState};

/// A state machine and the quorum at the same index.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) applied: Vec<Entry>,
    pub(crate) conf_state: ConfState,
}

/// What survives a crash.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) hard_state: HardState,
    /// The entry before the first one in the log.
    pub(crate) base: (u64, u64),
    pub(crate) log: Vec<Entry>,
    /// The state machine as of its last flush.
    pub(crate) stored: State,
    /// Damage has cost the log what it held up to here.
    pub(crate) incomplete: Option<u64>,
    /// What the newest groups replaced, oldest first.
    pub(crate) undo: VecDeque<Undo>,
    /// States that came from a leader, by their index and term.
    pub(crate) received: BTreeMap<(u64, u64), State>,
}

/// How the log was before a group.
#[derive(Clone, Debug)]
pub(crate) struct Undo {
    commit: u64,
    /// Where the log began, if the group made it begin anew.
    base: Option<(u64, u64)>,
    /// The last index that the group left as it was.
    kept: u64,
    replaced: Vec<Entry>,
}

/// Groups that damage can take back.
const UNDO: usize = 24;

impl State {
    pub(crate) fn index(&self) -> u64 {
        self.applied.len() as u64
    }

    pub(crate) fn position(&self) -> (u64, u64) {
        self.applied.last().map_or((0, 0), |entry| (entry.index, entry.term))
    }
}

impl Disk {
    pub(crate) fn write(&mut self, group: Group) {
        self.note_undo(&group);
        if let Some(base) = group.base {
            assert!(self.received.contains_key(&base), "the state before the log is on the disk");
            self.base = base;
            self.log.clear();
        }
        for entry in group.entries {
            self.log.truncate((entry.index - self.base.0) as usize - 1);
            assert_eq!(self.last() + 1, entry.index, "the log has no gap");
            self.log.push(entry);
        }
        if let Some(hard_state) = group.hard_state {
            self.hard_state = hard_state;
        }
    }

    fn note_undo(&mut self, group: &Group) {
        let base = group.base.map(|_| self.base);
        let first = group.entries.first().map_or(self.last() + 1, |entry| entry.index);
        let kept = if base.is_some() { self.base.0 } else { first - 1 };
        let replaced = self.log[(kept - self.base.0) as usize..].to_vec();
        self.undo.push_back(Undo { commit: self.hard_state.commit, base, kept, replaced });
        if self.undo.len() > UNDO {
            self.undo.pop_front();
        }
    }

    /// Damage takes back the newest groups, as far as they can be, but not term and vote. The
    /// state machine may be ahead of what is left of the log, or contradict it.
    pub(crate) fn damage(&mut self, groups: u64) {
        let lost = self.last().max(self.incomplete.unwrap_or(0)).max(1);
        for _ in 0..groups {
            let Some(Undo { commit, base, kept, replaced }) = self.undo.pop_back() else { break };
            if let Some(base) = base {
                self.base = base;
                self.log.clear();
            }
            self.log.truncate((kept - self.base.0) as usize);
            self.log.extend(replaced);
            self.hard_state.commit = commit;
        }
        self.undo.clear();
        self.incomplete = Some(lost);
        self.install();
        let applied = self.stored.position();
        if self.term(applied.0) != Some(applied.1) {
            assert!(applied.0 > self.base.0, "the log went on from what is stored");
            self.log.clear();
            self.base = applied;
            self.hard_state.commit = applied.0;
        }
    }

    fn term(&self, index: u64) -> Option<u64> {
        let at = index.checked_sub(self.base.0)?;
        if at == 0 {
            return Some(self.base.1);
        }
        self.log.get(at as usize - 1).map(|entry| entry.term)
    }

    /// Forgets the entries up to an index.
    pub(crate) fn cut(&mut self, index: u64) {
        let durable = self.base.0 < index && index <= self.last();
        assert!(durable && index <= self.stored.index(), "what is cut off is durable and stored");
        self.log.drain(..(index - self.base.0) as usize - 1);
        let end = self.log.remove(0);
        self.base = (end.index, end.term);
        // What reaches further back is gone for good.
        let gone = self.undo.iter().rposition(|undo| undo.kept < index || undo.base.is_some());
        self.undo.drain(..gone.map_or(0, |at| at + 1));
    }

    /// Puts a received state in place if the log begins behind it.
    pub(crate) fn install(&mut self) {
        if let Some(state) = self.received.remove(&self.base)
            && self.stored.index() < self.base.0
        {
            self.stored = state;
        }
    }

    pub(crate) fn last(&self) -> u64 {
        self.base.0 + self.log.len() as u64
    }

    pub(crate) fn boot(&self) -> Boot {
        let mut runs: Vec<TermRun> = Vec::new();
        for entry in &self.log {
            if runs.last().is_none_or(|run| run.term != entry.term) {
                runs.push(TermRun { first: entry.index, term: entry.term });
            }
        }
        let applied = self.stored.position();
        let after = applied.0.saturating_sub(self.base.0) as usize;
        Boot {
            hard_state: self.hard_state.clone(),
            conf_state: self.stored.conf_state.clone(),
            applied,
            base: self.base,
            last: self.last(),
            runs,
            tail: self.log.get(after..).unwrap_or_default().to_vec(),
            incomplete: self.incomplete,
        }
    }
}

/// The write that an entry is, if it is one.
pub(crate) fn write_id(entry: &Entry) -> Option<u64> {
    Some(u64::from_be_bytes(entry.data[..].try_into().ok()?))
}
