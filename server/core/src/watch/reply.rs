//! What the hub says to the clients.

use std::ops::{Deref, Range};
use std::sync::Arc;

use thiserror::Error;

use crate::store::{Pin, Value, Version};

/// Names a stream; chosen by the shell and never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// Names a watch on its stream, as in etcd's messages.
pub type WatchId = i64;

/// One reply, to be sent on `stream` after all that came before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    pub stream: StreamId,
    pub reply: WatchReply,
}

#[derive(Clone, Debug, PartialEq)]
pub struct WatchReply {
    /// The revision in the header.
    pub revision: i64,
    /// -1 if the reply is about no watch, or about all.
    pub watch_id: WatchId,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    Created,
    /// No watch was created: `created` and `canceled` with a reason.
    Refused(Refusal),
    /// As its client asked.
    Canceled,
    /// Canceled, since events it is owed are gone; `compact_revision` says where to go on.
    Overtaken {
        compact_revision: i64,
    },
    /// `fragment` says that the last revision goes on in the next reply of this watch.
    Events {
        events: Events,
        fragment: bool,
    },
    /// All events up to the header's revision have been sent.
    Progress,
}

/// A change, and what was there before if that was asked for and is still known.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub version: Arc<Version>,
    pub prev: Option<Arc<Version>>,
}

impl Event {
    /// About what the event takes in a message.
    pub(super) fn encoded_len(&self) -> usize {
        /// Field keys, lengths, and revisions of a key-value pair, at most.
        const FRAME: usize = 64;
        let len = |version: &Version| FRAME + version.key.len() + version.value_len as usize;
        len(&self.version) + self.prev.as_deref().map_or(0, len)
    }
}

/// Whether the value must be read back.
pub(super) fn is_stored(version: &Version) -> bool {
    version.value == Value::Stored
}

impl WatchReply {
    /// About what the reply takes as a message.
    pub fn bytes(&self) -> usize {
        /// Header, ids and revisions.
        const FRAME: usize = 64;
        FRAME + if let Body::Events { events, .. } = &self.body { events.bytes } else { 0 }
    }
}

/// What one walk found for watches that ask for the same.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) events: Vec<Event>,
    /// About what all of them take in a message.
    bytes: usize,
    /// Keep the values readable that are not resident.
    _pins: Option<Arc<[Pin]>>,
}

impl Found {
    /// `pins` are those of the states the events were found in.
    pub(super) fn new(events: Vec<Event>, pins: &Arc<[Pin]>) -> Found {
        let any_stored = events
            .iter()
            .any(|event| is_stored(&event.version) || event.prev.as_deref().is_some_and(is_stored));
        let bytes = events.iter().map(Event::encoded_len).sum();
        Found { events, bytes, _pins: any_stored.then(|| Arc::clone(pins)) }
    }
}

/// Events in order of revision. The watches that ask for the same share one list. As long as it
/// is held, compaction leaves the values that are not resident readable.
#[derive(Clone, Debug)]
pub struct Events {
    shared: Arc<Found>,
    range: Range<usize>,
    bytes: usize,
}

impl Events {
    pub(super) fn new(shared: &Arc<Found>, range: Range<usize>) -> Events {
        let part = &shared.events[range.clone()];
        let bytes = if part.len() == shared.events.len() {
            shared.bytes
        } else {
            part.iter().map(Event::encoded_len).sum()
        };
        Events { shared: Arc::clone(shared), range, bytes }
    }

    /// Equal for replies that carry the very same list, so that it can be encoded once.
    pub fn identity(&self) -> (usize, Range<usize>) {
        (Arc::as_ptr(&self.shared).addr(), self.range.clone())
    }
}

impl Deref for Events {
    type Target = [Event];

    fn deref(&self) -> &[Event] {
        &self.shared.events[self.range.clone()]
    }
}

impl PartialEq for Events {
    fn eq(&self, other: &Events) -> bool {
        **self == **other
    }
}

/// Why no watch was created; etcd's texts where it has them.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// By the shell, which knows who asks.
    #[error("{0}")]
    Denied(String),
    #[error("etcdserver: mvcc: required revision has been compacted")]
    NegativeRevision,
    #[error("mvcc: watcher range is empty")]
    EmptyRange,
    #[error("mvcc: duplicate watch ID provided on the WatchStream")]
    DuplicateId,
    #[error("kvorum: too many watches on this stream; open another one")]
    TooMany,
}
