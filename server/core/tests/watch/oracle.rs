//! What a watch is owed, worked out from a plain list of all that was ever written.

use bytes::Bytes;
use kvorum_core::watch::Body;
use kvorum_proto::etcdserverpb::WatchCreateRequest;
use kvorum_proto::etcdserverpb::watch_create_request::FilterType;

/// A change as the test itself knows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) at: i64,
    pub(crate) key: Bytes,
    /// `None` for a deletion.
    pub(crate) value: Option<Bytes>,
    pub(crate) prev: Option<Bytes>,
    /// When `prev` was written.
    pub(crate) prev_at: i64,
}

/// What a client knows about one of its watches.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) request: WatchCreateRequest,
    /// The first revision it is owed.
    pub(crate) from: i64,
    pub(crate) got: Vec<Change>,
    /// All up to here was promised to have been sent.
    pub(crate) progress: i64,
    /// The last reply ended within a revision.
    pub(crate) in_fragment: bool,
    /// How many did.
    pub(crate) fragments: usize,
    pub(crate) ended: Option<Body>,
}

/// Everything that was ever written.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) changes: Vec<Change>,
    pub(crate) compacted: i64,
}

impl Log {
    /// What the watch must get of the revisions up to `upto`. A previous value may be left out
    /// once it is compacted: then the client decides which of the two was right.
    pub(crate) fn owed(&self, client: &Client, upto: i64) -> Vec<Change> {
        let request = &client.request;
        let without = |filter: FilterType| request.filters.contains(&filter.into());
        let (no_put, no_delete) = (without(FilterType::Noput), without(FilterType::Nodelete));
        let inside = |key: &Bytes| match &request.range_end[..] {
            [] => *key == request.key,
            [0] => *key >= request.key,
            end => *key >= request.key && &key[..] < end,
        };
        let mut owed: Vec<Change> = Vec::new();
        for change in &self.changes {
            let filtered = if change.value.is_some() { no_put } else { no_delete };
            if change.at < client.from || change.at > upto || filtered || !inside(&change.key) {
                continue;
            }
            let mut change = change.clone();
            let untold = client.got.get(owed.len()).is_some_and(|got| got.prev.is_none());
            if !request.prev_kv || (untold && change.at <= self.compacted) {
                (change.prev, change.prev_at) = (None, 0);
            }
            owed.push(change);
        }
        owed
    }
}
