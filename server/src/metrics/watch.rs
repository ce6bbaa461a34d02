//! Watches, counted as their streams learn of them.

use kvorum_core::watch::Body;

use super::Metrics;

/// One stream and its watches; they are gone when it is dropped.
pub(crate) struct Watching<'a> {
    metrics: &'a Metrics,
    watchers: u64,
}

impl Metrics {
    pub(crate) fn watching(&self) -> Watching<'_> {
        self.watch_streams.up();
        Watching { metrics: self, watchers: 0 }
    }
}

impl Watching<'_> {
    pub(crate) fn note(&mut self, body: &Body) {
        match body {
            Body::Created => {
                self.watchers += 1;
                self.metrics.watchers.up();
            }
            Body::Canceled | Body::Overtaken { .. } if self.watchers > 0 => {
                self.watchers -= 1;
                self.metrics.watchers.down(1);
            }
            Body::Events { events, .. } => self.metrics.events.add(events.len() as u64),
            _ => {}
        }
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.metrics.watchers.down(self.watchers);
        self.metrics.watch_streams.down(1);
    }
}
