//! `Maintenance.Snapshot`: the whole state as a file of bbolt, with its SHA-256 behind it.
//!
//! One root is gone over twice, to measure and to send, so what is sent is the state at one entry
//! of the log however long it takes, and no more of it is in memory than a page and a message. The
//! work has a thread of its own, since it waits for its client, and a clock of its own, since the
//! member may stop meanwhile.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvorum_core::store::{Root, Version};
use kvorum_proto::etcdserverpb::SnapshotResponse;
use sha2::{Digest, Sha256};
use tokio::runtime::{Builder as RuntimeBuilder, Runtime};
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::mpsc::{self, Sender};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::status::of_request;
use crate::etcd::bolt::{BuildError, Builder, Layout, Sink};
use crate::etcd::schema;
use crate::limits::{SNAPSHOT_CHUNK_BYTES, SNAPSHOT_CLIENT_GRACE, SNAPSHOT_CLIENT_RATE_MIN};
use crate::runtime::{Handle, RequestError};
use crate::version::CLUSTER_VERSION;

pub(super) type Responses = ReceiverStream<Result<SnapshotResponse, Status>>;

/// Begins to send the state that this member has now.
pub(super) fn open(handle: &Handle) -> Result<Responses, Status> {
    let permit = handle.sent_snapshots.clone().try_acquire_owned().map_err(|_| busy())?;
    // One message is made while the one before is sent.
    let (sender, receiver) = mpsc::channel(1);
    let handle = handle.clone();
    let work = move || {
        match RuntimeBuilder::new_current_thread().enable_time().build() {
            Ok(clock) => run(&handle, &clock, sender),
            // The first message, so there is room for it.
            Err(error) => drop(sender.blocking_send(Err(no_means(&error)))),
        }
        drop(permit);
    };
    let named = thread::Builder::new().name("kvorum-snapshot".to_owned());
    named.spawn(work).map_err(|error| no_means(&error))?;
    Ok(ReceiverStream::new(receiver))
}

fn run(handle: &Handle, clock: &Runtime, sender: Client) {
    let ending = sender.clone();
    match send(handle, clock, sender) {
        Ok(()) | Err(Ended::Gone) => {}
        Err(Ended::Failed(status)) => {
            tracing::warn!(reason = status.message(), "a snapshot was not sent to its end");
            // The state is let go by then. A client that takes nothing will not take this either,
            // and learns from the end of the stream that something is missing.
            let told = ending.send_timeout(Err(status), handle.limits.snapshot_stall_timeout);
            let _ = clock.block_on(told);
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

fn send(handle: &Handle, clock: &Runtime, sender: Client) -> Result<(), Ended> {
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
        clock,
        sender,
        until: Instant::now() + time_for(remaining),
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
    clock: &'a Runtime,
    sender: Client,
    /// When it has taken too long on the whole.
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
        match self.clock.block_on(sent) {
            Ok(()) => Ok(()),
            Err(SendTimeoutError::Closed(_)) => Err(Ended::Gone),
            Err(SendTimeoutError::Timeout(_)) => Err(unread(self.stall)),
        }
    }
}

/// How long a client may take for a file of so many bytes.
fn time_for(bytes: u64) -> Duration {
    SNAPSHOT_CLIENT_GRACE + Duration::from_secs(bytes / SNAPSHOT_CLIENT_RATE_MIN)
}

fn no_means(error: &io::Error) -> Status {
    Status::resource_exhausted(format!("kvorum: cannot make a thread for a snapshot: {error}"))
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
    let rate = SNAPSHOT_CLIENT_RATE_MIN / 1024;
    Ended::Failed(Status::aborted(format!(
        "kvorum: the client took the snapshot at less than {rate} KiB/s"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_snapshot_over_a_slow_line_has_the_time_it_takes() {
        let bytes = 8 << 30;
        let line = 2_000_000 / 8;
        assert!(time_for(bytes) > Duration::from_secs(bytes / line) * 9 / 10);
        assert!(time_for(0) >= Duration::from_secs(60));
        // Not for ever.
        assert!(time_for(bytes) < Duration::from_secs(24 * 60 * 60));
    }
}
