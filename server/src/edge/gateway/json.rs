//! A message on the wire, written as JSON while it arrives.
//!
//! The form is that of etcd's gateway: names as in the protocol, 64-bit numbers as strings, bytes
//! in base64, enumerations by name, nothing that has its default. What is kept is one field of
//! the outermost message at a time, so an answer of many keys is never held a second time.
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
    descriptor: MessageDescriptor,
    object: Object,
    partial: BytesMut,
}

impl Incoming {
    pub(super) fn begin(descriptor: MessageDescriptor, out: &mut Vec<u8>) -> Incoming {
        Incoming { descriptor, object: Object::begin(out), partial: BytesMut::new() }
    }

    /// Writes every field that is complete.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        self.partial.extend_from_slice(bytes);
        while let Some((record, length)) = Record::first(&self.partial)? {
            self.object.write(&self.descriptor, &record, out)?;
            self.partial.advance(length);
        }
        Ok(())
    }

    pub(super) fn end(self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        self.object.end(out);
        if self.partial.is_empty() { Ok(()) } else { Err(Unreadable) }
    }
}

/// One field as the wire has it.
struct Record<'a> {
    number: u32,
    payload: Payload<'a>,
}

enum Payload<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
}

impl Record<'_> {
    /// The field at the beginning of `bytes` and the length it takes, if all of it is there.
    fn first(bytes: &[u8]) -> Result<Option<(Record<'_>, usize)>, Unreadable> {
        /// A key and a length, or a key and a number, take no more.
        const LONGEST_HEAD: usize = 20;
        let mut rest = bytes;
        let head = decode_key(&mut rest).and_then(|key| Ok((key, decode_varint(&mut rest)?)));
        let Ok(((number, wire_type), value)) = head else {
            return if bytes.len() < LONGEST_HEAD { Ok(None) } else { Err(Unreadable) };
        };
        let head = bytes.len() - rest.len();
        match wire_type {
            WireType::Varint => {
                Ok(Some((Record { number, payload: Payload::Varint(value) }, head)))
            }
            WireType::LengthDelimited => {
                let length = usize::try_from(value).map_err(|_| Unreadable)?;
                let payload = rest.get(..length);
                Ok(payload.map(|payload| {
                    (Record { number, payload: Payload::Bytes(payload) }, head + length)
                }))
            }
            _ => Err(Unreadable),
        }
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

    fn write(
        &mut self,
        descriptor: &MessageDescriptor,
        record: &Record<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let field = descriptor.get_field(record.number).ok_or(Unreadable)?;
        if self.list == Some(record.number) {
            out.push(b',');
            return value(&field, &record.payload, out);
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
            self.list = Some(record.number);
        }
        value(&field, &record.payload, out)
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

fn value(
    field: &FieldDescriptor,
    payload: &Payload<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Unreadable> {
    match (field.kind(), payload) {
        (Kind::Int64, Payload::Varint(value)) => quoted(&(*value as i64).to_string(), out),
        (Kind::Uint64, Payload::Varint(value)) => quoted(&value.to_string(), out),
        (Kind::Int32, Payload::Varint(value)) => text(&(*value as i32).to_string(), out),
        (Kind::Uint32, Payload::Varint(value)) => text(&(*value as u32).to_string(), out),
        (Kind::Bool, Payload::Varint(value)) => {
            text(if *value != 0 { "true" } else { "false" }, out);
        }
        (Kind::Enum(kind), Payload::Varint(value)) => match kind.get_value(*value as i32) {
            Some(named) => quoted(named.name(), out),
            None => text(&(*value as i32).to_string(), out),
        },
        (Kind::String, Payload::Bytes(bytes)) => {
            string(std::str::from_utf8(bytes).map_err(|_| Unreadable)?, out);
        }
        (Kind::Bytes, Payload::Bytes(bytes)) => base64(bytes, out),
        (Kind::Message(descriptor), Payload::Bytes(bytes)) => {
            return message(&descriptor, bytes, out);
        }
        _ => return Err(Unreadable),
    }
    Ok(())
}

fn message(
    descriptor: &MessageDescriptor,
    mut bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Unreadable> {
    let mut object = Object::begin(out);
    while !bytes.is_empty() {
        let (record, length) = Record::first(bytes)?.ok_or(Unreadable)?;
        object.write(descriptor, &record, out)?;
        bytes = &bytes[length..];
    }
    object.end(out);
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
    use std::collections::HashSet;

    use kvorum_proto::DESCRIPTORS;
    use kvorum_proto::etcdserverpb::{
        AlarmMember, AlarmResponse, RangeResponse, ResponseHeader, StatusResponse, WatchResponse,
    };
    use kvorum_proto::mvccpb::{Event, KeyValue};
    use prost::Message;
    use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

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
        let mut seen = HashSet::new();
        let mut left: Vec<MessageDescriptor> = pool()
            .services()
            .flat_map(|service| service.methods().map(|m| m.output()).collect::<Vec<_>>())
            .collect();
        while let Some(message) = left.pop() {
            if !seen.insert(message.full_name().to_owned()) {
                continue;
            }
            for field in message.fields() {
                let name = field.full_name().to_owned();
                assert!(!field.is_map(), "{name}");
                match field.kind() {
                    Kind::Message(message) => left.push(message),
                    Kind::String | Kind::Bytes => {}
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
}
