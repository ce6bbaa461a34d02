//! What an answer consists of, and how long it is, before its bytes exist.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kvorum_core::store::{
    Deferred, DeleteReply, OpReply, Pin, PutReply, RangeReply, TxnReply, Value, Version,
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
    /// Values that are not resident, of the next versions that have such; read back some at a time.
    pub(super) values: VecDeque<Bytes>,
    /// Keeps those values from being compacted.
    _pin: Option<Pin>,
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

    /// What there is of the message already. The versions themselves belong to the state.
    pub(super) fn listed_bytes(&self) -> usize {
        self.listed * size_of::<Arc<Version>>() + self.pieces.len() * size_of::<Piece>()
    }

    /// What making the message takes at a time: the lists, and a chunk that is made, of values that
    /// were read back, while one waits to be taken.
    pub(super) fn held_bytes(&self) -> usize {
        self.listed_bytes() + self.longest * size_of::<Arc<Version>>() + 3 * CHUNK_BYTES
    }

    /// Of a range whose order is made.
    pub(in crate::edge) fn range(reply: RangeReply, header: Option<ResponseHeader>) -> Layout {
        let (head, tail) = around_range(&reply, header);
        let mut layout = Layout::empty();
        layout.push(head);
        layout.push_versions(Versions::of(reply));
        layout.push(tail);
        layout
    }

    pub(in crate::edge) fn delete(reply: &DeleteReply, header: Option<ResponseHeader>) -> Layout {
        let head = DeleteRangeResponse { header, deleted: reply.deleted, prev_kvs: Vec::new() };
        let mut layout = Layout::empty();
        layout.push(head.encode_to_vec());
        layout.push_versions(Versions::deleted(reply));
        layout
    }

    /// Its ranges are read by `read`, in the order that was asked for: what is cut from a range is
    /// known only then.
    pub(in crate::edge) fn txn<E>(
        reply: &TxnReply,
        header: Option<ResponseHeader>,
        read: &impl Fn(&Deferred) -> Result<RangeReply, E>,
    ) -> Result<Layout, E> {
        let head = TxnResponse { header, succeeded: reply.succeeded, responses: Vec::new() };
        let mut layout = Layout::empty();
        layout.push(head.encode_to_vec());
        for op in &reply.ops {
            let (tag, inner) = match op {
                OpReply::Range(range, revision) => {
                    (OP_RANGE, Layout::deferred(range, &read(range)?, *revision))
                }
                OpReply::Put(put, revision) => (OP_PUT, Layout::put(put, *revision)),
                OpReply::Delete(delete, revision) => {
                    (OP_DELETE, Layout::delete(delete, convert::inner(*revision)))
                }
                OpReply::Txn(txn, revision) => {
                    (OP_TXN, Layout::txn(txn, convert::inner(*revision), read)?)
                }
            };
            let mut op = Layout::empty();
            op.nest(tag, inner);
            layout.nest(TXN_RESPONSES, op);
        }
        Ok(layout)
    }

    fn deferred(range: &Deferred, reply: &RangeReply, revision: i64) -> Layout {
        let (head, tail) = around_range(reply, convert::inner(revision));
        let mut layout = Layout::empty();
        layout.push(head);
        if !reply.versions.is_empty() {
            layout.bytes += elements_bytes(&reply.versions, reply.keys_only);
            layout.longest = reply.versions.len();
            layout.pieces.push_back(Piece::Range(range.clone()));
        }
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

    fn push_versions(&mut self, versions: Versions) {
        let list = versions.list.as_slice();
        self.bytes += elements_bytes(list, versions.keys_only);
        self.listed += list.len();
        self.pieces.push_back(Piece::Versions(versions));
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
    /// The elements of a range.
    pub(super) fn of(reply: RangeReply) -> Versions {
        let RangeReply { versions, keys_only, pin, .. } = reply;
        let (list, values) = (versions.into_iter(), VecDeque::new());
        Versions { list, keys_only, tag: RANGE_KVS, values, _pin: pin }
    }

    /// The previous values of a deletion, which are all resident.
    fn deleted(reply: &DeleteReply) -> Versions {
        let (list, values) = (reply.prev.clone().into_iter(), VecDeque::new());
        Versions { list, keys_only: false, tag: DELETE_PREV_KVS, values, _pin: None }
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

fn elements_bytes(versions: &[Arc<Version>], keys_only: bool) -> usize {
    versions.iter().map(|version| element_bytes(version, keys_only)).sum()
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
