//! From the store's answers to etcd's messages.

use kvorum_core::store::{Deferred, DeleteReply, OpReply, PutReply, RangeReply, TxnReply, Version};
use kvorum_proto::etcdserverpb::response_op::Response;
use kvorum_proto::etcdserverpb::{
    DeleteRangeResponse, Member, PutResponse, RangeResponse, ResponseHeader, ResponseOp,
    TxnResponse,
};
use kvorum_proto::membershippb;
use kvorum_proto::mvccpb::KeyValue;

/// A version whose value, if it is wanted, is resident. Bytes are shared, never copied.
pub(super) fn key_value(version: &Version, keys_only: bool) -> KeyValue {
    let value = version.value.resident().filter(|_| !keys_only);
    KeyValue {
        key: version.key.clone(),
        create_revision: version.create_revision,
        mod_revision: version.at.main,
        version: version.version,
        value: value.cloned().unwrap_or_default(),
        lease: version.lease,
    }
}

pub(super) fn range(reply: &RangeReply, header: Option<ResponseHeader>) -> RangeResponse {
    let kvs = reply.versions.iter().map(|version| key_value(version, reply.keys_only));
    RangeResponse { header, kvs: kvs.collect(), more: reply.more, count: reply.count }
}

pub(super) fn put(reply: &PutReply, header: Option<ResponseHeader>) -> PutResponse {
    PutResponse { header, prev_kv: reply.prev.as_ref().map(|version| key_value(version, false)) }
}

pub(super) fn delete(reply: &DeleteReply, header: Option<ResponseHeader>) -> DeleteRangeResponse {
    let prev_kvs = reply.prev.iter().map(|version| key_value(version, false)).collect();
    DeleteRangeResponse { header, deleted: reply.deleted, prev_kvs }
}

/// The header of an answer within a transaction's: nothing but a revision, as in etcd.
#[allow(clippy::unnecessary_wraps, reason = "what a message has")]
pub(super) fn inner(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision, ..ResponseHeader::default() })
}

/// Its ranges are read by `read`, with all values they want.
pub(super) fn txn<E>(
    reply: &TxnReply,
    header: Option<ResponseHeader>,
    read: &impl Fn(&Deferred) -> Result<RangeReply, E>,
) -> Result<TxnResponse, E> {
    let mut responses = Vec::with_capacity(reply.ops.len());
    for op in &reply.ops {
        let response = match op {
            OpReply::Range(deferred, revision) => {
                Response::ResponseRange(range(&read(deferred)?, inner(*revision)))
            }
            OpReply::Put(reply, revision) => Response::ResponsePut(put(reply, inner(*revision))),
            OpReply::Delete(reply, revision) => {
                Response::ResponseDeleteRange(delete(reply, inner(*revision)))
            }
            OpReply::Txn(reply, revision) => {
                Response::ResponseTxn(txn(reply, inner(*revision), read)?)
            }
        };
        responses.push(ResponseOp { response: Some(response) });
    }
    Ok(TxnResponse { header, succeeded: reply.succeeded, responses })
}

pub(super) fn member(member: &membershippb::Member) -> Member {
    let raft = member.raft_attributes.clone().unwrap_or_default();
    let attributes = member.member_attributes.clone().unwrap_or_default();
    Member {
        id: member.id,
        name: attributes.name,
        peer_ur_ls: raft.peer_urls,
        client_ur_ls: attributes.client_urls,
        is_learner: raft.is_learner,
    }
}
