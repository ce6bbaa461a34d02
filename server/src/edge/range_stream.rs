//! A range in chunks: `RangeStream` of etcd 3.7.

use std::sync::Arc;
use std::time::Instant;

use kvorum_core::store::{RangeReply, Root};
use kvorum_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use kvorum_proto::etcdserverpb::{RangeRequest, RangeResponse, RangeStreamResponse};
use kvorum_proto::key_range::successor;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::task::spawn_blocking;
use tonic::Status;

use super::convert;
use super::status::{of_request, of_store};
use crate::limits::{
    LARGE_READ_MAX_AGE, LARGE_READ_SEND_TIMEOUT, STREAM_CHUNK_BYTES, STREAM_CHUNK_KEYS,
};
use crate::runtime::{Handle, RequestError};

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

/// Sends chunk after chunk of one root; the last carries the header, the count and whether there
/// is more. A chunk is read beside the thread that serves everybody, and no thread is held while
/// the client takes its time.
pub(super) async fn run(handle: Handle, root: Arc<Root>, request: RangeRequest, sender: Chunked) {
    // The root is let go by then, so the client may take this as late as it likes.
    if let Err(status) = send_all(Chunks::new(handle, root, request), &sender).await {
        let _ = sender.send(Err(status)).await;
    }
}

pub(super) type Chunked = Sender<Result<RangeStreamResponse, Status>>;

async fn send_all(mut chunks: Chunks, sender: &Chunked) -> Result<(), Status> {
    let until = Instant::now() + LARGE_READ_MAX_AGE;
    loop {
        let (rest, chunk) = spawn_blocking(move || {
            let chunk = chunks.next();
            (chunks, chunk)
        })
        .await
        .map_err(|_| of_request(RequestError::Stopped))?;
        chunks = rest;
        let (response, last) = chunk?;
        let message = RangeStreamResponse { range_response: Some(response) };
        match sender.send_timeout(Ok(message), LARGE_READ_SEND_TIMEOUT).await {
            Ok(()) if last => return Ok(()),
            Ok(()) if Instant::now() < until => {}
            Ok(()) => return Err(too_long()),
            Err(SendTimeoutError::Closed(_)) => return Ok(()),
            Err(SendTimeoutError::Timeout(_)) => return Err(unread()),
        }
    }
}

fn unread() -> Status {
    let seconds = LARGE_READ_SEND_TIMEOUT.as_secs();
    Status::aborted(format!(
        "kvorum: the client took nothing of the range for {seconds} s; read it faster, or in parts"
    ))
}

fn too_long() -> Status {
    let seconds = LARGE_READ_MAX_AGE.as_secs();
    Status::aborted(format!(
        "kvorum: the range took more than {seconds} s to send; read it faster, or in parts"
    ))
}

struct Chunks {
    handle: Handle,
    root: Arc<Root>,
    /// What is still to be read, in key order: that is how one chunk goes on where another ended.
    request: RangeRequest,
    /// Of the whole answer; 0 for none.
    limit: i64,
    /// Keys in the whole range, once the first chunk was read.
    count: Option<i64>,
    sent: i64,
    /// Keys of the next chunk, at most.
    size: i64,
}

impl Chunks {
    fn new(handle: Handle, root: Arc<Root>, request: RangeRequest) -> Chunks {
        let limit = request.limit;
        let request = RangeRequest {
            sort_order: SortOrder::None as i32,
            sort_target: SortTarget::Key as i32,
            ..request
        };
        Chunks { handle, root, request, limit, count: None, sent: 0, size: STREAM_CHUNK_KEYS }
    }

    /// The next chunk, and whether it is the last.
    fn next(&mut self) -> Result<(RangeResponse, bool), Status> {
        let left = if self.limit > 0 { self.limit - self.sent } else { i64::MAX };
        self.request.limit = self.size.min(left);
        let count = self.count()?;
        let mut reply = self.root.page(&self.request).map_err(of_store)?;
        let (fitting, bytes) = fitting(&reply);
        let cut = fitting < reply.versions.len();
        // Before values are read back, so that they are never in memory all at once.
        reply.versions.truncate(fitting);
        self.handle.resolve(&mut reply).map_err(of_request)?;
        let found = fitting as i64;
        if cut {
            self.size = found;
        } else if bytes < STREAM_CHUNK_BYTES / 2 {
            self.size = self.size.saturating_mul(2);
        }
        let last = !cut && (!reply.more || found == left);
        if let Some(version) = reply.versions.last() {
            self.request.key = successor(&version.key);
        }
        let header = last.then(|| self.handle.header(self.root.revision()));
        let mut response = convert::range(&reply, header);
        response.count = if last { count } else { 0 };
        response.more = last && reply.more;
        self.sent += found;
        Ok((response, last))
    }

    /// In the past keys are counted one by one, so that is done once.
    fn count(&mut self) -> Result<i64, Status> {
        if let Some(count) = self.count {
            return Ok(count);
        }
        let whole = RangeRequest { count_only: true, ..self.request.clone() };
        let count = self.root.range(&whole).map_err(of_store)?.count;
        Ok(*self.count.insert(count))
    }
}

/// How many of the versions found make a chunk of the target size, the last of them perhaps
/// reaching beyond it, and about how much they are.
fn fitting(reply: &RangeReply) -> (usize, usize) {
    /// Numbers and tags around key and value.
    const FRAME: usize = 32;
    let (mut count, mut bytes) = (0, 0);
    for version in &reply.versions {
        if bytes >= STREAM_CHUNK_BYTES {
            break;
        }
        let value = if reply.keys_only { 0 } else { version.value_len as usize };
        bytes += FRAME + version.key.len() + value;
        count += 1;
    }
    (count, bytes)
}
