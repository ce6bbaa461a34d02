//! Snapshots for peers that are behind the log's beginning.
//!
//! raft asks for one whenever it would send entries that were cut off. It is told to come back
//! later while the shell is asked to hold a state; its description then leaves once, with the
//! message, and the shell streams the state. Per peer there is one state at a time, so all this
//! is bounded by the members:
//!
//! | stage | entered when | left when |
//! |---|---|---|
//! | asked | raft asked in vain | the shell answers; asked again if raft is still asking after an election timeout |
//! | held | the shell answered | raft takes it, at once unless the peer is paused; or it is too old, or its index was cut away |
//! | sending | raft took it | the shell says how it ended, or never does |
//! | sent | the peer has it | it has all that is committed, or had time to ask for it |
//!
//! All end when this member leads no more or the peer is gone. raft does not resume a peer that
//! is being sent a snapshot by itself, so a message that cannot leave is reported to it as a
//! failure; after a failure it tries again when the peer next answers a heartbeat.

use std::collections::{BTreeMap, BTreeSet};

use raft::{SnapshotStatus, StateRole};
use raft_proto::eraftpb::{Message, MessageType, Snapshot, SnapshotMetadata};

use super::membership::is_valid;
use super::{Effect, Effects, Node};

/// raft takes a held state at the next answer of its peer; in two election timeouts a peer that
/// gives none counts as gone, and the state would only get older and pin memory.
const HELD_ELECTIONS: u64 = 2;
/// The shell gives up a transfer that stalls, and says so: this is for a shell that says nothing.
/// An hour at the default times, in which 8 GiB pass at 2.4 MB/s.
const SENDING_ELECTIONS: u64 = 3600;
/// A peer may take so long to install what it got before it takes entries again; until then the
/// log goes on where its snapshot ends. etcd's 30 s at the default times.
const SENT_ELECTIONS: u64 = 30;

/// The states for peers, and who asked for one.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    now: u64,
    /// The term that this member leads in.
    term: u64,
    peers: BTreeMap<u64, Stage>,
    wanted: BTreeSet<u64>,
}

#[derive(Debug)]
enum Stage {
    Asked {
        since: u64,
    },
    Held {
        since: u64,
        kept: Kept,
        snapshot: Snapshot,
    },
    /// `another` state was taken for the peer meanwhile, by a late answer.
    Sending {
        since: u64,
        kept: Kept,
        another: bool,
    },
    Sent {
        since: u64,
        kept: Kept,
    },
}

/// What of the log a transfer needs.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// The peer goes on behind this.
    index: u64,
    /// Bytes that the log had taken in when the state was held: what came since is kept for it.
    from_bytes: u64,
}

impl Transfers {
    /// raft asks for a snapshot that ends at or after an index. What it gets is on its way.
    pub(super) fn hand_out(&mut self, to: u64, from: u64) -> Option<Snapshot> {
        match self.peers.get(&to) {
            // One at a time: the shell says when this one has ended.
            Some(Stage::Sending { .. }) => None,
            Some(Stage::Held { snapshot, kept, .. }) if kept.index >= from => {
                let (snapshot, kept) = (snapshot.clone(), *kept);
                self.peers.insert(to, Stage::Sending { since: self.now, kept, another: false });
                Some(snapshot)
            }
            _ => {
                self.wanted.insert(to);
                None
            }
        }
    }

    /// The peers that the shell has to be asked for.
    fn take_wanted(&mut self, patience: u64) -> Vec<u64> {
        let mut ask = Vec::new();
        for to in std::mem::take(&mut self.wanted) {
            let recent = |since| self.now - since < patience;
            let waits = match self.peers.get(&to) {
                Some(Stage::Asked { since }) => recent(*since),
                Some(Stage::Sending { .. }) => true,
                Some(Stage::Held { .. } | Stage::Sent { .. }) | None => false,
            };
            if !waits {
                self.peers.insert(to, Stage::Asked { since: self.now });
                ask.push(to);
            }
        }
        ask
    }

    /// Ends all that did not begin in this term. The peers whose state the shell holds are
    /// returned.
    fn lead(&mut self, term: u64) -> Vec<u64> {
        if self.term == term {
            return Vec::new();
        }
        self.term = term;
        self.wanted.clear();
        let ended = std::mem::take(&mut self.peers);
        ended.into_iter().filter(|(_, stage)| stage.is_held()).map(|(to, _)| to).collect()
    }

    /// Ends one transfer; says whether the shell holds a state for it.
    fn end(&mut self, to: u64) -> bool {
        self.wanted.remove(&to);
        self.peers.remove(&to).is_some_and(|stage| stage.is_held())
    }

    fn is_sending(&self, to: u64, at: u64) -> bool {
        matches!(self.peers.get(&to), Some(Stage::Sending { kept, .. }) if kept.index == at)
    }

    /// The stages that are too old, and whether raft waits for their end.
    fn expired(&self, election_ticks: u64) -> Vec<(u64, bool)> {
        let age = |since: &u64| (self.now - since) / election_ticks;
        let expired = |stage: &Stage| match stage {
            Stage::Asked { .. } => None,
            Stage::Held { since, .. } => (age(since) >= HELD_ELECTIONS).then_some(false),
            Stage::Sending { since, .. } => (age(since) >= SENDING_ELECTIONS).then_some(true),
            Stage::Sent { since, .. } => (age(since) >= SENT_ELECTIONS).then_some(false),
        };
        self.peers.iter().filter_map(|(to, stage)| Some((*to, expired(stage)?))).collect()
    }
}

impl Stage {
    /// Whether the shell holds a state for it.
    fn is_held(&self) -> bool {
        matches!(self, Stage::Held { .. } | Stage::Sending { .. })
    }

    fn kept(&self) -> Option<Kept> {
        match self {
            Stage::Asked { .. } => None,
            Stage::Held { kept, .. } | Stage::Sending { kept, .. } | Stage::Sent { kept, .. } => {
                Some(*kept)
            }
        }
    }
}

impl Node {
    /// Asks the shell for the states that raft wants, and ends what a former term began.
    pub(super) fn hold_states(&mut self, out: &mut Effects) {
        let raft = &self.raw.raft;
        let term = if raft.state == StateRole::Leader { raft.term } else { 0 };
        let patience = u64::from(self.config.election_ticks);
        let transfers = self.raw.mut_store().transfers();
        out.extend(transfers.lead(term).into_iter().map(|to| Effect::DropSnapshot { to }));
        let wanted = transfers.take_wanted(patience);
        out.extend(wanted.into_iter().map(|to| Effect::TakeSnapshot { to }));
    }

    /// The shell holds a state for a peer. Only one that the log goes on from is of use: an older
    /// one is from before a cut, or from before a snapshot that is still to be installed here.
    pub(super) fn snapshot_taken(
        &mut self,
        to: u64,
        metadata: SnapshotMetadata,
        out: &mut Effects,
    ) {
        let raft = &self.raw.raft;
        let (index, committed) = (metadata.index, raft.raft_log.committed);
        let continues = self.raw.store().term_of(index) == Some(metadata.term);
        let known = raft.state == StateRole::Leader && raft.prs().get(to).is_some();
        let conf_state = metadata.conf_state.clone().unwrap_or_default();
        let useful = (1..=committed).contains(&index) && continues && is_valid(&conf_state, to);
        let kept = Kept { index, from_bytes: self.raw.store().appended_bytes() };
        let transfers = self.raw.mut_store().transfers();
        let since = transfers.now;
        match transfers.peers.get_mut(&to) {
            Some(Stage::Sending { another, .. }) => *another = true,
            Some(stage @ (Stage::Asked { .. } | Stage::Held { .. })) if known && useful => {
                let snapshot = Snapshot { metadata: Some(metadata), ..Snapshot::default() };
                *stage = Stage::Held { since, kept, snapshot };
                // Else raft would ask only when the peer answers the next heartbeat.
                self.raw.raft.send_append(to);
            }
            _ => {
                // Nobody waits for this state, or it is too old. It has taken the place of whatever
                // was held or sent for the peer, so that is over with it.
                transfers.end(to);
                out.push(Effect::DropSnapshot { to });
            }
        }
    }

    /// The transfer that a message of `term` with the state as of `index` began has ended. It may
    /// be one of an earlier leadership, of the same state even.
    pub(super) fn snapshot_sent(
        &mut self,
        to: u64,
        (term, index): (u64, u64),
        ok: bool,
        out: &mut Effects,
    ) {
        if !self.leads_in(term) {
            return;
        }
        let transfers = self.raw.mut_store().transfers();
        let Some(Stage::Sending { kept, another, .. }) = transfers.peers.get(&to) else { return };
        if kept.index != index {
            return;
        }
        let (since, kept) = (transfers.now, *kept);
        if *another {
            out.push(Effect::DropSnapshot { to });
        }
        if ok {
            transfers.peers.insert(to, Stage::Sent { since, kept });
        } else {
            transfers.end(to);
        }
        let status = if ok { SnapshotStatus::Finish } else { SnapshotStatus::Failure };
        self.raw.report_snapshot(to, status);
    }

    /// Time passes; peers may have been removed.
    pub(super) fn expire_transfers(&mut self, out: &mut Effects) {
        let election_ticks = u64::from(self.config.election_ticks);
        let transfers = self.raw.mut_store().transfers();
        transfers.now = self.now;
        let mut ended = transfers.expired(election_ticks);
        let peers: Vec<(u64, bool)> = transfers
            .peers
            .iter()
            .map(|(to, stage)| (*to, matches!(stage, Stage::Sent { .. })))
            .collect();
        let raft = &self.raw.raft;
        let done = |to: u64, sent: bool| match raft.prs().get(to) {
            Some(progress) => sent && progress.matched >= raft.raft_log.committed,
            None => true,
        };
        ended.extend(
            peers.into_iter().filter(|(to, sent)| done(*to, *sent)).map(|(to, _)| (to, false)),
        );
        for (to, awaited) in ended {
            if self.raw.mut_store().transfers().end(to) {
                out.push(Effect::DropSnapshot { to });
            }
            if awaited {
                self.raw.report_snapshot(to, SnapshotStatus::Failure);
            }
        }
    }

    /// Whatever raft sends becomes an effect. A snapshot whose transfer has ended meanwhile
    /// cannot leave.
    pub(super) fn send(&mut self, messages: Vec<Message>, out: &mut Effects) {
        for message in messages {
            if message.get_msg_type() != MessageType::MsgSnapshot {
                self.note_acknowledged(&message, out);
                out.push(Effect::Send(message));
            } else if self.is_leaving(&message) {
                out.push(Effect::SendSnapshot(message));
            } else if self.leads_in(message.term) {
                self.raw.report_snapshot(message.to, SnapshotStatus::Failure);
            }
        }
    }

    /// The first index that a peer with a snapshot needs the log from, less one; but for those
    /// that it has grown too much for.
    pub(super) fn kept_for_transfers(&mut self) -> Option<u64> {
        let appended = self.raw.store().appended_bytes();
        let most = self.config.limits.transfer_bytes;
        let transfers = self.raw.mut_store().transfers();
        let kept = transfers.peers.iter().filter_map(|(to, stage)| Some((*to, stage.kept()?)));
        let ends: Vec<_> = kept
            .filter(|(_, kept)| appended - kept.from_bytes <= most)
            .map(|(to, kept)| (to, kept.index))
            .collect();
        let prs = self.raw.raft.prs();
        let matched = |to| prs.get(to).map_or(0, |progress| progress.matched);
        ends.into_iter().map(|(to, index)| index.max(matched(to))).min()
    }

    /// Drops the held states that the log no longer goes on from.
    pub(super) fn drop_cut_states(&mut self, out: &mut Effects) {
        let base = self.raw.store().base();
        let transfers = self.raw.mut_store().transfers();
        let cut = |stage: &Stage| matches!(stage, Stage::Held { kept, .. } if kept.index < base);
        let peers: Vec<u64> =
            transfers.peers.iter().filter(|(_, stage)| cut(stage)).map(|(to, _)| *to).collect();
        for to in peers {
            transfers.end(to);
            out.push(Effect::DropSnapshot { to });
        }
    }

    fn is_leaving(&mut self, message: &Message) -> bool {
        let index = message.snapshot.as_ref().map_or(0, index_of);
        self.leads_in(message.term)
            && self.raw.mut_store().transfers().is_sending(message.to, index)
    }

    fn leads_in(&self, term: u64) -> bool {
        self.raw.raft.state == StateRole::Leader && self.raw.raft.term == term
    }
}

fn index_of(snapshot: &Snapshot) -> u64 {
    snapshot.metadata.as_ref().map_or(0, |metadata| metadata.index)
}
