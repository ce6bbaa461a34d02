//! The leader's whole state on its way to a member that is too far behind for entries.
//!
//! The sender reads the records of an immutable root, one after the other, and waits for the
//! receiver; nothing else waits for either. The receiver writes them to a file of their own, and
//! raft hears of the snapshot only when that is complete, is what the sender said it would be, and
//! is durable.

use bytes::Bytes;
use kvorum_core::node::Input;
use kvorum_core::store::{Position, StateHash, Table};
use kvorum_proto::kvorumpb::peer_client::PeerClient;
use kvorum_proto::kvorumpb::{Hello, Record, SnapshotChunk, SnapshotHead};
use prost::Message as _;
use raft_proto::eraftpb::{Message, MessageType};
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::PROTOCOL;
use crate::identity::hex;
use crate::limits::{
    MAX_SNAPSHOT_CHUNK_BYTES, PEER_FRAME_BYTES, SNAPSHOT_MAX_AGE, SNAPSHOT_STALL_TIMEOUT,
};
use crate::runtime::{Handle, Held};
use crate::storage::StorageError;
use crate::storage::backend::RECORD_BYTES;
use crate::storage::snapshot::{Incoming, Received};

/// Chunks read and not yet sent, or received and not yet written: the next is made while one is
/// on its way.
const CHUNKS_AHEAD: usize = 2;

/// Sends a state that was held for a peer, and tells the node how that went.
pub(super) async fn send(handle: Handle, message: Message, held: Held) {
    let (to, term) = (message.to, message.term);
    let peer_id = hex(to);
    let index = held.position.index;
    tracing::info!(peer_id, index, "sending a snapshot to a peer");
    let sent = timeout(SNAPSHOT_MAX_AGE, transfer(&handle, message, held));
    let ok = match sent.await {
        Ok(Ok(())) => {
            tracing::info!(peer_id, index, "a peer has the snapshot");
            true
        }
        Ok(Err(status)) => {
            let error = status.message();
            tracing::warn!(peer_id, index, error, "a snapshot did not reach a peer");
            false
        }
        Err(_) => {
            tracing::warn!(peer_id, index, "a snapshot took too long to send");
            false
        }
    };
    handle.inbox.push(Input::SnapshotSent { to, term, index, ok });
}

async fn transfer(handle: &Handle, message: Message, held: Held) -> Result<(), Status> {
    let Some(channel) = handle.peers.channel(message.to) else {
        return Err(Status::not_found("the peer has no address"));
    };
    let hello = Hello {
        cluster_id: handle.identity.cluster_id,
        from: handle.identity.member_id,
        to: message.to,
        protocol: PROTOCOL,
        incarnation: handle.identity.incarnation,
    };
    let head = SnapshotHead {
        hello: Some(hello),
        raft: message.encode_to_vec().into(),
        state_hash: Bytes::copy_from_slice(&held.position.hash.to_bytes()),
    };
    let (chunks, receiver) = mpsc::channel(CHUNKS_AHEAD);
    let handle = handle.clone();
    let produce = spawn_blocking(move || produce(&handle, head, &held, &Outlet::new(chunks)));
    let call = PeerClient::new(channel).snapshot(ReceiverStream::new(receiver)).await;
    let produced = produce.await.map_err(|_| Status::internal("reading the state failed"))?;
    // The receiver's word is the better reason, where there is one.
    call?;
    produced
}

/// Reads the state and hands it over in chunks; blocks on the disk and on the receiver.
fn produce(handle: &Handle, head: SnapshotHead, held: &Held, out: &Outlet) -> Result<(), Status> {
    out.send(SnapshotChunk { head: Some(head), ..SnapshotChunk::default() })?;
    let mut chunk = SnapshotChunk::default();
    let mut bytes = 0;
    for change in held.root.export() {
        let change = change
            .resolve(|version| handle.value(version))
            .map_err(|error| Status::internal(format!("a value cannot be read back: {error}")))?;
        let (table, key, value) = change.encode();
        let Some(value) = value else { continue };
        let record = Record { table: table_number(table), key, value };
        bytes += record_bytes(&record);
        chunk.records.push(record);
        if bytes >= PEER_FRAME_BYTES {
            out.send(std::mem::take(&mut chunk))?;
            bytes = 0;
        }
    }
    chunk.end = true;
    out.send(chunk)
}

/// Where chunks go, from a thread that may block.
struct Outlet {
    chunks: mpsc::Sender<SnapshotChunk>,
    context: runtime::Handle,
}

impl Outlet {
    fn new(chunks: mpsc::Sender<SnapshotChunk>) -> Outlet {
        Outlet { chunks, context: runtime::Handle::current() }
    }

    fn send(&self, chunk: SnapshotChunk) -> Result<(), Status> {
        let sent = self.context.block_on(timeout(SNAPSHOT_STALL_TIMEOUT, self.chunks.send(chunk)));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Status::unavailable("the receiver is gone")),
            Err(_) => Err(Status::deadline_exceeded("the receiver takes nothing")),
        }
    }
}

/// What the head of a snapshot announces, checked as far as the node does not.
pub(super) struct Announced {
    pub(super) message: Message,
    pub(super) position: Position,
}

impl Announced {
    pub(super) fn parse(head: SnapshotHead, from: u64, to: u64) -> Result<Announced, Status> {
        let message = Message::decode(head.raft)
            .map_err(|_| Status::invalid_argument("error unmarshalling raft message"))?;
        if message.from != from || message.to != to {
            return Err(Status::failed_precondition("to field mismatch"));
        }
        let metadata = message.snapshot.as_ref().and_then(|snapshot| snapshot.metadata.clone());
        let (Some(metadata), MessageType::MsgSnapshot) = (metadata, message.get_msg_type()) else {
            return Err(Status::invalid_argument("the message announces no snapshot"));
        };
        let hash = head.state_hash[..].try_into();
        let hash = hash.map_err(|_| Status::invalid_argument("the state's hash is missing"))?;
        let position = Position {
            index: metadata.index,
            term: metadata.term,
            conf_state: metadata.conf_state.unwrap_or_default(),
            hash: StateHash::from_bytes(hash),
        };
        Ok(Announced { message, position })
    }
}

/// Takes in the state that `announced` describes; nothing is left of it if this fails.
pub(super) async fn receive(
    handle: &Handle,
    announced: Announced,
    mut chunks: Streaming<SnapshotChunk>,
) -> Result<(), Status> {
    let Announced { message, position } = announced;
    let Some(place) = handle.incoming.reserve() else {
        return Err(Status::unavailable("another snapshot is being received or put in place"));
    };
    let (records, queue) = mpsc::channel(CHUNKS_AHEAD);
    let receiver = handle.clone();
    let write = spawn_blocking(move || {
        // The place stays taken for as long as the file may be written to.
        place.fill(write(&receiver, position, queue)?);
        receiver.inbox.push(Input::Raft(message));
        Ok::<(), Refused>(())
    });
    let mut broken = None;
    loop {
        match timeout(SNAPSHOT_STALL_TIMEOUT, chunks.message()).await {
            Ok(Ok(Some(chunk))) if chunk_bytes(&chunk) > MAX_SNAPSHOT_CHUNK_BYTES => {
                broken = Some(Status::invalid_argument("a chunk of the snapshot is too large"));
                break;
            }
            Ok(Ok(Some(chunk))) => {
                let end = chunk.end;
                if records.send(chunk).await.is_err() || end {
                    break;
                }
            }
            Ok(Ok(None)) => break,
            Ok(Err(status)) => {
                broken = Some(status);
                break;
            }
            Err(_) => {
                broken = Some(Status::deadline_exceeded("the sender sends nothing"));
                break;
            }
        }
    }
    drop(records);
    let written = write.await.map_err(|_| Status::internal("writing the snapshot failed"))?;
    if let Some(status) = broken {
        return Err(status);
    }
    written.map_err(|refused| refused.status(handle))
}

/// Writes down what comes, until the end was announced and the state is found complete.
fn write(
    handle: &Handle,
    position: Position,
    mut chunks: mpsc::Receiver<SnapshotChunk>,
) -> Result<Received, Refused> {
    let dir = handle.incoming.dir().clone();
    let mut incoming = Incoming::begin(dir, handle.identity, position)?;
    match take(&mut incoming, &mut chunks) {
        Ok(()) => Ok(incoming.finish()?),
        Err(refused) => {
            incoming.abandon();
            Err(refused)
        }
    }
}

fn take(
    incoming: &mut Incoming,
    chunks: &mut mpsc::Receiver<SnapshotChunk>,
) -> Result<(), Refused> {
    let mut ended = false;
    while let Some(chunk) = chunks.blocking_recv() {
        for Record { table, key, value } in chunk.records {
            incoming.take(table_of(table).ok_or(Refused::Table(table))?, key, value)?;
        }
        ended |= chunk.end;
    }
    if ended { Ok(()) } else { Err(Refused::Broken) }
}

/// About what a chunk takes in memory.
fn chunk_bytes(chunk: &SnapshotChunk) -> usize {
    chunk.records.iter().map(record_bytes).sum()
}

fn record_bytes(record: &Record) -> usize {
    RECORD_BYTES + record.key.len() + record.value.len()
}

/// Why a state is not taken.
enum Refused {
    Storage(StorageError),
    Table(u32),
    /// The sender went away.
    Broken,
}

impl From<StorageError> for Refused {
    fn from(error: StorageError) -> Refused {
        Refused::Storage(error)
    }
}

impl Refused {
    fn status(self, handle: &Handle) -> Status {
        let local_member_id = hex(handle.identity.member_id);
        match self {
            Refused::Storage(error) => {
                tracing::warn!(local_member_id, error = %error, "a snapshot could not be received");
                Status::internal(format!("the snapshot cannot be received: {error}"))
            }
            Refused::Table(number) => {
                Status::failed_precondition(format!("incompatible version: table {number}"))
            }
            Refused::Broken => Status::unavailable("the stream ended early"),
        }
    }
}

/// The numbers are part of the protocol.
fn table_number(table: Table) -> u32 {
    match table {
        Table::Versions => 1,
        Table::Leases => 2,
        Table::Members => 3,
        Table::Alarms => 4,
        Table::Meta => 5,
        Table::Users => 6,
        Table::Roles => 7,
    }
}

fn table_of(number: u32) -> Option<Table> {
    let tables = [
        Table::Versions,
        Table::Leases,
        Table::Members,
        Table::Alarms,
        Table::Meta,
        Table::Users,
        Table::Roles,
    ];
    tables.into_iter().find(|table| table_number(*table) == number)
}
