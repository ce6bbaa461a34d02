//! What an applied entry, or a read, answers. The edge turns it into etcd's messages.

use std::sync::Arc;

use kvorum_proto::etcdserverpb::AlarmMember;

use super::{Change, Version};
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

#[derive(Clone, Debug, Default, PartialEq)]
pub struct RangeReply {
    pub versions: Vec<Arc<Version>>,
    /// The request wanted no values.
    pub keys_only: bool,
    pub more: bool,
    pub count: i64,
}

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

/// The answer of one operation in a transaction, with the revision its header carries.
#[derive(Clone, Debug, PartialEq)]
pub enum OpReply {
    Range(RangeReply, i64),
    Put(PutReply, i64),
    Delete(DeleteReply, i64),
    Txn(TxnReply, i64),
}
