//! Room for connections, and a shorter queue for those that have not said yet what they want.
//!
//! Without the second, whoever connects and keeps silent could take all places for as long as
//! silence is borne. So the silent have half of them, and when those are full, the one that has
//! been silent longest gives way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Resource, getrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use crate::limits::{MAX_CONNECTIONS, METRICS_CONNECTIONS, MIN_CONNECTIONS, OPEN_FILES_RESERVE};

/// Places for connections; clones are the same places.
#[derive(Clone)]
pub(crate) struct Room {
    size: usize,
    places: Arc<Semaphore>,
    silent: Arc<Mutex<Silent>>,
}

/// Those that have said nothing yet, oldest first.
#[derive(Default)]
struct Silent {
    next: u64,
    waiting: BTreeMap<u64, oneshot::Sender<()>>,
}

impl Room {
    /// Clients and peers have a room each, and half of the files that may be open.
    pub(crate) fn of_half_the_files() -> Room {
        Room::new(max_connections(getrlimit(Resource::Nofile).current))
    }

    /// Whoever watches the member must see it also when its clients leave no room.
    pub(crate) fn for_metrics() -> Room {
        Room::new(METRICS_CONNECTIONS)
    }

    pub(super) fn new(size: usize) -> Room {
        Room { size, places: Arc::new(Semaphore::new(size)), silent: Arc::default() }
    }

    /// A place, as soon as there is one.
    pub(super) async fn place(&self) -> OwnedSemaphorePermit {
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.expect("a room is never closed")
    }

    /// For somebody new, who says nothing yet.
    pub(super) fn enter(&self) -> Quiet {
        let (give_way, told) = oneshot::channel();
        let mut silent = self.silent.lock();
        let id = silent.next;
        silent.next += 1;
        silent.waiting.insert(id, give_way);
        if silent.waiting.len() > (self.size / 2).max(1) {
            // Dropping the sender tells.
            silent.waiting.pop_first();
        }
        Quiet { id, room: self.clone(), told }
    }

    /// Waits until all places are free again, or the time is up.
    pub(super) async fn empty(&self, patience: Duration) {
        let _ = timeout(patience, self.places.acquire_many(self.size as u32)).await;
    }
}

/// Somebody who has said nothing yet; dropped when that has changed.
pub(super) struct Quiet {
    id: u64,
    room: Room,
    told: oneshot::Receiver<()>,
}

impl Quiet {
    /// Resolves when it has to give way.
    pub(super) async fn gives_way(&mut self) {
        let _ = (&mut self.told).await;
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.room.silent.lock().waiting.remove(&self.id);
    }
}

fn max_connections(open_files: Option<u64>) -> usize {
    let room = open_files.map_or(u64::MAX, |files| files.saturating_sub(OPEN_FILES_RESERVE) / 2);
    usize::try_from(room).unwrap_or(usize::MAX).clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_other_files() {
        assert_eq!(max_connections(None), MAX_CONNECTIONS);
        assert_eq!(max_connections(Some(1 << 20)), MAX_CONNECTIONS);
        assert_eq!(max_connections(Some(1_024)), 448);
        assert_eq!(max_connections(Some(20)), MIN_CONNECTIONS);
    }

    #[tokio::test]
    async fn the_longest_silent_gives_way_when_half_the_places_are_taken() {
        let room = Room::new(4);
        let (mut first, mut second) = (room.enter(), room.enter());
        let third = room.enter();
        first.gives_way().await;
        drop(third);
        let _fourth = room.enter();
        let waits = timeout(Duration::from_millis(20), second.gives_way()).await;
        assert!(waits.is_err(), "a place that was given back is free");
    }
}
