//! A message on the wire, written as JSON while it arrives.
//!
//! The form is that of etcd's gateway: names as in the protocol, 64-bit numbers as strings, bytes
//! in base64, enumerations by name, nothing that has its default. What is kept is one value at a
//! time, however deep the message it is in, so an answer of many keys is never held a second time.
//!
//! Only messages of our own services come here: fields in order, those of a list together, and no
//! list of numbers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BytesMut};
use prost::encoding::{WireType, decode_key, decode_varint};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use thiserror::Error;

/// The member's own answer made no sense, which it never does.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[error("the answer cannot be read")]
pub(super) struct Unreadable;

/// A message of which more may come.
pub(super) struct Incoming {
    /// The message, and those within it that are not complete, each within the one before.
    open: Vec<Open>,
    partial: BytesMut,
}

struct Open {
    descriptor: MessageDescriptor,
    object: Object,
    /// What is to come of it, if that is known.
    missing: Option<usize>,
}

impl Incoming {
    pub(super) fn begin(descriptor: MessageDescriptor, out: &mut Vec<u8>) -> Incoming {
        let outermost = Open { descriptor, object: Object::begin(out), missing: None };
        Incoming { open: vec![outermost], partial: BytesMut::new() }
    }

    /// Writes every field that is complete, and of messages what is there of them.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        self.partial.extend_from_slice(bytes);
        while let Some((head, head_bytes)) = Head::first(&self.partial)? {
            let open = self.open.last_mut().ok_or(Unreadable)?;
            let field = open.descriptor.get_field(head.number).ok_or(Unreadable)?;
            if let (Kind::Message(descriptor), Content::Bytes(length)) =
                (field.kind(), &head.content)
            {
                open.takes(head_bytes + length)?;
                open.object.name(&field, out);
                let (object, missing) = (Object::begin(out), Some(*length));
                self.open.push(Open { descriptor, object, missing });
                self.partial.advance(head_bytes);
            } else {
                let length = head_bytes + head.content.length();
                let Some(record) = self.partial.get(..length) else { return Ok(()) };
                open.takes(length)?;
                open.object.name(&field, out);
                value(&field, &head.content, &record[head_bytes..], out)?;
                self.partial.advance(length);
            }
            self.close_complete(out);
        }
        Ok(())
    }

    fn close_complete(&mut self, out: &mut Vec<u8>) {
        while self.open.last().is_some_and(|open| open.missing == Some(0)) {
            if let Some(complete) = self.open.pop() {
                complete.object.end(out);
            }
        }
    }

    pub(super) fn end(mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        match self.open.pop() {
            Some(outermost) if self.open.is_empty() && self.partial.is_empty() => {
                outermost.object.end(out);
                Ok(())
            }
            _ => Err(Unreadable),
        }
    }
}

impl Open {
    /// This much of it has come.
    fn takes(&mut self, bytes: usize) -> Result<(), Unreadable> {
        if let Some(missing) = &mut self.missing {
            *missing = missing.checked_sub(bytes).ok_or(Unreadable)?;
        }
        Ok(())
    }
}

/// What stands in front of one field.
struct Head {
    number: u32,
    content: Content,
}

enum Content {
    Varint(u64),
    /// So many that follow.
    Bytes(usize),
}

impl Content {
    fn length(&self) -> usize {
        match self {
            Content::Varint(_) => 0,
            Content::Bytes(length) => *length,
        }
    }
}

impl Head {
    /// That at the beginning of `bytes` and how long it is, if all of it is there.
    fn first(bytes: &[u8]) -> Result<Option<(Head, usize)>, Unreadable> {
        /// A key and a length, or a key and a number, take no more.
        const LONGEST: usize = 20;
        let mut rest = bytes;
        let head = decode_key(&mut rest).and_then(|key| Ok((key, decode_varint(&mut rest)?)));
        let Ok(((number, wire_type), value)) = head else {
            return if bytes.len() < LONGEST { Ok(None) } else { Err(Unreadable) };
        };
        let content = match wire_type {
            WireType::Varint => Content::Varint(value),
            WireType::LengthDelimited => {
                Content::Bytes(u32::try_from(value).map_err(|_| Unreadable)? as usize)
            }
            _ => return Err(Unreadable),
        };
        Ok(Some((Head { number, content }, bytes.len() - rest.len())))
    }
}

/// An object that is being written.
struct Object {
    empty: bool,
    /// The field whose list is open.
    list: Option<u32>,
}

impl Object {
    fn begin(out: &mut Vec<u8>) -> Object {
        out.push(b'{');
        Object { empty: true, list: None }
    }

    /// What stands before a value.
    fn name(&mut self, field: &FieldDescriptor, out: &mut Vec<u8>) {
        if self.list == Some(field.number()) {
            out.push(b',');
            return;
        }
        self.close_list(out);
        if !self.empty {
            out.push(b',');
        }
        self.empty = false;
        string(field.name(), out);
        out.push(b':');
        if field.is_list() {
            out.push(b'[');
            self.list = Some(field.number());
        }
    }

    fn close_list(&mut self, out: &mut Vec<u8>) {
        if self.list.take().is_some() {
            out.push(b']');
        }
    }

    fn end(mut self, out: &mut Vec<u8>) {
        self.close_list(out);
        out.push(b'}');
    }
}

/// A value that is no message; `bytes` are those its head has announced.
fn value(
    field: &FieldDescriptor,
    content: &Content,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Unreadable> {
    match (field.kind(), content) {
        (Kind::Int64, Content::Varint(value)) => quoted(&(*value as i64).to_string(), out),
        (Kind::Uint64, Content::Varint(value)) => quoted(&value.to_string(), out),
        (Kind::Int32, Content::Varint(value)) => text(&(*value as i32).to_string(), out),
        (Kind::Uint32, Content::Varint(value)) => text(&(*value as u32).to_string(), out),
        (Kind::Bool, Content::Varint(value)) => {
            text(if *value != 0 { "true" } else { "false" }, out);
        }
        (Kind::Enum(kind), Content::Varint(value)) => match kind.get_value(*value as i32) {
            Some(named) => quoted(named.name(), out),
            None => text(&(*value as i32).to_string(), out),
        },
        (Kind::String, Content::Bytes(_)) => {
            string(std::str::from_utf8(bytes).map_err(|_| Unreadable)?, out);
        }
        (Kind::Bytes, Content::Bytes(_)) => base64(bytes, out),
        _ => return Err(Unreadable),
    }
    Ok(())
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
}

/// For what needs no escapes.
fn quoted(plain: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    text(plain, out);
    out.push(b'"');
}

fn string(any: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, any).expect("a string is written to memory");
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    let length = bytes.len().div_ceil(3) * 4;
    out.resize(start + length, 0);
    STANDARD.encode_slice(bytes, &mut out[start..]).expect("there is room for all of it");
    out.push(b'"');
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use kvorum_proto::DESCRIPTORS;
    use kvorum_proto::etcdserverpb::response_op::Response as Done;
    use kvorum_proto::etcdserverpb::{
        AlarmMember, AlarmResponse, RangeResponse, ResponseHeader, ResponseOp, StatusResponse,
        TxnResponse, WatchResponse,
    };
    use kvorum_proto::mvccpb::{Event, KeyValue};
    use prost::Message;
    use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, SerializeOptions};

    use super::super::tests::fields;
    use super::*;

    fn pool() -> DescriptorPool {
        DescriptorPool::decode(DESCRIPTORS).unwrap()
    }

    fn written(name: &str, wire: &[u8], step: usize) -> Result<String, Unreadable> {
        let mut out = Vec::new();
        let descriptor = pool().get_message_by_name(name).unwrap();
        let mut incoming = Incoming::begin(descriptor, &mut out);
        for bytes in wire.chunks(step.max(1)) {
            incoming.push(bytes, &mut out)?;
        }
        incoming.end(&mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn header() -> ResponseHeader {
        ResponseHeader { cluster_id: u64::MAX, member_id: 1, revision: -7, raft_term: 0 }
    }

    #[test]
    fn an_answer_has_the_form_of_etcds_gateway() {
        let kv = KeyValue { key: "foo".into(), value: "\u{0}\u{ff}".into(), ..KeyValue::default() };
        let range = RangeResponse {
            header: Some(header()),
            kvs: vec![kv.clone(), KeyValue { version: 3, ..kv }, KeyValue::default()],
            more: true,
            count: 3,
        };
        let expected = r#"{"header":{"cluster_id":"18446744073709551615","member_id":"1","revision":"-7"},"kvs":[{"key":"Zm9v","value":"AMO/"},{"key":"Zm9v","version":"3","value":"AMO/"},{}],"more":true,"count":"3"}"#;
        let wire = range.encode_to_vec();
        for step in [1, 2, 7, wire.len()] {
            assert_eq!(written("etcdserverpb.RangeResponse", &wire, step).unwrap(), expected);
        }
        assert_eq!(written("etcdserverpb.RangeResponse", &[], 1).unwrap(), "{}");
    }

    #[test]
    fn of_messages_within_messages_only_a_value_is_kept() {
        let kv = KeyValue { key: "k".into(), value: vec![7; 100].into(), ..KeyValue::default() };
        let range = RangeResponse { kvs: vec![kv; 1_000], ..RangeResponse::default() };
        let response = Some(Done::ResponseRange(range));
        let inner = TxnResponse {
            responses: vec![ResponseOp { response }, ResponseOp::default()],
            ..TxnResponse::default()
        };
        let response = Some(Done::ResponseTxn(inner));
        let outer =
            TxnResponse { responses: vec![ResponseOp { response }], ..TxnResponse::default() };
        let descriptor = pool().get_message_by_name("etcdserverpb.TxnResponse").unwrap();
        let mut out = Vec::new();
        let mut incoming = Incoming::begin(descriptor, &mut out);
        for bytes in outer.encode_to_vec().chunks(50) {
            incoming.push(bytes, &mut out).unwrap();
            assert!(incoming.partial.len() < 150, "{} bytes are kept", incoming.partial.len());
        }
        incoming.end(&mut out).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let responses = &value["responses"][0]["response_txn"]["responses"];
        assert_eq!(responses[0]["response_range"]["kvs"].as_array().unwrap().len(), 1_000);
        assert_eq!(responses[1], serde_json::json!({}));
    }

    #[test]
    fn names_and_texts_are_written_as_json() {
        let alarms = AlarmResponse {
            header: None,
            alarms: vec![
                AlarmMember { member_id: 1, alarm: 1 },
                AlarmMember { member_id: 0, alarm: 99 },
            ],
        };
        let expected = r#"{"alarms":[{"memberID":"1","alarm":"NOSPACE"},{"alarm":99}]}"#;
        let wire = alarms.encode_to_vec();
        assert_eq!(written("etcdserverpb.AlarmResponse", &wire, 3).unwrap(), expected);
        let status = StatusResponse {
            version: "a\"\n\\é".to_owned(),
            errors: vec![String::new(), "b".to_owned()],
            ..StatusResponse::default()
        };
        let expected = r#"{"version":"a\"\n\\é","errors":["","b"]}"#;
        let wire = status.encode_to_vec();
        assert_eq!(written("etcdserverpb.StatusResponse", &wire, 1).unwrap(), expected);
    }

    #[test]
    fn what_is_cut_off_or_unknown_is_no_answer() {
        let wire =
            RangeResponse { header: Some(header()), ..RangeResponse::default() }.encode_to_vec();
        for end in 1..wire.len() {
            assert_eq!(
                written("etcdserverpb.RangeResponse", &wire[..end], 1),
                Err(Unreadable),
                "cut at {end}"
            );
        }
        // Field 500, and a group.
        assert!(written("etcdserverpb.RangeResponse", &[0xa0, 0x1f, 1], 1).is_err());
        assert!(written("etcdserverpb.RangeResponse", &[0x0b; 30], 1).is_err());
    }

    #[test]
    fn a_library_that_knows_the_format_writes_the_same() {
        let kv = |n: i64| KeyValue {
            key: vec![n as u8; n as usize].into(),
            create_revision: n,
            mod_revision: n << 40,
            version: -n,
            value: vec![0xfe; 300].into(),
            lease: i64::MIN,
        };
        let event = |n| Event { r#type: n as i32 % 2, kv: Some(kv(n)), prev_kv: None };
        let watch = WatchResponse {
            header: Some(header()),
            watch_id: -1,
            canceled: true,
            cancel_reason: "gone: \u{1}<&>".to_owned(),
            events: (0..5).map(event).collect(),
            ..WatchResponse::default()
        };
        let wire = watch.encode_to_vec();
        let name = "etcdserverpb.WatchResponse";
        let ours: serde_json::Value =
            serde_json::from_str(&written(name, &wire, 11).unwrap()).unwrap();
        let descriptor = pool().get_message_by_name(name).unwrap();
        let dynamic = DynamicMessage::decode(descriptor, wire.as_slice()).unwrap();
        let options = SerializeOptions::new().use_proto_field_name(true);
        let theirs =
            dynamic.serialize_with_options(serde_json::value::Serializer, &options).unwrap();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn no_answer_has_a_kind_of_field_that_cannot_be_written() {
        for field in fields(MethodDescriptor::output) {
            let name = field.full_name();
            assert!(!field.is_map(), "{name}");
            match field.kind() {
                Kind::Message(_) | Kind::String | Kind::Bytes => {}
                Kind::Int64
                | Kind::Uint64
                | Kind::Int32
                | Kind::Uint32
                | Kind::Bool
                | Kind::Enum(_) => assert!(!field.is_list(), "{name}"),
                kind => panic!("{name} is of kind {kind:?}"),
            }
        }
    }
}
