//! The store's replies as etcd's messages, their values read back from disk.

use bytes::Bytes;
use kvorum_core::store::{OpReply, RangeReply, Reply, Revision, TxnReply, Value, Version};
use kvorum_core::watch::{self, Body, WatchReply};
use kvorum_proto::etcdserverpb::response_op::Response;
use kvorum_proto::etcdserverpb::{
    DeleteRangeResponse, PutResponse, RangeResponse, ResponseHeader, ResponseOp, TxnResponse,
    WatchResponse,
};
use kvorum_proto::mvccpb::{Event, KeyValue, event::EventType};
use kvorum_server::storage::backend::Values;

use crate::model::Answer;

/// How a value that is not in memory is read.
pub type Read<'a> = dyn FnMut(Revision) -> Result<Bytes, String> + 'a;

/// A value as the backend has it.
pub fn stored(values: &dyn Values, at: Revision) -> Result<Bytes, String> {
    match values.value(at) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(format!("nothing at revision {}.{}", at.main, at.sub)),
        Err(error) => Err(error.to_string()),
    }
}

/// The reply to an entry, as the model would give it.
pub fn answer(reply: Reply, revision: i64, read: &mut Read) -> Result<Answer, String> {
    let op = match reply {
        Reply::Put(put) => OpReply::Put(put, revision),
        Reply::Delete(delete) => OpReply::Delete(delete, revision),
        Reply::Txn(reply) => OpReply::Txn(reply, revision),
        Reply::LeaseGranted { id, ttl } => return Ok(Answer::Granted { id, ttl }),
        Reply::Done | Reply::Alarms(_) => return Ok(Answer::Done),
    };
    Ok(Answer::Op(response(op, read)?))
}

pub fn range(
    mut reply: RangeReply,
    revision: i64,
    read: &mut Read,
) -> Result<RangeResponse, String> {
    reply.resolve(|versions| versions.iter().map(|version| read(version.at)).collect())?;
    let kvs = reply.versions.iter().map(|version| {
        if reply.keys_only {
            Ok(key_value_with(version, Bytes::new()))
        } else {
            key_value(version, read)
        }
    });
    let kvs = kvs.collect::<Result<_, _>>()?;
    let (header, more, count) = (Some(header(revision)), reply.more, reply.count);
    Ok(RangeResponse { header, kvs, more, count })
}

pub fn txn(reply: TxnReply, revision: i64, read: &mut Read) -> Result<TxnResponse, String> {
    let (header, succeeded) = (Some(header(revision)), reply.succeeded);
    let mut responses = Vec::with_capacity(reply.ops.len());
    for op in reply.ops {
        responses.push(ResponseOp { response: Some(response(op, read)?) });
    }
    Ok(TxnResponse { header, succeeded, responses })
}

/// What a watch stream's client gets.
pub fn watch_response(reply: &WatchReply, read: &mut Read) -> Result<WatchResponse, String> {
    let mut response = WatchResponse {
        header: Some(header(reply.revision)),
        watch_id: reply.watch_id,
        ..WatchResponse::default()
    };
    match &reply.body {
        Body::Created => response.created = true,
        Body::Refused(refusal) => {
            (response.created, response.canceled) = (true, true);
            response.cancel_reason = refusal.to_string();
        }
        Body::Canceled => response.canceled = true,
        Body::Overtaken { compact_revision } => {
            response.canceled = true;
            response.compact_revision = *compact_revision;
        }
        Body::Progress => {}
        Body::Events { events, fragment } => {
            response.fragment = *fragment;
            let events = events.iter().map(|found| event(found, read));
            response.events = events.collect::<Result<_, _>>()?;
        }
    }
    Ok(response)
}

pub fn event(event: &watch::Event, read: &mut Read) -> Result<Event, String> {
    let prev_kv = match &event.prev {
        Some(prev) => Some(key_value(prev, read)?),
        None => None,
    };
    Ok(Event { prev_kv, ..change(&event.version, read)? })
}

/// A version as the event that made it.
pub fn change(version: &Version, read: &mut Read) -> Result<Event, String> {
    let kind = if version.is_deletion() { EventType::Delete } else { EventType::Put };
    let kv = if version.is_deletion() {
        let (key, mod_revision) = (version.key.clone(), version.at.main);
        KeyValue { key, mod_revision, ..KeyValue::default() }
    } else {
        key_value(version, read)?
    };
    Ok(Event { r#type: kind.into(), kv: Some(kv), prev_kv: None })
}

fn response(op: OpReply, read: &mut Read) -> Result<Response, String> {
    Ok(match op {
        OpReply::Range(reply, revision) => {
            Response::ResponseRange(range(reply.read(), revision, read)?)
        }
        OpReply::Put(put, revision) => {
            let prev_kv = match &put.prev {
                Some(prev) => Some(key_value(prev, read)?),
                None => None,
            };
            Response::ResponsePut(PutResponse { header: Some(header(revision)), prev_kv })
        }
        OpReply::Delete(delete, revision) => {
            let prev_kvs = delete.prev.iter().map(|prev| key_value(prev, read));
            Response::ResponseDeleteRange(DeleteRangeResponse {
                header: Some(header(revision)),
                deleted: delete.deleted,
                prev_kvs: prev_kvs.collect::<Result<_, _>>()?,
            })
        }
        OpReply::Txn(reply, revision) => Response::ResponseTxn(txn(reply, revision, read)?),
    })
}

fn key_value(version: &Version, read: &mut Read) -> Result<KeyValue, String> {
    let value = match &version.value {
        Value::Resident(value) => value.clone(),
        Value::Stored => read(version.at)?,
    };
    assert_eq!(value.len(), version.value_len as usize, "a value has the length it was put with");
    Ok(key_value_with(version, value))
}

fn key_value_with(version: &Version, value: Bytes) -> KeyValue {
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
