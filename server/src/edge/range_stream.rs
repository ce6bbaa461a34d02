//! A range in chunks: `RangeStream` of etcd 3.7.

use kvorum_core::store::Root;
use kvorum_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use kvorum_proto::etcdserverpb::{RangeRequest, RangeResponse, RangeStreamResponse};
use kvorum_proto::key_range::successor;
use prost::Message;
use tokio::sync::mpsc::Sender;
use tonic::Status;

use super::convert;
use super::status::{of_request, of_store};
use crate::limits::{STREAM_CHUNK_BYTES, STREAM_CHUNK_KEYS};
use crate::runtime::Handle;

pub(super) fn check(request: &RangeRequest) -> Result<(), Status> {
    let by_key = request.sort_target == SortTarget::Key as i32;
    let upwards = request.sort_order != SortOrder::Descend as i32;
    let unordered = request.sort_order == SortOrder::None as i32;
    if !((by_key && upwards) || unordered) {
        return Err(Status::unimplemented("RangeStream does not support custom sort orders"));
    }
    let bounds = [
        request.min_mod_revision,
        request.max_mod_revision,
        request.min_create_revision,
        request.max_create_revision,
    ];
    if bounds.iter().any(|bound| *bound != 0) {
        return Err(Status::unimplemented("RangeStream does not support revision filters"));
    }
    Ok(())
}

/// Reads chunk after chunk of one root and waits until each is taken; the last carries the
/// header, the count and whether there is more. Blocks.
pub(super) fn run(
    handle: &Handle,
    request: RangeRequest,
    sender: &Sender<Result<RangeStreamResponse, Status>>,
) {
    let root = handle.root();
    let mut chunks = Chunks { handle, root: &root, limit: request.limit, request, sent: 0 };
    let mut size = STREAM_CHUNK_KEYS;
    loop {
        let chunk = chunks.next(size);
        let last = chunk.as_ref().map_or(true, |(_, last)| *last);
        let response = chunk.map(|(response, _)| response);
        if let Ok(response) = &response {
            size = adapted(size, response.encoded_len());
        }
        let message =
            response.map(|response| RangeStreamResponse { range_response: Some(response) });
        if sender.blocking_send(message).is_err() || last {
            return;
        }
    }
}

struct Chunks<'a> {
    handle: &'a Handle,
    root: &'a Root,
    /// What is still to be read.
    request: RangeRequest,
    /// Of the whole answer; 0 for none.
    limit: i64,
    sent: i64,
}

impl Chunks<'_> {
    /// The next chunk of at most `size` keys, and whether it is the last.
    fn next(&mut self, size: i64) -> Result<(RangeResponse, bool), Status> {
        let left = if self.limit > 0 { self.limit - self.sent } else { i64::MAX };
        self.request.limit = size.min(left);
        let mut reply = self.root.range(&self.request).map_err(of_store)?;
        self.handle.resolve(&mut reply).map_err(of_request)?;
        let found = reply.versions.len() as i64;
        let last = !reply.more || found == left;
        if let Some(version) = reply.versions.last() {
            self.request.key = successor(&version.key);
        }
        let header = last.then(|| self.handle.header(self.root.revision()));
        let mut response = convert::range(&reply, header);
        // The first chunk's count is that of the whole range, a later one's of what was left.
        response.count = if last { reply.count + self.sent } else { 0 };
        response.more = last && reply.more;
        self.sent += found;
        Ok((response, last))
    }
}

/// Chunks near the target: twice or half as many keys when one is far off.
fn adapted(size: i64, bytes: usize) -> i64 {
    if bytes < STREAM_CHUNK_BYTES / 2 {
        size.saturating_mul(2)
    } else if bytes > STREAM_CHUNK_BYTES * 2 {
        (size / 2).max(1)
    } else {
        size
    }
}
