//! From the JSON a client sends to the frames of gRPC a method takes. Nothing at all is a message
//! without a field set.

use bytes::{Bytes, BytesMut};
use prost_reflect::MessageDescriptor;
use tonic::Status;

use super::wire::{Beyond, Bounds, Wire};
use crate::edge::status::Refused;

/// The head of a message in gRPC's framing: whether it is compressed, and its length.
pub(super) const FRAME_HEAD_BYTES: usize = 5;

/// The first message in `json`, framed for gRPC; what comes after it is not looked at.
pub(super) fn framed(
    descriptor: &MessageDescriptor,
    json: &[u8],
    bounds: Bounds,
) -> Result<Bytes, Status> {
    let mut wire = Wire::after(&[0; FRAME_HEAD_BYTES], bounds);
    if !json.trim_ascii().is_empty()
        && let Err(error) = wire.write(descriptor, json)
    {
        return Err(match wire.beyond() {
            None => Status::invalid_argument(error.to_string()),
            Some(Beyond::Bytes) => too_large(bounds.bytes),
            Some(Beyond::Messages) => Refused::TooManyOps.into(),
        });
    }
    let mut frame = wire.into_bytes();
    let length = u32::try_from(frame.len() - FRAME_HEAD_BYTES);
    let length = length.map_err(|_| too_large(u32::MAX as usize))?;
    frame[1..FRAME_HEAD_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(frame.into())
}

pub(super) fn too_large(limit: usize) -> Status {
    Status::resource_exhausted(format!(
        "kvorum: the request is larger than {limit} bytes; raise --max-request-bytes, or send less"
    ))
}

/// Cuts a stream of JSON texts into one after the other, each looked at once however it arrives.
pub(super) struct Splitter {
    limit: usize,
    buffer: BytesMut,
    /// How much of the buffer has been looked at.
    seen: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Splitter {
    /// No text may be longer than `limit` bytes.
    pub(super) fn new(limit: usize) -> Splitter {
        Splitter {
            limit,
            buffer: BytesMut::new(),
            seen: 0,
            depth: 0,
            in_string: false,
            escaped: false,
        }
    }

    /// How much there is of texts that were not taken.
    pub(super) fn held(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next text, if all of it is there.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Status> {
        while let Some(byte) = self.buffer.get(self.seen).copied() {
            self.seen += 1;
            if self.ends(byte) {
                return Ok(Some(self.take()));
            }
            if self.depth == 0 {
                // A space between two texts, or the beginning of what is no object.
                if !byte.is_ascii_whitespace() {
                    let text = "a message on a stream is a JSON object";
                    return Err(Status::invalid_argument(text));
                }
                self.take();
            }
        }
        if self.seen > self.limit { Err(too_large(self.limit)) } else { Ok(None) }
    }

    /// What is left when nothing more comes is no text.
    pub(super) fn end(&self) -> Result<(), Status> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        Err(Status::invalid_argument("unexpected end of JSON"))
    }

    fn take(&mut self) -> Bytes {
        let text = self.buffer.split_to(self.seen).freeze();
        self.seen = 0;
        text
    }

    /// Whether this byte is the last of a text.
    fn ends(&mut self, byte: u8) -> bool {
        if self.escaped {
            self.escaped = false;
            return false;
        }
        match byte {
            b'\\' if self.in_string => self.escaped = true,
            b'"' if self.depth > 0 => self.in_string = !self.in_string,
            b'{' | b'[' if !self.in_string && (self.depth > 0 || byte == b'{') => self.depth += 1,
            b'}' | b']' if !self.in_string && self.depth > 0 => {
                self.depth -= 1;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use kvorum_proto::DESCRIPTORS;
    use kvorum_proto::etcdserverpb::compare::TargetUnion;
    use kvorum_proto::etcdserverpb::request_op::Request as Op;
    use kvorum_proto::etcdserverpb::{Compare, PutRequest, RangeRequest, TxnRequest};
    use prost::Message;
    use prost_reflect::{DescriptorPool, Kind, MethodDescriptor};
    use tonic::Code;

    use super::super::tests::fields;
    use super::*;

    const BOUNDS: Bounds = Bounds { bytes: 1_000, messages: 10 };

    fn read<T: Message + Default>(name: &str, json: &str) -> Result<T, Status> {
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        let descriptor = pool.get_message_by_name(name).unwrap();
        let frame = framed(&descriptor, json.as_bytes(), BOUNDS)?;
        assert_eq!(frame[0], 0);
        assert_eq!(frame[1..5], u32::to_be_bytes(frame.len() as u32 - 5));
        Ok(T::decode(&frame[5..]).unwrap())
    }

    fn range(json: &str) -> Result<RangeRequest, Status> {
        read("etcdserverpb.RangeRequest", json)
    }

    #[test]
    fn a_request_may_be_written_in_all_ways_etcd_takes() {
        let expected = RangeRequest {
            key: vec![0xfb, 0xff].into(),
            limit: 5,
            sort_order: 2,
            keys_only: true,
            ..RangeRequest::default()
        };
        for json in [
            r#"{"key":"+/8=","limit":5,"sort_order":"DESCEND","keys_only":true}"#,
            r#"{"key":"-_8=","limit":"5","sortOrder":2,"keysOnly":true}"#,
            r#" {"key":"-_8","limit":5.0,"sort_order":2,"keys_only":true,"new":{"a":[1]}} {"x"#,
        ] {
            assert_eq!(range(json).unwrap(), expected, "{json}");
        }
        for json in [
            r#"{"key":"+/\n8\r\n\n=","limit":5}"#,
            r#"{"limit":0.5e1,"key":"-\u005f9"}"#,
            r#"{"limit":"5.0","key":"-_8"}"#,
        ] {
            let got = range(json).unwrap();
            assert_eq!((got.key, got.limit), (expected.key.clone(), 5), "{json}");
        }
        let txn: TxnRequest = read(
            "etcdserverpb.TxnRequest",
            r#"{"compare":[{"key":"YQ==","version":0},{"value":null}],
                "success":[{"request_put":{}},{"requestRange":{"key":"Yg=="}},{}]}"#,
        )
        .unwrap();
        assert_eq!(txn.compare[0].target_union, Some(TargetUnion::Version(0)));
        assert_eq!(txn.compare[1], Compare::default());
        let second = RangeRequest { key: "b".into(), ..RangeRequest::default() };
        let ops =
            [Some(Op::RequestPut(PutRequest::default())), Some(Op::RequestRange(second)), None];
        assert_eq!(txn.success.into_iter().map(|op| op.request).collect::<Vec<_>>(), ops);
        // A name that an enumeration has not is as unknown as a field.
        for json in ["", " \n", "{}", r#"{"key":null}"#, r#"{"sort_order":"SIDEWAYS"}"#] {
            assert_eq!(range(json).unwrap(), RangeRequest::default(), "{json:?}");
        }
    }

    #[test]
    fn what_is_no_request_is_an_invalid_argument() {
        let deep = format!("{}{}", r#"{"success":[{"request_txn":"#.repeat(2_000), "1");
        let refused = [
            r#"{"key":"#,
            r#"{"key":"***"}"#,
            r#"{"key":5}"#,
            r#"{"limit":"abc"}"#,
            r#"{"limit":1.5}"#,
            r#"{"limit":" 5"}"#,
            r#"{"limit":"007"}"#,
            r#"{"limit":true}"#,
            r#"{"limit":9223372036854775808}"#,
            r#"{"key":"YQ"=}"#,
            r#"{"key":"-/8="}"#,
            r#"{"key":"YQ==","key":"YQ=="}"#,
            r#"{"sort_order":1,"sortOrder":1}"#,
            r#"{"limit":1e30}"#,
            r#"{"keys_only":"yes"}"#,
            "[]",
            "\"key\"",
            "\u{0}",
        ];
        for json in refused {
            assert_eq!(range(json).unwrap_err().code(), Code::InvalidArgument, "{json}");
        }
        let twice = r#"{"success":[{"request_put":{},"request_range":{}}]}"#;
        for json in [deep.as_str(), twice] {
            let read: Result<TxnRequest, Status> = read("etcdserverpb.TxnRequest", json);
            assert_eq!(read.unwrap_err().code(), Code::InvalidArgument);
        }
    }

    #[test]
    fn a_message_is_not_written_beyond_its_bounds() {
        let txn = |count: usize| {
            let json = format!(r#"{{"compare":[{}]}}"#, vec!["{}"; count].join(","));
            read::<TxnRequest>("etcdserverpb.TxnRequest", &json)
        };
        assert_eq!(txn(9).unwrap().compare.len(), 9);
        let refused = txn(10).unwrap_err();
        let expected = "etcdserver: too many operations in txn request";
        assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, expected));
        let put = |bytes: usize| {
            let json = format!(r#"{{"value":"{}"}}"#, "AAAA".repeat(bytes / 3));
            read::<PutRequest>("etcdserverpb.PutRequest", &json)
        };
        assert_eq!(put(996).unwrap().value.len(), 996);
        assert_eq!(put(999).unwrap_err().code(), Code::ResourceExhausted);
    }

    #[test]
    fn no_request_has_a_kind_of_field_that_cannot_be_read() {
        for field in fields(MethodDescriptor::input) {
            let name = field.full_name();
            assert!(!field.is_map(), "{name}");
            match field.kind() {
                Kind::Message(_)
                | Kind::String
                | Kind::Bytes
                | Kind::Int64
                | Kind::Uint64
                | Kind::Int32
                | Kind::Uint32
                | Kind::Bool
                | Kind::Enum(_) => {}
                kind => panic!("{name} is of kind {kind:?}"),
            }
        }
    }

    fn split(text: &str, step: usize) -> Result<Vec<Bytes>, Status> {
        let mut splitter = Splitter::new(64);
        let mut texts = Vec::new();
        for bytes in text.as_bytes().chunks(step) {
            splitter.push(bytes);
            while let Some(text) = splitter.next()? {
                texts.push(text);
            }
        }
        splitter.end()?;
        Ok(texts)
    }

    #[test]
    fn texts_are_told_apart_however_they_arrive() {
        let text = " {\"a\":\"}\\\"{\"}\n{\"b\":[{},\"]\\\\\"]}{} ";
        for step in 1..text.len() {
            let texts = split(text, step).unwrap();
            assert_eq!(texts, ["{\"a\":\"}\\\"{\"}", "{\"b\":[{},\"]\\\\\"]}", "{}"], "{step}");
        }
    }

    #[test]
    fn a_stream_ends_at_what_is_no_object_or_too_long() {
        for text in ["null", "[{}]", "{} 5", "\"a\"", "}", "{\"a\":", "\\{}"] {
            assert_eq!(split(text, 2).unwrap_err().code(), Code::InvalidArgument, "{text}");
        }
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(100));
        assert_eq!(split(&long, 7).unwrap_err().code(), Code::ResourceExhausted);
    }
}
