//! The sending side: one queue, one task and one stream for each peer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kvorum_core::node::{Input, Proposal};
use kvorum_proto::kvorumpb::peer_client::PeerClient;
use kvorum_proto::kvorumpb::{Frame, Hello};
use parking_lot::Mutex;
use prost::Message as _;
use raft_proto::eraftpb::Message;
use tokio::sync::mpsc;
use tokio::time;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;

use super::{PROTOCOL, frame};
use crate::identity::hex;
use crate::limits::{
    PEER_BACKOFF_MAX, PEER_BACKOFF_MIN, PEER_QUEUE_BYTES, PEER_QUEUE_MESSAGES,
};
use crate::runtime::Handle;

/// Something for a peer.
#[derive(Debug)]
pub(super) enum Outgoing {
    Raft(Message),
    Proposal(Proposal),
    /// Where a write it forwarded to us was appended: term and index.
    Result { id: u64, appended: Option<(u64, u64)> },
}

impl Outgoing {
    pub(super) fn size(&self) -> usize {
        /// Ids and lengths.
        const FRAME: usize = 16;
        FRAME
            + match self {
                Outgoing::Raft(message) => message.encoded_len(),
                Outgoing::Proposal(proposal) => proposal.entry.len(),
                Outgoing::Result { .. } => 0,
            }
    }
}

/// The way to one peer.
pub(super) struct Link {
    channel: Channel,
    sender: mpsc::Sender<(Outgoing, usize)>,
    /// Taken by the task once it starts.
    receiver: Mutex<Option<mpsc::Receiver<(Outgoing, usize)>>>,
    queued_bytes: Arc<AtomicUsize>,
}

impl Link {
    pub(super) fn new(channel: Channel) -> Link {
        let (sender, receiver) = mpsc::channel(PEER_QUEUE_MESSAGES);
        Link {
            channel,
            sender,
            receiver: Mutex::new(Some(receiver)),
            queued_bytes: Arc::default(),
        }
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Queues a message, or drops it if too much is queued: the peer is slow or away, and what
    /// it misses raft will send again.
    pub(super) fn send(&self, message: Outgoing) -> bool {
        let size = message.size();
        let queued = self.queued_bytes.fetch_add(size, Ordering::Relaxed);
        let fits = queued == 0 || queued + size <= PEER_QUEUE_BYTES;
        let sent = fits && self.sender.try_send((message, size)).is_ok();
        if !sent {
            self.queued_bytes.fetch_sub(size, Ordering::Relaxed);
        }
        sent
    }

    pub(super) fn start(&self, handle: Handle, peer: u64) {
        let Some(receiver) = self.receiver.lock().take() else { return };
        let task = Task {
            handle,
            peer,
            client: PeerClient::new(self.channel.clone()),
            receiver,
            queued_bytes: Arc::clone(&self.queued_bytes),
        };
        tokio::spawn(task.run());
    }
}

struct Task {
    handle: Handle,
    peer: u64,
    client: PeerClient<Channel>,
    receiver: mpsc::Receiver<(Outgoing, usize)>,
    queued_bytes: Arc<AtomicUsize>,
}

/// Frames handed to the stream and not yet on the wire.
const FRAMES_AHEAD: usize = 4;

impl Task {
    /// Keeps a stream open to the peer for as long as the member runs.
    async fn run(mut self) {
        let mut backoff = PEER_BACKOFF_MIN;
        let mut reported = false;
        let stop = self.handle.stop.clone();
        loop {
            let (sent, status) = tokio::select! {
                ended = self.stream() => ended,
                _ = stop.wait() => return,
            };
            self.handle.inbox.push(Input::Unreachable { peer: self.peer });
            if sent || !reported {
                let peer = hex(self.peer);
                tracing::warn!(peer_id = peer, error = %status, "no stream to a peer");
            }
            reported = !sent;
            backoff = if sent { PEER_BACKOFF_MIN } else { (backoff * 2).min(PEER_BACKOFF_MAX) };
            self.wait_and_drop(backoff).await;
        }
    }

    /// Sends until the stream breaks; says whether anything came through at all, and why it
    /// broke.
    async fn stream(&mut self) -> (bool, Status) {
        let (frames, receiver) = mpsc::channel(FRAMES_AHEAD);
        let hello = Hello {
            cluster_id: self.handle.identity.cluster_id,
            from: self.handle.identity.member_id,
            to: self.peer,
            protocol: PROTOCOL,
        };
        let _ = frames.send(Frame { hello: Some(hello), ..Frame::default() }).await;
        let mut client = self.client.clone();
        let call = client.exchange(ReceiverStream::new(receiver));
        let mut sent = false;
        let pump = async {
            let mut batch = Vec::new();
            loop {
                if self.receiver.recv_many(&mut batch, PEER_QUEUE_MESSAGES).await == 0 {
                    return;
                }
                let bytes = batch.iter().map(|(_, size)| size).sum();
                self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
                for frame in frame::pack(batch.drain(..).map(|(message, _)| message)) {
                    if frames.send(frame).await.is_err() {
                        return;
                    }
                }
                // The first frames only fill the channel; room in it means that they are taken.
                sent |= frames.capacity() == FRAMES_AHEAD;
            }
        };
        let status = tokio::select! {
            ended = call => match ended {
                Ok(_) => Status::unavailable("the peer ended the stream"),
                Err(status) => status,
            },
            () = pump => Status::unavailable("the stream is closed"),
        };
        (sent, status)
    }

    /// What is queued for a peer that cannot be reached would be stale when it can.
    async fn wait_and_drop(&mut self, backoff: Duration) {
        let _ = time::timeout(backoff, async {
            while let Some((_, size)) = self.receiver.recv().await {
                self.queued_bytes.fetch_sub(size, Ordering::Relaxed);
            }
        })
        .await;
    }
}
