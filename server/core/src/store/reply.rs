//! What an applied entry, or a read, answers. The edge turns it into etcd's messages.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use kvorum_proto::etcdserverpb::{AlarmMember, RangeRequest};

use super::{Change, Pin, Root, Value, Version};
use crate::auth::TokenNews;
use crate::error::StoreError;

/// What became of one log entry.
#[derive(Debug)]
pub struct Applied {
    /// `header.ID` of the entry: who waits for the reply.
    pub request_id: u64,
    /// The store's revision after the entry.
    pub revision: i64,
    pub reply: Result<Reply, StoreError>,
    /// What the backend must do to be equal again, in order.
    pub changes: Vec<Change>,
    /// What becomes of tokens.
    pub tokens: Option<TokenNews>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Nothing to say but that it is done.
    Done,
    Put(PutReply),
    Delete(DeleteReply),
    Txn(TxnReply),
    LeaseGranted {
        id: i64,
        ttl: i64,
    },
    Alarms(Vec<AlarmMember>),
}

/// Versions that have no resident value are [resolved](Self::resolve) by the shell, which can
/// read them back from the backend, before the answer is encoded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RangeReply {
    pub versions: Vec<Arc<Version>>,
    /// The request wanted no values.
    pub keys_only: bool,
    pub more: bool,
    pub count: i64,
    /// What is left to do once all values are at hand.
    pub by_value: Option<ByValue>,
    /// Keeps the values readable that are not resident.
    pub pin: Option<Pin>,
}

/// An order by value, still to be made because not all values were resident: `versions` are all
/// that were found, in key order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByValue {
    pub descending: bool,
    pub limit: Option<usize>,
}

/// The previous values in this and the other replies of writes are always resident.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PutReply {
    /// Only if asked for.
    pub prev: Option<Arc<Version>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteReply {
    pub deleted: i64,
    /// Only if asked for.
    pub prev: Vec<Arc<Version>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct TxnReply {
    pub succeeded: bool,
    pub ops: Vec<OpReply>,
}

/// The answer of one operation in a transaction, with the revision its header carries; that of a
/// nested transaction carries none, which is 0.
#[derive(Clone, Debug, PartialEq)]
pub enum OpReply {
    Range(Deferred, i64),
    Put(PutReply, i64),
    Delete(DeleteReply, i64),
    Txn(TxnReply, i64),
}

/// A range of a transaction, of the state that its operation saw. It is read when its answer is
/// made, by the one member whose client waits for it, and not while the transaction is applied.
#[derive(Clone)]
pub struct Deferred(Arc<(Root, RangeRequest)>);

impl Deferred {
    /// The revision of the request was checked against `root`.
    pub(super) fn new(root: &Root, request: &RangeRequest) -> Self {
        Deferred(Arc::new((root.clone(), request.clone())))
    }

    pub fn root(&self) -> &Root {
        &self.0.0
    }

    pub fn request(&self) -> &RangeRequest {
        &self.0.1
    }

    /// Always the same answer.
    pub fn read(&self) -> RangeReply {
        self.root().range(self.request()).expect("its revision was checked before the first change")
    }
}

/// Equal are those that ask the same and are answered alike.
impl PartialEq for Deferred {
    fn eq(&self, other: &Self) -> bool {
        self.request() == other.request() && self.read() == other.read()
    }
}

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}

impl RangeReply {
    /// Reads back what is not resident, by its revision, and finishes the order that had to wait
    /// for it. Afterwards every version has its value, unless only keys are wanted.
    pub fn resolve<E>(
        &mut self,
        mut read: impl FnMut(&Version) -> Result<Bytes, E>,
    ) -> Result<(), E> {
        if self.keys_only && self.by_value.is_none() {
            return Ok(());
        }
        for version in &mut self.versions {
            if version.value == Value::Stored {
                let value = Value::Resident(read(version)?);
                *version = Arc::new(Version { value, ..Version::clone(version) });
            }
        }
        if let Some(ByValue { descending, limit }) = self.by_value.take() {
            self.versions.sort_by(|a, b| {
                let ascending = a.value.resident().cmp(&b.value.resident());
                if descending { ascending.reverse() } else { ascending }
            });
            self.truncate(limit);
        }
        self.pin = None;
        Ok(())
    }

    pub(super) fn truncate(&mut self, limit: Option<usize>) {
        if let Some(limit) = limit.filter(|limit| self.versions.len() > *limit) {
            self.versions.truncate(limit);
            self.more = true;
        }
    }
}
