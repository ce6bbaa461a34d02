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
pub struct Deferred {
    root: Arc<Root>,
    request: RangeRequest,
}

impl Deferred {
    /// The revision of the request was checked against `root`.
    pub(super) fn new(root: Arc<Root>, request: &RangeRequest) -> Self {
        Deferred { root, request: request.clone() }
    }

    pub fn root(&self) -> &Root {
        &self.root
    }

    pub fn request(&self) -> &RangeRequest {
        &self.request
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
    /// Finishes an order that had to wait for values that are not resident; `read` reads back
    /// those of many versions at a time, in their order. The versions are as before.
    pub fn sort<E>(
        &mut self,
        read: impl FnOnce(&[&Version]) -> Result<Vec<Bytes>, E>,
    ) -> Result<(), E> {
        let Some(ByValue { descending, limit }) = self.by_value else { return Ok(()) };
        let mut found = read(&self.stored())?.into_iter();
        let versions = std::mem::take(&mut self.versions).into_iter().map(|version| {
            let value = version.value.resident().cloned().or_else(|| found.next());
            (value.unwrap_or_default(), version)
        });
        let mut sorted: Vec<_> = versions.collect();
        sorted.sort_by(|(a, _), (b, _)| if descending { b.cmp(a) } else { a.cmp(b) });
        self.versions = sorted.into_iter().map(|(_, version)| version).collect();
        self.by_value = None;
        self.pin.take_if(|_| self.keys_only);
        self.truncate(limit);
        Ok(())
    }

    /// Reads back what is not resident, in the order that was asked for. Afterwards every version
    /// has its value, unless only keys are wanted.
    pub fn resolve<E>(
        &mut self,
        mut read: impl FnMut(&[&Version]) -> Result<Vec<Bytes>, E>,
    ) -> Result<(), E> {
        self.sort(&mut read)?;
        if self.keys_only {
            return Ok(());
        }
        let found = read(&self.stored())?;
        let missing = self.versions.iter_mut().filter(|version| version.value == Value::Stored);
        for (version, value) in missing.zip(found) {
            let value = Value::Resident(value);
            *version = Arc::new(Version { value, ..Version::clone(version) });
        }
        self.pin = None;
        Ok(())
    }

    fn stored(&self) -> Vec<&Version> {
        let versions = self.versions.iter().map(|version| &**version);
        versions.filter(|version| version.value == Value::Stored).collect()
    }

    pub(super) fn truncate(&mut self, limit: Option<usize>) {
        if let Some(limit) = limit.filter(|limit| self.versions.len() > *limit) {
            self.versions.truncate(limit);
            self.more = true;
        }
    }
}
