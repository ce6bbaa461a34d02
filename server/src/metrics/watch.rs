//! Watches, counted as their streams learn of them.

use std::collections::BTreeSet;

use kvorum_core::watch::{Body, WatchId, WatchReply};

use super::Metrics;

/// One stream and its watches; they are gone when it is dropped.
pub(crate) struct Watching<'a> {
    metrics: &'a Metrics,
    watchers: u64,
    /// Ended, and yet to be cancelled by their client.
    overtaken: BTreeSet<WatchId>,
}

impl Metrics {
    pub(crate) fn watching(&self) -> Watching<'_> {
        self.watch_streams.up();
        Watching { metrics: self, watchers: 0, overtaken: BTreeSet::new() }
    }
}

impl Watching<'_> {
    pub(crate) fn note(&mut self, reply: &WatchReply) {
        match &reply.body {
            Body::Created => {
                self.watchers += 1;
                self.metrics.watchers.up();
            }
            Body::Overtaken { .. } => {
                self.overtaken.insert(reply.watch_id);
                self.ended();
            }
            Body::Canceled if !self.overtaken.remove(&reply.watch_id) => self.ended(),
            Body::Events { events, .. } => self.metrics.events.add(events.len() as u64),
            _ => {}
        }
    }

    fn ended(&mut self) {
        self.watchers -= 1;
        self.metrics.watchers.down(1);
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.metrics.watchers.down(self.watchers);
        self.metrics.watch_streams.down(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_that_was_overtaken_and_is_cancelled_then_has_ended_once() {
        let metrics = Metrics::new(false);
        let mut watching = metrics.watching();
        let mut note = |watch_id, body| watching.note(&WatchReply { revision: 1, watch_id, body });
        for id in 0..3 {
            note(id, Body::Created);
        }
        note(0, Body::Overtaken { compact_revision: 1 });
        assert_eq!(metrics.watchers.get(), 2);
        note(0, Body::Canceled);
        assert_eq!(metrics.watchers.get(), 2);
        note(1, Body::Canceled);
        assert_eq!(metrics.watchers.get(), 1);
        drop(watching);
        assert_eq!(metrics.watchers.get(), 0);
    }
}
