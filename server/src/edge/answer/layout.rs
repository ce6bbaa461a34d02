//! What an answer consists of, and how long it is, before its bytes exist.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kvorum_core::store::{
    Deferred, DeleteReply, OpReply, PutReply, RangeReply, TxnReply, Value, Version,
};
use kvorum_proto::etcdserverpb::{DeleteRangeResponse, RangeResponse, ResponseHeader, TxnResponse};
use prost::{Message, encode_length_delimiter, length_delimiter_len};

use super::super::convert;
use crate::limits::{CHUNK_BYTES, WHOLE_ANSWER_BYTES};

/// A message as a list of pieces that follow each other.
pub(in crate::edge) struct Layout {
    pub(super) pieces: VecDeque<Piece>,
    bytes: usize,
    /// Versions in its lists, which are there from the beginning.
    listed: usize,
    /// Versions in the longest of the ranges that are read when their turns come.
    longest: usize,
}

pub(super) enum Piece {
    Bytes(Bytes),
    Versions(Versions),
    /// A range that is read again when its turn comes, so that of all ranges of a transaction only
    /// one is listed at a time.
    Range(Deferred),
}

/// Versions that are each one element of the field with this tag.
pub(super) struct Versions {
    pub(super) list: std::vec::IntoIter<Arc<Version>>,
    pub(super) keys_only: bool,
    pub(super) tag: u8,
}

/// Field numbers of the messages, with the wire type of what has a length in front.
const RANGE_KVS: u8 = field(2);
const DELETE_PREV_KVS: u8 = field(3);
const TXN_RESPONSES: u8 = field(3);
const OP_RANGE: u8 = field(1);
const OP_PUT: u8 = field(2);
const OP_DELETE: u8 = field(3);
const OP_TXN: u8 = field(4);

const fn field(number: u8) -> u8 {
    number << 3 | 2
}

impl Layout {
    /// Of the message in bytes.
    pub(in crate::edge) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What making the message takes at a time: the list, and a chunk that is made while one waits
    /// to be taken. The versions themselves belong to the state.
    pub(super) fn held_bytes(&self) -> usize {
        (self.listed + self.longest) * size_of::<Arc<Version>>() + 2 * CHUNK_BYTES
    }

    pub(in crate::edge) fn range(reply: RangeReply, header: Option<ResponseHeader>) -> Layout {
        let (head, tail) = around_range(&reply, header);
        let mut layout = Layout::empty();
        layout.push(head);
        layout.push_versions(reply.versions, reply.keys_only, RANGE_KVS);
        layout.push(tail);
        layout
    }

    pub(in crate::edge) fn delete(reply: DeleteReply, header: Option<ResponseHeader>) -> Layout {
        let head = DeleteRangeResponse { header, deleted: reply.deleted, prev_kvs: Vec::new() };
        let mut layout = Layout::empty();
        layout.push(head.encode_to_vec());
        layout.push_versions(reply.prev, false, DELETE_PREV_KVS);
        layout
    }

    pub(in crate::edge) fn txn(reply: TxnReply, header: Option<ResponseHeader>) -> Layout {
        let head = TxnResponse { header, succeeded: reply.succeeded, responses: Vec::new() };
        let mut layout = Layout::empty();
        layout.push(head.encode_to_vec());
        for op in reply.ops {
            let (tag, inner) = match op {
                OpReply::Range(range, revision) => (OP_RANGE, Layout::deferred(range, revision)),
                OpReply::Put(put, revision) => (OP_PUT, Layout::put(&put, revision)),
                OpReply::Delete(delete, revision) => {
                    (OP_DELETE, Layout::delete(delete, convert::inner(revision)))
                }
                OpReply::Txn(txn, revision) => (OP_TXN, Layout::txn(txn, convert::inner(revision))),
            };
            let mut op = Layout::empty();
            op.nest(tag, inner);
            layout.nest(TXN_RESPONSES, op);
        }
        layout
    }

    fn deferred(range: Deferred, revision: i64) -> Layout {
        let reply = range.read();
        let (head, tail) = around_range(&reply, convert::inner(revision));
        let bytes: usize =
            reply.versions.iter().map(|version| element_bytes(version, reply.keys_only)).sum();
        let mut layout = Layout::empty();
        layout.push(head);
        layout.pieces.push_back(Piece::Range(range));
        layout.bytes += bytes;
        layout.longest = reply.versions.len();
        layout.push(tail);
        layout
    }

    fn put(reply: &PutReply, revision: i64) -> Layout {
        let mut layout = Layout::empty();
        layout.push(convert::put(reply, convert::inner(revision)).encode_to_vec());
        layout
    }

    fn empty() -> Layout {
        Layout { pieces: VecDeque::new(), bytes: 0, listed: 0, longest: 0 }
    }

    fn push(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        self.bytes += bytes.len();
        self.pieces.push_back(Piece::Bytes(bytes));
    }

    fn push_versions(&mut self, versions: Vec<Arc<Version>>, keys_only: bool, tag: u8) {
        self.bytes +=
            versions.iter().map(|version| element_bytes(version, keys_only)).sum::<usize>();
        self.listed += versions.len();
        let list = versions.into_iter();
        self.pieces.push_back(Piece::Versions(Versions { list, keys_only, tag }));
    }

    /// Appends a message as a field of this one.
    fn nest(&mut self, tag: u8, inner: Layout) {
        let mut front = BytesMut::new();
        put_length(&mut front, tag, inner.bytes);
        self.push(front);
        self.bytes += inner.bytes;
        self.listed += inner.listed;
        self.longest = self.longest.max(inner.longest);
        self.pieces.extend(inner.pieces);
    }
}

/// Whether these versions make an answer that is not to be made as a whole.
pub(in crate::edge) fn is_large(versions: &[Arc<Version>], keys_only: bool) -> bool {
    let mut bytes = 0;
    versions.iter().any(|version| {
        bytes += element_bytes(version, keys_only);
        bytes > WHOLE_ANSWER_BYTES
    })
}

impl Versions {
    /// The elements of a range that is read again.
    pub(super) fn of(reply: RangeReply) -> Versions {
        let list = reply.versions.into_iter();
        Versions { list, keys_only: reply.keys_only, tag: RANGE_KVS }
    }
}

/// Tag and length of what follows.
pub(super) fn put_length(out: &mut BytesMut, tag: u8, bytes: usize) {
    out.put_u8(tag);
    encode_length_delimiter(bytes, out).expect("the buffer grows as needed");
}

/// Bytes of the value in a version's message.
pub(super) fn value_bytes(version: &Version, keys_only: bool) -> usize {
    let without_value = keys_only || version.value == Value::Resident(Bytes::new());
    if without_value { 0 } else { version.value_len as usize }
}

/// Bytes of a version as an element of a list.
fn element_bytes(version: &Version, keys_only: bool) -> usize {
    let bytes = message_bytes(version, keys_only);
    1 + length_delimiter_len(bytes) + bytes
}

/// Bytes of a version's message, also where its value is on the disk only.
pub(super) fn message_bytes(version: &Version, keys_only: bool) -> usize {
    let value = value_bytes(version, keys_only);
    let field = if value == 0 { 0 } else { 1 + length_delimiter_len(value) + value };
    convert::key_value(version, true).encoded_len() + field
}

/// What stands in a range's answer before its keys and after them.
fn around_range(reply: &RangeReply, header: Option<ResponseHeader>) -> (Bytes, Bytes) {
    let head = RangeResponse { header, ..RangeResponse::default() };
    let tail = RangeResponse { more: reply.more, count: reply.count, ..RangeResponse::default() };
    (head.encode_to_vec().into(), tail.encode_to_vec().into())
}
