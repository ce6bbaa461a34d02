//! Whether the members hold the same state.
//!
//! A state machine that is a function of the log makes equal states at equal indexes. Members
//! exchange marks, which are the [state hash](StateHash) at an index, and compare them where they
//! have the index in common. Each notes its own at every multiple of [`MARK_EVERY`], which all
//! members pass, and where it is whenever nothing is left to apply; it sends every mark it has
//! noted, so that all have the same ones to compare.
//!
//! Where members differ, more than half of the voters with one hash are right, and whoever has
//! another has diverged. If there is no such half and none can come any more, nobody knows who is
//! right: then everybody who sees it takes himself for diverged. A difference that is still open
//! when its mark is forgotten counts as such a one, unless the member that differed has been
//! found diverged elsewhere. Who has diverged stays so, whatever is reported later: a peer until a
//! person has seen to it ([`Divergence::forget`]), this member itself for as long as it runs,
//! because its state stays what it is. If a person takes back the alarm that it raised for that,
//! it raises it again.
//!
//! Reports come from outside and may be anything: what is kept of one member is bounded, and what
//! could not be compared is counted, never taken for agreement.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::store::StateHash;

#[cfg(test)]
mod tests;

/// Close enough to find a difference within a second under load, and far enough apart that marks
/// are a small part of what members say.
pub const MARK_EVERY: u64 = 256;

/// Marks kept of each member. A member too far behind for the log gets a snapshot instead, so
/// marks over the 15,000 entries that the log keeps are enough, which are 59; the rest is for
/// marks in between.
const KEPT_MARKS: usize = 256;

/// What the state was at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub index: u64,
    pub hash: StateHash,
}

/// What comparing has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No difference was seen.
    Agree,
    /// Members differ at this index, and those that have not reported it may decide who is right.
    /// If they are down it stays so until the mark is forgotten; who will not wait that long takes
    /// it for a difference without a majority.
    Undecided { index: u64 },
    /// This member has diverged: more than half of the voters agree on `theirs`. Or, without a
    /// `majority`, nobody can tell which of the two is right.
    OursDiffers { index: u64, ours: StateHash, theirs: StateHash, majority: bool },
    /// A peer has diverged: more than half of the voters agree on `ours`.
    PeerDiffers { peer: u64, index: u64, ours: StateHash, theirs: StateHash },
}

/// What one member knows of its own state and that of the others.
#[derive(Debug)]
pub struct Divergence {
    me: u64,
    voters: BTreeSet<u64>,
    peers: BTreeMap<u64, Peer>,
    own: BTreeMap<u64, StateHash>,
    /// Where members differ and it is not decided yet; among those of `own`.
    undecided: BTreeSet<u64>,
    /// The last index told in each of the last two rounds.
    told: [u64; 2],
    /// That this member has diverged.
    ours: Option<Verdict>,
    compared: u64,
    skipped: u64,
}

#[derive(Debug, Default)]
struct Peer {
    /// In the order they came, each at an index of `own` or at one still to come.
    reports: VecDeque<Mark>,
    /// That it has diverged.
    differs: Option<Verdict>,
}

impl Divergence {
    /// Of the member `me` among all `voters` and `learners`.
    pub fn new(me: u64, voters: &[u64], learners: &[u64]) -> Self {
        let mut divergence = Divergence {
            me,
            voters: BTreeSet::new(),
            peers: BTreeMap::new(),
            own: BTreeMap::new(),
            undecided: BTreeSet::new(),
            told: [0; 2],
            ours: None,
            compared: 0,
            skipped: 0,
        };
        divergence.set_members(voters, learners);
        divergence
    }

    /// The members have changed. What was known of one that is gone is forgotten.
    pub fn set_members(&mut self, voters: &[u64], learners: &[u64]) {
        self.voters = voters.iter().copied().collect();
        let mut known = std::mem::take(&mut self.peers);
        for id in voters.iter().chain(learners).filter(|id| **id != self.me) {
            let peer = known.remove(id);
            self.peers.entry(*id).or_insert_with(|| peer.unwrap_or_default());
        }
    }

    /// A person has seen to a peer: what was found of it is forgotten, and it is heard again. If its
    /// state is still another, its next report shows it.
    pub fn forget(&mut self, peer: u64) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            *peer = Peer::default();
            self.drop_explained();
        }
    }

    /// Notes the state of this member at an index, each later than the one before; earlier ones
    /// are passed over. Answers what it brought to light.
    pub fn note(&mut self, mark: Mark) -> Vec<Verdict> {
        let Mark { index, hash } = mark;
        let mut found = Vec::new();
        let last = self.own.last_key_value().map_or(0, |(last, _)| *last);
        if index <= last {
            return found;
        }
        self.own.insert(index, hash);
        for peer in self.peers.values_mut() {
            let before = peer.reports.len();
            peer.reports.retain(|report| report.index <= last || report.index >= index);
            self.skipped += (before - peer.reports.len()) as u64;
            self.compared += u64::from(peer.at(index).is_some());
        }
        self.judge(index, &mut found);
        if self.own.len() > KEPT_MARKS
            && let Some(oldest) = self.own.keys().next().copied()
        {
            self.give_up(oldest, &mut found);
            self.own.remove(&oldest);
            for peer in self.peers.values_mut() {
                peer.reports.retain(|report| report.index != oldest);
            }
        }
        found
    }

    /// Takes the report of a peer. Answers what it brought to light.
    pub fn report(&mut self, from: u64, mark: Mark) -> Vec<Verdict> {
        let mut found = Vec::new();
        let ours = self.own.get(&mark.index).copied();
        let passed = self.own.last_key_value().is_some_and(|(last, _)| mark.index < *last);
        let Some(peer) = self.peers.get_mut(&from).filter(|_| ours.is_some() || !passed) else {
            self.skipped += 1;
            return found;
        };
        // What a member said of an index stands: nothing is taken back or decided twice.
        if peer.at(mark.index).is_some() {
            return found;
        }
        peer.reports.push_back(mark);
        self.compared += u64::from(ours.is_some());
        self.judge(mark.index, &mut found);
        self.bound_reports(from, &mut found);
        found
    }

    /// What to tell the peers in this round; never more than a few hundred. Each mark is told in
    /// two rounds, so that it may be lost once.
    pub fn tell(&mut self) -> Vec<Mark> {
        let [before, last] = self.told;
        let later = self.own.range(before.saturating_add(1)..);
        let marks: Vec<Mark> =
            later.map(|(index, hash)| Mark { index: *index, hash: *hash }).collect();
        self.told = [last, marks.last().map_or(last, |mark| mark.index)];
        marks
    }

    /// The worst that is known.
    pub fn verdict(&self) -> Verdict {
        let open = self.undecided.first().map(|index| Verdict::Undecided { index: *index });
        let peers = || self.peers.values().find_map(|peer| peer.differs);
        self.ours.or(open).or_else(peers).unwrap_or(Verdict::Agree)
    }

    /// How many reports were compared with a mark of this member.
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// How many could not be: of an index that this member passed without a mark or whose mark it
    /// no longer keeps, more at a time than are kept, or from a stranger.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn judge(&mut self, index: u64, found: &mut Vec<Verdict>) {
        let Some((ours, theirs)) = self.difference(index) else { return };
        match self.majority(index, ours) {
            Majority::Is(hash) if hash == ours => {
                for (id, peer) in &mut self.peers {
                    let Some(theirs) = peer.at(index).filter(|theirs| *theirs != ours) else {
                        continue;
                    };
                    if peer.differs.is_none() {
                        let verdict = Verdict::PeerDiffers { peer: *id, index, ours, theirs };
                        peer.differs = Some(verdict);
                        found.push(verdict);
                    }
                }
                self.drop_explained();
            }
            Majority::Is(theirs) => self.diverged(index, (ours, theirs), true, found),
            Majority::Open => {
                if self.undecided.insert(index) {
                    found.push(Verdict::Undecided { index });
                }
            }
            Majority::Never => self.diverged(index, (ours, theirs), false, found),
        }
    }

    /// Where nobody who is heard differs any more, nothing is open.
    fn drop_explained(&mut self) {
        let open = std::mem::take(&mut self.undecided);
        self.undecided =
            open.into_iter().filter(|index| self.difference(*index).is_some()).collect();
    }

    /// Our hash at an index, and one of another there. Members that have diverged are not heard.
    fn difference(&self, index: u64) -> Option<(StateHash, StateHash)> {
        let ours = *self.own.get(&index)?;
        let heard = self.peers.values().filter(|peer| peer.differs.is_none());
        let theirs = heard.filter_map(|peer| peer.at(index)).find(|theirs| *theirs != ours)?;
        Some((ours, theirs))
    }

    fn majority(&self, index: u64, ours: StateHash) -> Majority {
        let mut votes = BTreeMap::<StateHash, usize>::new();
        let mut open = 0;
        for voter in &self.voters {
            let vote = match self.peers.get(voter) {
                None => Some(ours),
                Some(peer) if peer.differs.is_some() => continue,
                Some(peer) => peer.at(index),
            };
            match vote {
                Some(hash) => *votes.entry(hash).or_default() += 1,
                None => open += 1,
            }
        }
        let most = votes.into_iter().max_by_key(|(_, count)| *count);
        let enough = self.voters.len() / 2 + 1;
        match most {
            Some((hash, count)) if count >= enough => Majority::Is(hash),
            most if most.map_or(0, |(_, count)| count) + open >= enough => Majority::Open,
            _ => Majority::Never,
        }
    }

    fn diverged(
        &mut self,
        index: u64,
        (ours, theirs): (StateHash, StateHash),
        majority: bool,
        found: &mut Vec<Verdict>,
    ) {
        self.undecided.remove(&index);
        let certain = matches!(self.ours, Some(Verdict::OursDiffers { majority: true, .. }));
        if self.ours.is_none() || (majority && !certain) {
            let verdict = Verdict::OursDiffers { index, ours, theirs, majority };
            self.ours = Some(verdict);
            found.push(verdict);
        }
    }

    /// What is known at an index is about to be forgotten: an open difference is one for good.
    fn give_up(&mut self, index: u64, found: &mut Vec<Verdict>) {
        if self.undecided.contains(&index)
            && let Some(both) = self.difference(index)
        {
            self.diverged(index, both, false, found);
        }
        self.undecided.remove(&index);
    }

    fn bound_reports(&mut self, from: u64, found: &mut Vec<Verdict>) {
        let Some(peer) = self.peers.get(&from) else { return };
        let Some(oldest) = peer.reports.front().filter(|_| peer.reports.len() > KEPT_MARKS) else {
            return;
        };
        let index = oldest.index;
        if self.own.contains_key(&index) {
            self.give_up(index, found);
        } else {
            self.skipped += 1;
        }
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.reports.pop_front();
        }
    }
}

/// What the voters say at an index.
enum Majority {
    Is(StateHash),
    /// Those that have not reported yet may make one.
    Open,
    Never,
}

impl Peer {
    fn at(&self, index: u64) -> Option<StateHash> {
        let mut reports = self.reports.iter();
        reports.find(|report| report.index == index).map(|report| report.hash)
    }
}
