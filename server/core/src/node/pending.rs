//! The writes of this member's clients, from their arrival until it is known what became of
//! them.
//!
//! A write is **held** until it goes to the log or to the leader; until then it was surely never
//! proposed and may be tried again. Once it is **forwarded** and no answer came, or **appended**
//! somewhere, it is never proposed a second time: it waits until its index is committed here,
//! by itself (then the shell answers it after applying it) or by something else (then it is
//! lost), or until its deadline. So no write happens twice, and every write has an end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::Refusal;

#[derive(Debug, Default)]
pub(super) struct Pending {
    writes: BTreeMap<u64, Write>,
    /// By deadline and id.
    deadlines: BTreeSet<(u64, u64)>,
    /// By the index and term at which they were appended.
    appended: BTreeMap<(u64, u64), u64>,
    held: VecDeque<u64>,
    /// Entries kept because they may yet be sent.
    held_bytes: u64,
}

#[derive(Debug)]
struct Write {
    since: u64,
    deadline: u64,
    /// Empty once it is known to be in someone's log.
    entry: Bytes,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Not to be tried before this tick; `turned_away` by a leader that took no more.
    Held {
        not_before: u64,
        turned_away: bool,
    },
    Forwarded {
        to: u64,
        term: u64,
    },
    Appended {
        index: u64,
        term: u64,
    },
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.writes.len()
    }

    pub(super) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.writes.contains_key(&id)
    }

    /// Holds a new write, which came at `since`.
    pub(super) fn hold(&mut self, id: u64, entry: Bytes, since: u64, deadline: u64) {
        self.held_bytes += entry.len() as u64;
        self.deadlines.insert((deadline, id));
        self.held.push_back(id);
        let stage = Stage::Held { not_before: 0, turned_away: false };
        self.writes.insert(id, Write { since, deadline, entry, stage });
    }

    /// Takes the next write that may be proposed or forwarded at `now`; it must be said what
    /// became of it.
    pub(super) fn take_held(&mut self, now: u64) -> Option<(u64, Bytes)> {
        while let Some(id) = self.held.front().copied() {
            let due = match self.writes.get(&id) {
                Some(Write { stage: Stage::Held { not_before, .. }, entry, .. }) => {
                    Some((*not_before <= now).then(|| entry.clone())?)
                }
                _ => None,
            };
            self.held.pop_front();
            if let Some(entry) = due {
                return Some((id, entry));
            }
        }
        None
    }

    /// The write was sent to a leader.
    pub(super) fn forwarded(&mut self, id: u64, to: u64, term: u64) {
        if let Some(write) = self.writes.get_mut(&id) {
            write.stage = Stage::Forwarded { to, term };
        }
    }

    /// The write is in this member's log.
    pub(super) fn appended(&mut self, id: u64, index: u64, term: u64) {
        if let Some(write) = self.writes.get_mut(&id) {
            self.held_bytes -= write.entry.len() as u64;
            write.entry = Bytes::new();
            write.stage = Stage::Appended { index, term };
            self.appended.insert((index, term), id);
        }
    }

    /// The leader `from` answered: where it appended the write, or that it did not.
    pub(super) fn answered(&mut self, id: u64, from: u64, at: Option<(u64, u64)>, now: u64) {
        let forwarded_there = matches!(
            self.writes.get(&id),
            Some(Write { stage: Stage::Forwarded { to, .. }, .. }) if *to == from
        );
        match at {
            _ if !forwarded_there => {}
            Some((term, index)) => self.appended(id, index, term),
            None => self.put_back(id, now, true),
        }
    }

    /// The write was surely not proposed; it is tried again from the next tick on.
    pub(super) fn put_back(&mut self, id: u64, now: u64, turned_away: bool) {
        if let Some(write) = self.writes.get_mut(&id) {
            write.stage = Stage::Held { not_before: now + 1, turned_away };
            self.held.push_back(id);
        }
    }

    /// Ends what was appended up to `index`: `term` says what is committed there. The ids of
    /// those that lost their place to another entry are returned.
    pub(super) fn committed(&mut self, index: u64, term: impl Fn(u64) -> Option<u64>) -> Vec<u64> {
        let mut lost = Vec::new();
        while let Some((at, id)) = self.appended.first_key_value()
            && at.0 <= index
        {
            let (at, id) = (*at, *id);
            self.remove(id);
            if term(at.0) != Some(at.1) {
                lost.push(id);
            }
        }
        lost
    }

    /// Ends what is out of time. `term` and `leader` are those of now; `connected` says whether the
    /// leader could be reached ever since a tick.
    ///
    /// The reasons are told apart as etcd does it (`parseProposeCtxErr`): without a leader nobody
    /// knows yet whether one failed.
    pub(super) fn expired(
        &mut self,
        now: u64,
        term: u64,
        leader: u64,
        connected: impl Fn(u64) -> bool,
    ) -> Vec<(u64, Refusal)> {
        let mut expired = Vec::new();
        while let Some((deadline, id)) = self.deadlines.first().copied()
            && deadline <= now
        {
            let Some(write) = self.remove(id) else { continue };
            let refusal = match write.stage {
                Stage::Held { turned_away: true, .. } => Refusal::TooManyRequests,
                Stage::Held { .. } => Refusal::NoLeader,
                Stage::Forwarded { term: at, .. } | Stage::Appended { term: at, .. } => {
                    match leader {
                        0 => Refusal::Timeout,
                        _ if at != term => Refusal::LeaderFailed,
                        _ if !connected(write.since) => Refusal::ConnectionLost,
                        _ => Refusal::Timeout,
                    }
                }
            };
            expired.push((id, refusal));
        }
        expired
    }

    /// Forgets a write that was refused.
    pub(super) fn forget(&mut self, id: u64) {
        self.remove(id);
    }

    fn remove(&mut self, id: u64) -> Option<Write> {
        let write = self.writes.remove(&id)?;
        self.held_bytes -= write.entry.len() as u64;
        self.deadlines.remove(&(write.deadline, id));
        if let Stage::Appended { index, term } = write.stage {
            self.appended.remove(&(index, term));
        }
        Some(write)
    }
}
