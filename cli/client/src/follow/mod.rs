//! Following a range: what is there, and then every change, in order, whatever happens to the
//! connection and to the history.
//!
//! A lost stream is opened again without a gap ([`Connection::watch`]). When the history that was to
//! come next has been compacted, nobody can tell what was in it: a [`Gap`] names the missing
//! revisions, the range is listed again, and how it differs from what was told comes as made-up
//! events, [`FollowItem::Difference`]. Applied in order, the items come to the same state as a list.
//!
//! Values are handed out and not kept. Of the keys, the names and revisions are remembered, because
//! nothing else can tell that one is gone; up to [`MOST_KNOWN_KEYS`] of them.

mod follower;
mod known;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

pub use known::Deletions;

use crate::connection::Connection;
use crate::failure::Failure;
use crate::pb;
use crate::range::KeyRange;
use follower::Follower;

/// Keys that are remembered: with names as long as Kubernetes' these are some 10 MB. Who follows
/// more is told of every change all the same; only what was deleted in a gap may go untold.
pub const MOST_KNOWN_KEYS: usize = 100_000;

/// Bytes of their names, for keys with names longer than that.
const MOST_KNOWN_BYTES: usize = 32 << 20;

/// What to follow.
#[derive(Debug, Clone, Default)]
pub struct Follow {
    pub range: KeyRange,
    pub begin: Begin,
    pub prev_kv: bool,
    /// Pass on how far the server is when there is nothing else to say.
    pub progress_notify: bool,
}

/// Where following begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Begin {
    /// With what is there.
    State,
    /// With the next change. What is there is looked up all the same, without values, to be able to
    /// tell of deletions later.
    #[default]
    Now,
    /// With the changes of this revision, as far as they are kept.
    Revision(i64),
}

/// What there is to say, in order.
#[derive(Debug, Clone)]
pub enum FollowItem {
    /// Keys that are there, of [`Begin::State`], in the order of keys. [`FollowItem::Watching`]
    /// says that these were all.
    State { revision: i64, kvs: Vec<pb::KeyValue> },
    /// Everything up to `revision` has been told; what follows are changes. Said again after a gap,
    /// and after every [`FollowItem::Lost`] that was recovered.
    Watching { revision: i64 },
    /// Changes, as they came. Never empty.
    Changes(pb::WatchResponse),
    /// Changes will never be told, because the history was compacted. What they came to follows.
    Gap(Gap),
    /// Made-up events after a gap: puts, which are as they are listed, and deletes, of which nobody
    /// knows the revision: it is 0. In the order of keys. The header's revision is the list's.
    Difference(pb::WatchResponse),
    /// Every event up to the header's revision has been sent.
    Progress(pb::WatchResponse),
    /// Somebody could not be asked; it is tried again, and nothing will be missed. Said once, however
    /// long it takes.
    Lost(Failure),
    /// The server ended the watch, and no compaction is the reason. Nothing follows.
    Ended(pb::WatchResponse),
    /// It cannot go on. Nothing follows.
    Failed(Failure),
}

/// Revisions of which the changes are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first of them.
    pub from: i64,
    /// The last of them, which is the revision that is listed.
    pub to: i64,
    /// What the difference tells of keys that are gone.
    pub deletions: Deletions,
}

/// A range that is being followed. Dropping it ends that.
pub struct Following {
    first: Option<FollowItem>,
    items: Receiver<FollowItem>,
    progress: FollowProgress,
    task: JoinHandle<()>,
}

/// Asks the server how far it is.
#[derive(Debug, Clone)]
pub struct FollowProgress(Sender<()>);

/// Items waiting for the consumer; behind them waits the connection's flow control.
const QUEUE: usize = 4;

/// Requests for progress waiting to be sent; more would ask the same.
const PROGRESS_QUEUE: usize = 4;

impl Connection {
    /// Begins to follow a range. An error means that it could not begin; what happens later is an
    /// item.
    pub async fn follow(&self, follow: Follow) -> Result<Following, Failure> {
        let (items_in, items) = channel(QUEUE);
        let (progress, requests) = channel(PROGRESS_QUEUE);
        let limits = known::Limits { keys: MOST_KNOWN_KEYS, bytes: MOST_KNOWN_BYTES };
        let follower = Follower::new(self.clone(), follow, limits, (items_in, requests));
        let task = tokio::spawn(follower.run());
        // From here on, dropping ends the task.
        let progress = FollowProgress(progress);
        let mut following = Following { first: None, items, progress, task };
        match following.items.recv().await {
            Some(FollowItem::Failed(failure)) => Err(failure),
            first => {
                following.first = first;
                Ok(following)
            }
        }
    }
}

impl Following {
    /// The next item; `None` after [`FollowItem::Ended`] or [`FollowItem::Failed`].
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<FollowItem> {
        match self.first.take() {
            Some(first) => Some(first),
            None => self.items.recv().await,
        }
    }

    /// For asking the server how far it is; the answer is a [`FollowItem::Progress`].
    pub fn progress(&self) -> FollowProgress {
        self.progress.clone()
    }
}

impl FollowProgress {
    pub fn request(&self) {
        // If the queue is full, an answer is on its way already.
        let _ = self.0.try_send(());
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}
