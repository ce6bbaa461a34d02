//! `Maintenance.Snapshot`: the whole state as a file of bbolt, with its SHA-256 behind it.
//!
//! One root is gone over twice, to measure and to send, so what is sent is the state at one entry
//! of the log however long it takes, and no more of it is in memory than a page and a message. The
//! work has a thread of its own, since it waits for its client.

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvorum_core::store::{Root, Version};
use kvorum_proto::etcdserverpb::SnapshotResponse;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle as Context;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::mpsc::{self, Sender};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::status::of_request;
use crate::etcd::bolt::{BuildError, Builder, Layout, Sink};
use crate::etcd::schema;
use crate::limits::{SNAPSHOT_CHUNK_BYTES, SNAPSHOT_MAX_AGE};
use crate::runtime::{Handle, RequestError};
use crate::version::CLUSTER_VERSION;

pub(super) type Responses = ReceiverStream<Result<SnapshotResponse, Status>>;

/// Begins to send the state that this member has now.
pub(super) fn open(handle: &Handle) -> Result<Responses, Status> {
    let permit = handle.sent_snapshots.clone().try_acquire_owned().map_err(|_| busy())?;
    // One message is made while the one before is sent.
    let (sender, receiver) = mpsc::channel(1);
    let handle = handle.clone();
    let context = Context::current();
    let work = move || {
        run(&handle, &context, sender);
        drop(permit);
    };
    let named = thread::Builder::new().name("kvorum-snapshot".to_owned());
    named.spawn(work).map_err(|error| {
        Status::resource_exhausted(format!("kvorum: cannot make a thread for a snapshot: {error}"))
    })?;
    Ok(ReceiverStream::new(receiver))
}

fn run(handle: &Handle, context: &Context, sender: Client) {
    let ending = sender.clone();
    match send(handle, context, sender) {
        Ok(()) | Err(Ended::Gone) => {}
        Err(Ended::Failed(status)) => {
            tracing::warn!(reason = status.message(), "a snapshot was not sent to its end");
            // The state is let go by then. A client that takes nothing will not take this either,
            // and learns from the end of the stream that something is missing.
            let told = ending.send_timeout(Err(status), handle.limits.snapshot_stall_timeout);
            let _ = context.block_on(told);
        }
    }
}

type Client = Sender<Result<SnapshotResponse, Status>>;

/// Why no more is sent.
enum Ended {
    /// The client went away.
    Gone,
    Failed(Status),
}

impl From<BuildError> for Ended {
    fn from(error: BuildError) -> Ended {
        Ended::Failed(Status::internal(format!("kvorum: cannot make a snapshot: {error}")))
    }
}

impl From<RequestError> for Ended {
    fn from(error: RequestError) -> Ended {
        Ended::Failed(of_request(error))
    }
}

fn send(handle: &Handle, context: &Context, sender: Client) -> Result<(), Ended> {
    let until = Instant::now() + SNAPSHOT_MAX_AGE;
    let root = handle.root();
    let layout = measure(&root)?;
    tracing::info!(
        total_bytes = layout.file_bytes(),
        revision = root.revision(),
        storage_version = CLUSTER_VERSION,
        "sending database snapshot to client"
    );
    let remaining = layout.file_bytes();
    let outgoing = Outgoing {
        context,
        sender,
        until,
        stall: handle.limits.snapshot_stall_timeout,
        gathered: Vec::with_capacity(SNAPSHOT_CHUNK_BYTES),
        remaining,
        hasher: Sha256::new(),
    };
    let mut builder = Builder::write(outgoing, layout)?;
    schema::write(&root, &mut builder, |version: &Version| Ok(handle.value(version)?))?;
    let (_, mut outgoing) = builder.finish()?;
    if !outgoing.gathered.is_empty() {
        outgoing.send_gathered()?;
    }
    let hash = std::mem::take(&mut outgoing.hasher).finalize();
    outgoing.send(Bytes::copy_from_slice(&hash))?;
    tracing::info!(
        total_bytes = layout.file_bytes(),
        "successfully sent database snapshot to client"
    );
    Ok(())
}

fn measure(root: &Root) -> Result<Layout, BuildError> {
    let mut builder = Builder::measure();
    schema::write(root, &mut builder, |_| Ok(Bytes::new()))?;
    Ok(builder.finish()?.0)
}

/// The file on its way, cut into messages.
struct Outgoing<'a> {
    context: &'a Context,
    sender: Client,
    until: Instant,
    /// How long a message may wait for the client.
    stall: Duration,
    gathered: Vec<u8>,
    /// Bytes of the file that are not sent yet; the hash is none of them.
    remaining: u64,
    hasher: Sha256,
}

impl Sink for Outgoing<'_> {
    type Error = Ended;
    const WRITES: bool = true;

    fn put(&mut self, bytes: Vec<u8>) -> Result<(), Ended> {
        self.hasher.update(&bytes);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let room = SNAPSHOT_CHUNK_BYTES - self.gathered.len();
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.gathered.extend_from_slice(now);
            if self.gathered.len() == SNAPSHOT_CHUNK_BYTES {
                self.send_gathered()?;
            }
            rest = later;
        }
        Ok(())
    }
}

impl Outgoing<'_> {
    fn send_gathered(&mut self) -> Result<(), Ended> {
        let full = Vec::with_capacity(SNAPSHOT_CHUNK_BYTES);
        let blob = std::mem::replace(&mut self.gathered, full);
        self.remaining = self.remaining.saturating_sub(blob.len() as u64);
        self.send(blob.into())
    }

    fn send(&self, blob: Bytes) -> Result<(), Ended> {
        let response = SnapshotResponse {
            header: None,
            remaining_bytes: self.remaining,
            blob,
            version: CLUSTER_VERSION.to_owned(),
        };
        if Instant::now() > self.until {
            return Err(too_long());
        }
        let sent = self.sender.send_timeout(Ok(response), self.stall);
        match self.context.block_on(sent) {
            Ok(()) => Ok(()),
            Err(SendTimeoutError::Closed(_)) => Err(Ended::Gone),
            Err(SendTimeoutError::Timeout(_)) => Err(unread(self.stall)),
        }
    }
}

fn busy() -> Status {
    Status::resource_exhausted(
        "kvorum: this member is sending as many snapshots as it can; try again when one is done",
    )
}

fn unread(stall: Duration) -> Ended {
    let seconds = stall.as_secs();
    Ended::Failed(Status::aborted(format!(
        "kvorum: the client took nothing of the snapshot for {seconds} s"
    )))
}

fn too_long() -> Ended {
    let minutes = SNAPSHOT_MAX_AGE.as_secs() / 60;
    Ended::Failed(Status::aborted(format!(
        "kvorum: the snapshot took more than {minutes} min to send"
    )))
}
