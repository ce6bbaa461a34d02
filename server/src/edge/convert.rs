//! From the store's answers to etcd's messages.

use kvorum_core::store::{DeleteReply, OpReply, PutReply, RangeReply, TxnReply, Version};
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

/// Inner answers carry a header with nothing but a revision, as etcd's do.
pub(super) fn txn(reply: &TxnReply, header: Option<ResponseHeader>) -> TxnResponse {
    let inner = |revision| Some(ResponseHeader { revision, ..ResponseHeader::default() });
    let responses = reply.ops.iter().map(|op| {
        let response = match op {
            OpReply::Range(reply, revision) => {
                Response::ResponseRange(range(reply, inner(*revision)))
            }
            OpReply::Put(reply, revision) => Response::ResponsePut(put(reply, inner(*revision))),
            OpReply::Delete(reply, revision) => {
                Response::ResponseDeleteRange(delete(reply, inner(*revision)))
            }
            OpReply::Txn(reply, revision) => Response::ResponseTxn(txn(reply, inner(*revision))),
        };
        ResponseOp { response: Some(response) }
    });
    TxnResponse { header, succeeded: reply.succeeded, responses: responses.collect() }
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
