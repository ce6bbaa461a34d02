//! Whole states on their way: those held for peers, and the one that a peer has sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvorum_core::store::{Position, Root};
use parking_lot::Mutex;

use crate::storage::dir::MemberDir;
use crate::storage::snapshot::Received;

/// A state that is kept readable for a peer. It holds up physical compaction, no more.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) root: Arc<Root>,
    pub(crate) position: Position,
}

/// States held for peers, at most one for each; the node says when one is no longer wanted.
#[derive(Default)]
pub(crate) struct Snapshots(Mutex<BTreeMap<u64, Held>>);

impl Snapshots {
    pub(super) fn hold(&self, to: u64, held: Held) {
        self.0.lock().insert(to, held);
    }

    /// The state held for a peer, if it is the one of `index`.
    pub(super) fn take(&self, to: u64, index: u64) -> Option<Held> {
        self.0.lock().remove(&to).filter(|held| held.position.index == index)
    }

    pub(super) fn drop(&self, to: u64) {
        self.0.lock().remove(&to);
    }
}

/// The place for a received state: there is one, since each is as large as all data.
pub(crate) struct IncomingPlace {
    dir: MemberDir,
    content: Arc<Mutex<Content>>,
}

enum Content {
    Empty,
    /// Somebody is writing it.
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

    /// Takes out the state of `index`, if it is there.
    pub(super) fn take(&self, index: u64) -> Option<Received> {
        let mut content = self.content.lock();
        match std::mem::replace(&mut *content, Content::Empty) {
            Content::Filled(received) if received.position.index == index => Some(*received),
            other => {
                *content = other;
                None
            }
        }
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
