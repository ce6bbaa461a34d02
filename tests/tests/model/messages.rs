//! The store's replies as messages, their values read back from disk.

use std::convert::Infallible;

use bytes::Bytes;
use kvorum_core::store::{Applied, OpReply, RangeReply, Reply, TxnReply, Version};
use kvorum_core::watch;
use kvorum_proto::etcdserverpb::response_op::Response;
use kvorum_proto::etcdserverpb::{
    DeleteRangeResponse, PutResponse, RangeResponse, ResponseHeader, ResponseOp, TxnResponse,
};
use kvorum_proto::mvccpb::{Event, KeyValue, event::EventType};
use kvorum_tests::model::Answer;

use crate::World;

impl World<'_> {
    pub(super) fn event(&self, event: &watch::Event) -> Event {
        let kind =
            if event.version.is_deletion() { EventType::Delete } else { EventType::Put }.into();
        let prev_kv = event.prev.as_ref().map(|prev| self.key_value(prev));
        Event { r#type: kind, kv: Some(self.key_value(&event.version)), prev_kv }
    }

    /// The reply, as the model would give it.
    pub(super) fn outcome(&self, applied: Applied) -> Result<Answer, String> {
        let revision = applied.revision;
        let op = match applied.reply.map_err(|error| error.to_string())? {
            Reply::Put(put) => OpReply::Put(put, revision),
            Reply::Delete(delete) => OpReply::Delete(delete, revision),
            Reply::Txn(txn) => OpReply::Txn(txn, revision),
            Reply::LeaseGranted { id, ttl } => return Ok(Answer::Granted { id, ttl }),
            Reply::Done | Reply::Alarms(_) => return Ok(Answer::Done),
        };
        Ok(Answer::Op(self.op_response(op)))
    }

    fn op_response(&self, op: OpReply) -> Response {
        match op {
            OpReply::Range(range, revision) => {
                Response::ResponseRange(self.range_response(range, revision))
            }
            OpReply::Put(put, revision) => Response::ResponsePut(PutResponse {
                header: Some(header(revision)),
                prev_kv: put.prev.map(|prev| self.key_value(&prev)),
            }),
            OpReply::Delete(delete, revision) => {
                let prev_kvs = delete.prev.iter().map(|prev| self.key_value(prev)).collect();
                let (header, deleted) = (Some(header(revision)), delete.deleted);
                Response::ResponseDeleteRange(DeleteRangeResponse { header, deleted, prev_kvs })
            }
            OpReply::Txn(txn, revision) => Response::ResponseTxn(self.txn_response(txn, revision)),
        }
    }

    pub(super) fn txn_response(&self, reply: TxnReply, revision: i64) -> TxnResponse {
        let ops = reply.ops.into_iter();
        let responses = ops.map(|op| ResponseOp { response: Some(self.op_response(op)) });
        let (header, succeeded) = (Some(header(revision)), reply.succeeded);
        TxnResponse { header, succeeded, responses: responses.collect() }
    }

    pub(super) fn range_response(&self, mut reply: RangeReply, revision: i64) -> RangeResponse {
        let Ok(()) = reply.resolve(|version| Ok::<_, Infallible>(self.disk.value(version.at)));
        let kvs = reply.versions.iter().map(|version| {
            if reply.keys_only { key_value(version, Bytes::new()) } else { self.key_value(version) }
        });
        let (header, more, count) = (Some(header(revision)), reply.more, reply.count);
        RangeResponse { header, kvs: kvs.collect(), more, count }
    }

    fn key_value(&self, version: &Version) -> KeyValue {
        let value = version.value.resident().cloned();
        let value = value.unwrap_or_else(|| self.disk.value(version.at));
        assert_eq!(value.len(), version.value_len as usize);
        key_value(version, value)
    }
}

fn key_value(version: &Version, value: Bytes) -> KeyValue {
    KeyValue {
        key: version.key.clone(),
        create_revision: version.create_revision,
        mod_revision: version.at.main,
        version: version.version,
        value,
        lease: version.lease,
    }
}

fn header(revision: i64) -> ResponseHeader {
    ResponseHeader { revision, ..ResponseHeader::default() }
}
