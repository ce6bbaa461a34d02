//! Everything that can happen to the dashboard, as one closed enum.

use bytes::Bytes;
use crossterm::event::KeyEvent;
use jiff::civil::DateTime;

use crate::cmd::Ticket;

#[derive(Debug, Clone, PartialEq)]
pub enum Msg {
    Key(KeyEvent),
    /// Text that the terminal says was pasted.
    Paste(String),
    Resize(Size),
    /// Time went on. Sent before anything else that happens at that moment.
    Tick {
        now: Moment,
    },
    Answer(Answer),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    pub width: u16,
    pub height: u16,
}

/// A point in time: for intervals, and for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds on a clock that only goes forward.
    pub mono_ms: u64,
    /// What the clock on the wall says here.
    pub wall: DateTime,
}

/// What came back for a request. Answers to a request that was cancelled or replaced are dropped by
/// their ticket.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub ticket: Ticket,
    pub body: Result<Reply, Failure>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Membership(Membership),
    Status(Status),
    /// Some rows of a level; more answers follow unless `done`.
    Level(LevelPart),
    Size {
        prefix: Bytes,
        keys: u64,
        done: bool,
    },
    Value {
        found: Option<KeyValue>,
        revision: i64,
    },
    Lease(LeaseLeft),
    Count {
        keys: u64,
        revision: i64,
    },
    Written {
        revision: i64,
    },
    /// The guard of a write did not hold; nothing was written.
    Conflict {
        current: Option<KeyValue>,
        revision: i64,
    },
    Deleted {
        keys: u64,
        revision: i64,
    },
    Watch(WatchSignal),
}

/// Why a request has no answer, in the words of the client: which phase failed, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub text: String,
    /// The host answered that nothing listens there.
    pub refused: bool,
    /// No connection, as opposed to an answer that is an error.
    pub unreachable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Membership {
    pub cluster_id: u64,
    pub members: Vec<Member>,
    /// `None`: the alarms could not be read.
    pub alarms: Option<Vec<Alarm>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    pub id: u64,
    pub name: String,
    pub peer_urls: Vec<String>,
    pub client_urls: Vec<String>,
    pub learner: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    pub member: u64,
    pub kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    pub cluster_id: u64,
    pub member_id: u64,
    /// 0 when the member knows no leader.
    pub leader: u64,
    pub raft_term: u64,
    pub raft_index: u64,
    pub raft_applied: u64,
    pub revision: i64,
    pub db_size_bytes: u64,
    pub db_in_use_bytes: u64,
    pub version: String,
    pub learner: bool,
    pub errors: Vec<String>,
    pub latency_us: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LevelPart {
    /// These rows come after those that are known already, instead of replacing them.
    pub continued: bool,
    pub entries: Vec<Entry>,
    pub revision: i64,
    /// No more parts follow.
    pub done: bool,
    /// Where the level goes on, when it has more rows than were asked for.
    pub rest: Option<Bytes>,
}

/// One row of a level: a key, or everything whose name goes on after a separator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Without the level's prefix, and without the separator of a folder.
    pub name: Bytes,
    pub folder: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyValue {
    pub key: Bytes,
    pub value: Bytes,
    pub create_revision: i64,
    pub mod_revision: i64,
    pub version: i64,
    pub lease: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseLeft {
    pub id: i64,
    pub granted_s: i64,
    /// Below zero when the lease is gone.
    pub left_s: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchSignal {
    Opened {
        revision: i64,
    },
    Events(Vec<WatchEvent>),
    /// The connection went away; the watch goes on from where it was.
    Interrupted {
        reason: String,
    },
    Resumed,
    /// Revisions `from..compacted` were compacted before they could be read.
    Gap {
        from: i64,
        compacted: i64,
    },
    /// The watch is over and will not come back.
    Ended {
        reason: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchEvent {
    pub revision: i64,
    pub change: Change,
    pub key: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Put {
        /// The beginning of the value only, see [`PREVIEW_BYTES`].
        preview: Bytes,
        size: u64,
        created: bool,
    },
    Delete,
}

/// As much of a watched value as a line of the widest screen can show.
pub const PREVIEW_BYTES: usize = 512;
