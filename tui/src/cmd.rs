//! Everything the dashboard can want done, as data. [`crate::exec`] and [`crate::run`] do it.

use bytes::Bytes;

/// One effect. They are performed in the order in which `update` returns them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cmd {
    /// Something that can be seen has changed.
    Draw,
    /// Draw everything anew: the terminal may not show what we think it does.
    Repaint,
    Quit,
    /// Starts a request. Whatever else runs in the ticket's slot is cancelled first.
    Ask {
        ticket: Ticket,
        request: Request,
    },
    /// Cancels what runs in a slot.
    Cancel(Slot),
    /// Gives requests a new list of addresses to go to, best first.
    Reach(Vec<String>),
}

/// Names a request and its try: an answer whose ticket is not the newest of its slot is stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub slot: Slot,
    pub generation: u64,
}

/// One request at a time runs for each purpose.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Slot {
    Membership,
    /// The status of the member behind this address.
    Status(String),
    /// The rows under this prefix.
    Level(Bytes),
    /// How many keys the folders in sight hold.
    Sizes,
    Value,
    Lease,
    Count,
    Write,
    Watch(u32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Members and alarms.
    Membership,
    Status {
        address: String,
    },
    /// At most `limit` rows under `prefix`, keys only; from `from` on when a level is continued.
    Level {
        prefix: Bytes,
        separator: u8,
        from: Option<Bytes>,
        limit: usize,
        reads: Reads,
    },
    /// How many keys start with each of these prefixes; one answer for each.
    Sizes {
        prefixes: Vec<Bytes>,
    },
    Value {
        key: Bytes,
        reads: Reads,
    },
    Lease {
        id: i64,
    },
    /// How many keys start with `prefix`, as the whole cluster sees it.
    Count {
        prefix: Bytes,
    },
    /// Puts `value` if the key's newest revision is still `expected` (0: if there is no such key).
    Put {
        key: Bytes,
        value: Bytes,
        expected: i64,
        lease: i64,
    },
    /// Deletes exactly `key`, if its newest revision is still `expected`.
    Delete {
        key: Bytes,
        expected: i64,
    },
    DeletePrefix {
        prefix: Bytes,
    },
    Watch {
        key: Bytes,
        prefix: bool,
    },
}

/// Who answers a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reads {
    /// Any member, from what it has applied: costs the cluster nothing, and may lag behind.
    #[default]
    Serializable,
    /// The cluster as a whole, at its newest.
    Linearizable,
}

impl std::fmt::Display for Reads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Serializable => "serializable",
            Self::Linearizable => "linearizable",
        })
    }
}
