//! The states a hub is to be given, in their order.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Hub;
use super::limits::PENDING_ROOTS;
use crate::store::Root;

/// The states right before compactions that the hub has not seen to their end, the oldest first.
/// Each is put here before the compacted state is published, so that no synced watch is
/// overtaken by a compaction.
#[derive(Default)]
pub struct Feed(VecDeque<Arc<Root>>);

impl Feed {
    /// Keeps the state right before a compaction, until the hub has seen it.
    pub fn before_compaction(&mut self, root: Arc<Root>) {
        if self.0.len() == PENDING_ROOTS {
            // Events are not lost unnoticed: synced watches they were for are told that they
            // were overtaken.
            self.0.pop_front();
        }
        self.0.push_back(root);
    }

    /// The oldest state that the hub has not seen to its end. `newest` was read before this call:
    /// if it is a compacted one, the state before the compaction is here to go before it.
    pub fn unseen(&self, newest: Arc<Root>) -> Arc<Root> {
        self.0.front().map_or(newest, Arc::clone)
    }

    /// The hub has advanced at `root` and said whether there is more; answers whether to go on.
    pub fn advanced(&mut self, root: &Arc<Root>, more: bool, hub: &Hub) -> bool {
        // What is behind on a state is still behind on the next one; what is synced is done.
        let done = !more || hub.revision() >= root.revision();
        let first = self.0.front().is_some_and(|first| Arc::ptr_eq(first, root));
        if first && done {
            self.0.pop_front();
        }
        (first && done) || more
    }
}

#[cfg(test)]
mod tests {
    use raft_proto::eraftpb::ConfState;

    use super::*;
    use crate::store::Store;
    use crate::watch::RESPONSE_BYTES;

    fn state() -> Arc<Root> {
        Arc::new(Store::bootstrap(Vec::new(), ConfState::default()).root())
    }

    #[test]
    fn the_state_before_a_compaction_goes_before_the_newest() {
        let mut feed = Feed::default();
        let hub = Hub::new(1, RESPONSE_BYTES);
        let (before, after) = (state(), state());
        feed.before_compaction(Arc::clone(&before));
        let first = feed.unseen(Arc::clone(&after));
        assert!(Arc::ptr_eq(&first, &before));
        assert!(feed.advanced(&first, false, &hub), "the newest is still to be seen");
        let second = feed.unseen(Arc::clone(&after));
        assert!(Arc::ptr_eq(&second, &after));
        assert!(!feed.advanced(&second, false, &hub));
    }

    #[test]
    fn a_state_that_the_hub_is_not_through_with_stays() {
        let mut feed = Feed::default();
        let behind = Hub::new(0, RESPONSE_BYTES);
        let before = state();
        feed.before_compaction(Arc::clone(&before));
        assert!(feed.advanced(&before, true, &behind));
        assert!(Arc::ptr_eq(&feed.unseen(state()), &before));
    }

    #[test]
    fn of_too_many_states_before_compactions_the_newest_are_kept() {
        let mut feed = Feed::default();
        let hub = Hub::new(1, RESPONSE_BYTES);
        let states: Vec<_> = (0..=PENDING_ROOTS).map(|_| state()).collect();
        for state in &states {
            feed.before_compaction(Arc::clone(state));
        }
        for state in &states[1..] {
            assert!(Arc::ptr_eq(&feed.unseen(Arc::clone(&states[0])), state));
            assert!(feed.advanced(state, false, &hub));
        }
        assert!(!feed.advanced(&states[0], false, &hub));
    }
}
