//! Whole states on their way: those held for peers, and the one that a peer has sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvorum_core::store::{Position, Root};
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use crate::storage::dir::MemberDir;
use crate::storage::snapshot::Received;

/// A state that is kept readable for a peer. It holds up physical compaction, no more.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) root: Arc<Root>,
    pub(crate) position: Position,
}

/// States held for peers and on their way there, at most one of each for a peer; the node says
/// when they are no longer wanted.
#[derive(Default)]
pub(crate) struct Snapshots {
    held: Mutex<BTreeMap<u64, Held>>,
    /// The tasks that send, or have sent.
    sending: Mutex<BTreeMap<u64, AbortHandle>>,
}

impl Snapshots {
    pub(super) fn hold(&self, to: u64, held: Held) {
        self.held.lock().insert(to, held);
    }

    /// The state held for a peer, if it is the one of `index`.
    pub(super) fn take(&self, to: u64, index: u64) -> Option<Held> {
        self.held.lock().remove(&to).filter(|held| held.position.index == index)
    }

    /// Notes who sends a state to a peer.
    pub(super) fn send(&self, to: u64, task: AbortHandle) {
        self.sending.lock().insert(to, task);
    }

    /// Forgets the state held for a peer, and gives up sending one.
    pub(super) fn drop(&self, to: u64) {
        self.held.lock().remove(&to);
        if let Some(task) = self.sending.lock().remove(&to) {
            task.abort();
        }
    }
}

/// The place for a received state: there is one, since each is as large as all data.
pub(crate) struct IncomingPlace {
    dir: MemberDir,
    content: Arc<Mutex<Content>>,
}

enum Content {
    Empty,
    /// Somebody is writing it, putting it in place or removing it.
    Reserved,
    /// Complete; raft has heard of it, or is about to.
    Filled(Box<Received>),
}

impl IncomingPlace {
    pub(super) fn new(dir: MemberDir) -> IncomingPlace {
        IncomingPlace { dir, content: Arc::new(Mutex::new(Content::Empty)) }
    }

    pub(crate) fn dir(&self) -> &MemberDir {
        &self.dir
    }

    /// The place, unless it is taken.
    pub(crate) fn reserve(&self) -> Option<Reserved> {
        let mut content = self.content.lock();
        if !matches!(*content, Content::Empty) {
            return None;
        }
        *content = Content::Reserved;
        Some(Reserved(Arc::clone(&self.content)))
    }

    /// Takes out the state of `index`, if it is there. The place stays taken until its file has
    /// left it.
    pub(super) fn take(&self, index: u64) -> Option<(Received, Leaving)> {
        let mut content = self.content.lock();
        match std::mem::replace(&mut *content, Content::Reserved) {
            Content::Filled(received) if received.position.index == index => {
                Some((*received, Leaving(Arc::clone(&self.content))))
            }
            other => {
                *content = other;
                None
            }
        }
    }
}

/// A state that is taken out, and whose file is not. Dropped before it is, it keeps the place taken
/// for good: the member stops, and its next start may need the file.
#[must_use]
pub(super) struct Leaving(Arc<Mutex<Content>>);

impl Leaving {
    /// The file has its other name, or is gone.
    pub(super) fn left(self) {
        *self.0.lock() = Content::Empty;
    }
}

/// The place is ours until we fill it or let it go.
pub(crate) struct Reserved(Arc<Mutex<Content>>);

impl Reserved {
    pub(crate) fn fill(self, received: Received) {
        *self.0.lock() = Content::Filled(Box::new(received));
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut content = self.0.lock();
        if matches!(*content, Content::Reserved) {
            *content = Content::Empty;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use kvorum_core::store::Store;
    use kvorum_proto::membershippb::Member;
    use raft_proto::eraftpb::ConfState;

    use super::*;
    use crate::identity::Identity;
    use crate::storage::boot::bootstrap;
    use crate::storage::dir::DataDir;
    use crate::storage::memory::MemoryDisk;
    use crate::storage::snapshot::{self, Incoming};
    use crate::storage::wal::Options;

    const OURS: Identity = Identity { cluster_id: 0xc1, member_id: 0xa1, incarnation: 0x77 };

    fn place() -> IncomingPlace {
        let disk = Arc::new(MemoryDisk::new());
        let dir = DataDir::open(disk, Path::new("/data")).unwrap();
        let members = vec![Member { id: 0xa1, ..Member::default() }];
        let conf_state = ConfState::from((vec![0xa1], vec![]));
        bootstrap(&dir, OURS, members, conf_state, Options::default()).unwrap();
        IncomingPlace::new(dir.member())
    }

    fn receive(place: &IncomingPlace) -> Received {
        let store = Store::bootstrap(Vec::new(), ConfState::from((vec![0xa1], vec![])));
        let position = store.position();
        let mut incoming = Incoming::begin(place.dir().clone(), OURS, position).unwrap();
        for change in store.root().export() {
            let (table, key, value) = change.encode();
            incoming.take(table, key, value.unwrap()).unwrap();
        }
        incoming.finish().unwrap()
    }

    #[test]
    fn the_place_is_taken_until_the_file_of_its_state_has_left_it() {
        let place = place();
        for put_in_place in [true, false] {
            let reserved = place.reserve().unwrap();
            assert!(place.reserve().is_none());
            reserved.fill(receive(&place));
            assert!(place.reserve().is_none());
            assert!(place.take(9).is_none(), "it is another state");
            let (received, leaving) = place.take(0).unwrap();
            assert!(place.reserve().is_none(), "its file is still there");
            assert!(place.take(0).is_none());
            if put_in_place {
                snapshot::install(place.dir(), &received.position).unwrap();
            } else {
                snapshot::discard(place.dir(), &received.position).unwrap();
            }
            leaving.left();
            drop(place.reserve().unwrap());
        }
    }

    #[test]
    fn after_a_failure_the_place_stays_taken() {
        let place = place();
        place.reserve().unwrap().fill(receive(&place));
        drop(place.take(0).unwrap());
        assert!(place.reserve().is_none());
    }
}
