//! From the JSON a client sends to the message a method takes.
//!
//! What is unknown is ignored, as etcd 3.6 does; a number may be a string, bytes may be in either
//! alphabet of base64, an enumeration a name or a number, a field named as in the protocol or in
//! camel case. Nothing at all is a message without a field set.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor};
use serde_json::Deserializer;
use tonic::Status;

/// The head of a message in gRPC's framing: whether it is compressed, and its length.
pub(super) const FRAME_HEAD_BYTES: usize = 5;

/// The first message in `json`, framed for gRPC; what comes after it is not looked at.
pub(super) fn framed(descriptor: &MessageDescriptor, json: &[u8]) -> Result<Bytes, Status> {
    let message = if json.trim_ascii().is_empty() {
        DynamicMessage::new(descriptor.clone())
    } else {
        let options = DeserializeOptions::new().deny_unknown_fields(false);
        let mut json = Deserializer::from_slice(json);
        DynamicMessage::deserialize_with_options(descriptor.clone(), &mut json, &options)
            .map_err(|error| Status::invalid_argument(error.to_string()))?
    };
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(FRAME_HEAD_BYTES + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).map_err(|_| too_large(u32::MAX as usize))?);
    message.encode(&mut frame).expect("there is room for all of it");
    Ok(frame.freeze())
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
    use kvorum_proto::etcdserverpb::{RangeRequest, TxnRequest};
    use prost_reflect::DescriptorPool;
    use tonic::Code;

    use super::*;

    fn read<T: Message + Default>(name: &str, json: &str) -> Result<T, Status> {
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        let descriptor = pool.get_message_by_name(name).unwrap();
        let frame = framed(&descriptor, json.as_bytes())?;
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
            r#"{"limit":1e30}"#,
            r#"{"keys_only":"yes"}"#,
            "[]",
            "\"key\"",
            "\u{0}",
        ];
        for json in refused {
            assert_eq!(range(json).unwrap_err().code(), Code::InvalidArgument, "{json}");
        }
        let deep: Result<TxnRequest, Status> = read("etcdserverpb.TxnRequest", &deep);
        assert_eq!(deep.unwrap_err().code(), Code::InvalidArgument);
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
