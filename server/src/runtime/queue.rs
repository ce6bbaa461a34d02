//! A queue between two threads, whose reader takes all there is at once.
//!
//! There are three ways in, because the queues of a member form cycles and only some senders may
//! wait or be turned away: [`Queue::push`] always succeeds and is for senders whose number of
//! messages is bounded elsewhere, [`Queue::try_push_all`] refuses beyond a limit, and
//! [`Queue::push_when_room`] waits.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    emptied: Condvar,
}

struct State<T> {
    items: Vec<T>,
    /// Sum of what the senders said their items weigh.
    weight: usize,
    closed: bool,
}

struct Closing<'a, T>(&'a Queue<T>);

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What [`Queue::drain`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    Items,
    /// The time was up.
    Nothing,
    /// Nothing, and nothing more will come.
    Closed,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Queue<T> {
        Queue {
            state: Mutex::new(State { items: Vec::new(), weight: 0, closed: false }),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        }
    }

    /// Adds an item; after [`Queue::close`] it is dropped.
    pub(crate) fn push(&self, item: T) {
        self.add(&mut self.state.lock(), item, 0);
    }

    /// Adds all items, which weigh `weight` together, unless that would take the queue beyond
    /// `limit`; then they come back.
    pub(crate) fn try_push_all(
        &self,
        items: Vec<T>,
        weight: usize,
        limit: usize,
    ) -> Result<(), Vec<T>> {
        let mut state = self.state.lock();
        if state.weight > 0 && state.weight + weight > limit && !state.closed {
            return Err(items);
        }
        for item in items {
            self.add(&mut state, item, 0);
        }
        state.weight += weight;
        Ok(())
    }

    /// Adds an item once the queue has room for it; one that is larger than `limit` goes in
    /// alone.
    pub(crate) fn push_when_room(&self, item: T, weight: usize, limit: usize) {
        let mut state = self.state.lock();
        while state.weight > 0 && state.weight + weight > limit && !state.closed {
            self.emptied.wait(&mut state);
        }
        self.add(&mut state, item, weight);
    }

    /// Moves everything into `into`, which must be empty; waits for it until `until`.
    pub(crate) fn drain(&self, into: &mut Vec<T>, until: Option<Instant>) -> Drained {
        debug_assert!(into.is_empty(), "what was drained before has been handled");
        let mut state = self.state.lock();
        while state.items.is_empty() {
            if state.closed {
                return Drained::Closed;
            }
            match until {
                None => self.filled.wait(&mut state),
                Some(until) => {
                    if self.filled.wait_until(&mut state, until).timed_out()
                        && state.items.is_empty()
                    {
                        return if state.closed { Drained::Closed } else { Drained::Nothing };
                    }
                }
            }
        }
        std::mem::swap(&mut state.items, into);
        state.weight = 0;
        self.emptied.notify_all();
        Drained::Items
    }

    /// No more comes in; the reader still gets what is there.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    /// Closes the queue when the guard is dropped, a panic included.
    pub(crate) fn close_on_drop(&self) -> impl Drop + '_ {
        Closing(self)
    }

    fn add(&self, state: &mut State<T>, item: T, weight: usize) {
        if state.closed {
            return;
        }
        state.items.push(item);
        state.weight += weight;
        if state.items.len() == 1 {
            self.filled.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_reader_takes_all_in_order() {
        let queue = Queue::new();
        (0..3).for_each(|i| queue.push(i));
        let mut items = Vec::new();
        assert_eq!(queue.drain(&mut items, None), Drained::Items);
        assert_eq!(items, [0, 1, 2]);
        items.clear();
        assert_eq!(queue.drain(&mut items, Some(Instant::now())), Drained::Nothing);
    }

    #[test]
    fn a_full_queue_refuses_but_takes_one_oversized_item() {
        let queue = Queue::new();
        assert!(queue.try_push_all(vec!["large"], 100, 10).is_ok());
        assert_eq!(queue.try_push_all(vec!["small"], 1, 10), Err(vec!["small"]));
        queue.push("internal");
        let mut items = Vec::new();
        queue.drain(&mut items, None);
        assert_eq!(items, ["large", "internal"]);
        assert!(queue.try_push_all(vec!["small"], 1, 10).is_ok());
    }

    #[test]
    fn a_sender_waits_for_room() {
        let queue = Arc::new(Queue::new());
        let sender = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || (0..1000).for_each(|i| queue.push_when_room(i, 10, 10)))
        };
        // Each item fills the queue, so the reader never finds two.
        for i in 0..1000 {
            let mut items = Vec::new();
            let until = Instant::now() + Duration::from_secs(10);
            assert_eq!(queue.drain(&mut items, Some(until)), Drained::Items);
            assert_eq!(items, [i]);
        }
        sender.join().unwrap();
    }

    #[test]
    fn a_closed_queue_is_emptied_first() {
        let queue = Queue::new();
        queue.push(1);
        queue.close();
        queue.push(2);
        let mut items = Vec::new();
        assert_eq!(queue.drain(&mut items, None), Drained::Items);
        assert_eq!(items, [1]);
        items.clear();
        assert_eq!(queue.drain(&mut items, None), Drained::Closed);
    }
}
