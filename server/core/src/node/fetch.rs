//! Reading old entries back for peers that lag behind further than memory reaches.
//!
//! raft asks, is told to wait, and is called back when the entries are there. A question that is
//! forgotten costs nothing but time: raft asks again when the peer answers a heartbeat.

use std::collections::VecDeque;

use raft::GetEntriesContext;
use raft_proto::eraftpb::Entry;

use super::{Effect, Effects, Node};

/// Places in the log read back at a time; there is about one per lagging peer.
const FETCHES: usize = 8;
/// Peers waiting for the same place; raft asks at every heartbeat, so most are repetitions.
const CALLBACKS: usize = 8;
/// Read at once: a few messages for one peer.
const FETCH_BYTES: u64 = 4 << 20;

#[derive(Debug)]
struct Fetch {
    low: u64,
    since: u64,
    callbacks: Vec<GetEntriesContext>,
}

#[derive(Debug, Default)]
pub(super) struct Fetches(VecDeque<Fetch>);

impl Node {
    /// Asks the shell for what raft did not find in memory.
    pub(super) fn fetch_wanted(&mut self, out: &mut Effects) {
        for wanted in self.raw.mut_store().take_wanted() {
            let fetches = &mut self.fetches.0;
            if let Some(fetch) = fetches.iter_mut().find(|fetch| fetch.low == wanted.low) {
                if fetch.callbacks.len() < CALLBACKS {
                    fetch.callbacks.push(wanted.context);
                }
            } else if fetches.len() < FETCHES {
                let (low, high, since) = (wanted.low, wanted.high, self.now);
                fetches.push_back(Fetch { low, since, callbacks: vec![wanted.context] });
                out.push(Effect::Fetch { low, high, max_bytes: FETCH_BYTES });
            }
        }
    }

    pub(super) fn fetched(&mut self, low: u64, entries: Vec<Entry>) {
        let fetches = &mut self.fetches.0;
        let Some(at) = fetches.iter().position(|fetch| fetch.low == low) else { return };
        let callbacks = fetches.remove(at).map(|fetch| fetch.callbacks).unwrap_or_default();
        if self.raw.mut_store().keep_fetched(low, entries) {
            for callback in callbacks {
                self.raw.on_entries_fetched(callback);
            }
        } else if low > self.raw.store().base() {
            self.complaints.lost_fetch(low);
        }
    }

    /// A place that was never read back may be asked for again.
    pub(super) fn forget_fetches(&mut self) {
        let patience = u64::from(self.config.election_ticks);
        let now = self.now;
        self.fetches.0.retain(|fetch| now - fetch.since < patience);
    }
}
