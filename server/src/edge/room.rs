//! Room for connections, and less of it for those that have asked nothing yet.
//!
//! Without the second, whoever connects and asks nothing could take all places for as long as that
//! is borne. So these have half of them, and when those are full, the one that has been there
//! longest gives way: be it silent, in the midst of a handshake or of its first request, or a client
//! that dialled early, which dials again.

use std::collections::BTreeMap;
use std::future::pending;
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
    quiet: Arc<Mutex<Quiets>>,
}

/// Those that have asked nothing yet, oldest first.
#[derive(Default)]
struct Quiets {
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
        Room { size, places: Arc::new(Semaphore::new(size)), quiet: Arc::default() }
    }

    /// A place, as soon as there is one.
    pub(super) async fn place(&self) -> OwnedSemaphorePermit {
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.expect("a room is never closed")
    }

    /// For somebody new, who asks nothing yet.
    pub(super) fn enter(&self) -> (Quiet, GiveWay) {
        let (give_way, told) = oneshot::channel();
        let mut quiet = self.quiet.lock();
        let id = quiet.next;
        quiet.next += 1;
        quiet.waiting.insert(id, give_way);
        if quiet.waiting.len() > (self.size / 2).max(1)
            && let Some((_, oldest)) = quiet.waiting.pop_first()
        {
            // It may have gone meanwhile.
            let _ = oldest.send(());
        }
        (Quiet { id, room: self.clone() }, GiveWay(told))
    }

    /// Waits until all places are free again, or the time is up.
    pub(super) async fn empty(&self, patience: Duration) {
        let _ = timeout(patience, self.places.acquire_many(self.size as u32)).await;
    }
}

/// Somebody who has asked nothing yet; dropped when gone.
pub(super) struct Quiet {
    id: u64,
    room: Room,
}

impl Quiet {
    /// There was a request: from now on it gives way to nobody.
    pub(super) fn asks(&self) {
        self.room.quiet.lock().waiting.remove(&self.id);
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.asks();
    }
}

/// What somebody hears who has to give way.
pub(super) struct GiveWay(oneshot::Receiver<()>);

impl GiveWay {
    /// Resolves when it is told to; never, once it has asked for something.
    pub(super) async fn told(self) {
        if self.0.await.is_err() {
            pending::<()>().await;
        }
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
    async fn the_longest_quiet_gives_way_when_half_the_places_are_taken() {
        let room = Room::new(4);
        let ((_first, first), (asking, second)) = (room.enter(), room.enter());
        let (third, _) = room.enter();
        first.told().await;
        drop(third);
        asking.asks();
        let (_fourth, fourth) = room.enter();
        let _others = [room.enter(), room.enter()];
        fourth.told().await;
        let waits = timeout(Duration::from_millis(20), second.told()).await;
        assert!(waits.is_err(), "whoever has asked for something stays");
    }
}
