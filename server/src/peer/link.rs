//! The sending side: one queue, one task and one stream for each peer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use kvorum_core::divergence::Mark;
use kvorum_core::node::{Input, Proposal};
use kvorum_proto::kvorumpb::peer_client::PeerClient;
use kvorum_proto::kvorumpb::{Frame, Hello};
use parking_lot::Mutex;
use prost::Message as _;
use raft_proto::eraftpb::Message;
use tokio::sync::mpsc;
use tokio::time;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::transport::Channel;

use super::route::Route;
use super::{PROTOCOL, frame};
use crate::identity::hex;
use crate::limits::{
    PEER_BACKOFF_MAX, PEER_BACKOFF_MIN, PEER_CONNECT_TIMEOUT, PEER_QUEUE_BYTES, PEER_QUEUE_MESSAGES,
};
use crate::runtime::Handle;

/// Something for a peer.
#[derive(Debug)]
pub(super) enum Outgoing {
    Raft(Box<Message>),
    Proposal(Proposal),
    /// Where a write it forwarded to us was appended: term and index.
    Result {
        id: u64,
        appended: Option<(u64, u64)>,
    },
    /// What the state here was.
    Marks(Vec<Mark>),
    /// Where does the leader's log end? Ours, up to `last`, is not complete.
    AskBound {
        nonce: u64,
        last: u64,
    },
    /// In this term it ends at this index.
    TellBound {
        nonce: u64,
        bound: (u64, u64),
    },
}

impl Outgoing {
    pub(super) fn size(&self) -> usize {
        /// Ids and lengths.
        const FRAME: usize = 16;
        FRAME
            + match self {
                Outgoing::Raft(message) => message.encoded_len(),
                Outgoing::Proposal(proposal) => proposal.entry.len(),
                Outgoing::Result { .. }
                | Outgoing::AskBound { .. }
                | Outgoing::TellBound { .. } => 0,
                Outgoing::Marks(marks) => marks.len() * FRAME * 2,
            }
    }
}

/// The way to one peer.
pub(super) struct Link {
    route: Route,
    /// For calls that are answered; dials when it is used.
    channel: Channel,
    queue: mpsc::Sender<(Outgoing, usize)>,
    /// Taken by the task once it starts.
    queued: Mutex<Option<mpsc::Receiver<(Outgoing, usize)>>>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// There is a stream to the peer, as far as we know.
    open: AtomicBool,
    queued_bytes: AtomicUsize,
}

impl Link {
    /// Needs a runtime's context.
    pub(super) fn new(route: Route) -> Link {
        let (queue, queued) = mpsc::channel(PEER_QUEUE_MESSAGES);
        let channel = route.channel();
        Link { route, channel, queue, queued: Mutex::new(Some(queued)), state: Arc::default() }
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Queues a message; or says that it surely will not arrive, because there is no stream, or
    /// too much is queued: the peer is slow or away, and what it misses raft will send again.
    pub(super) fn send(&self, message: Outgoing) -> bool {
        if !self.state.open.load(Ordering::Acquire) {
            return false;
        }
        let size = message.size();
        let queued = self.state.queued_bytes.fetch_add(size, Ordering::Relaxed);
        let fits = queued == 0 || queued + size <= PEER_QUEUE_BYTES;
        let sent = fits && self.queue.try_send((message, size)).is_ok();
        if !sent {
            self.state.queued_bytes.fetch_sub(size, Ordering::Relaxed);
        }
        sent
    }

    pub(super) fn start(&self, handle: Handle, peer: u64) {
        let Some(queued) = self.queued.lock().take() else { return };
        let state = Arc::clone(&self.state);
        let route = self.route.clone();
        tokio::spawn(Task { handle, peer, route, queued, state }.run());
    }
}

struct Task {
    handle: Handle,
    peer: u64,
    route: Route,
    queued: mpsc::Receiver<(Outgoing, usize)>,
    state: Arc<State>,
}

/// Frames handed to the stream and not yet on the wire: enough that the next one is made while one
/// is sent, few because what is here can no longer be dropped.
const FRAMES_AHEAD: usize = 4;

impl Task {
    /// Keeps a stream open to the peer for as long as the member runs.
    async fn run(mut self) {
        let stop = self.handle.stop.clone();
        let keep = async {
            let mut backoff = PEER_BACKOFF_MIN;
            let mut reported = false;
            loop {
                let began = Instant::now();
                let reason = match self.route.connect().await {
                    Ok(channel) => self.stream(channel).await,
                    Err(error) => causes(&error),
                };
                // A peer that turns us away at once is as good as none.
                let worked = began.elapsed() > PEER_CONNECT_TIMEOUT;
                self.state.open.store(false, Ordering::Release);
                self.handle.inbox.push(Input::Unreachable { peer: self.peer });
                self.give_back();
                if worked || !reported {
                    let peer_id = hex(self.peer);
                    tracing::warn!(peer_id, error = reason, "there is no stream to a peer");
                }
                reported = true;
                backoff =
                    if worked { PEER_BACKOFF_MIN } else { (backoff * 2).min(PEER_BACKOFF_MAX) };
                time::sleep(backoff).await;
            }
        };
        tokio::select! {
            () = keep => {}
            _ = stop.wait() => {}
        }
    }

    /// Sends until the stream breaks; says why it broke.
    async fn stream(&mut self, channel: Channel) -> String {
        let (frames, receiver) = mpsc::channel(FRAMES_AHEAD);
        let hello = Hello {
            cluster_id: self.handle.identity.cluster_id,
            from: self.handle.identity.member_id,
            to: self.peer,
            protocol: PROTOCOL,
            incarnation: self.handle.identity.incarnation,
        };
        let _ = frames.send(Frame { hello: Some(hello), ..Frame::default() }).await;
        let mut client = PeerClient::new(channel);
        let call = client.exchange(ReceiverStream::new(receiver));
        self.state.open.store(true, Ordering::Release);
        let (queued, state, counts) = (&mut self.queued, &self.state, &self.handle.metrics.peers);
        let pump = async {
            let mut batch = Vec::new();
            while queued.recv_many(&mut batch, PEER_QUEUE_MESSAGES).await > 0 {
                let bytes = batch.iter().map(|(_, size)| size).sum();
                state.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
                counts.sent(self.peer, bytes);
                for frame in frame::pack(batch.drain(..).map(|(message, _)| message)) {
                    if frames.send(frame).await.is_err() {
                        return;
                    }
                }
            }
        };
        tokio::select! {
            ended = call => match ended {
                Ok(_) => "the peer ended the stream".to_owned(),
                Err(status) => {
                    if status.code() == Code::DataLoss {
                        self.handle.stop_if_made_anew(status.message());
                    }
                    status.message().to_owned()
                }
            },
            () = pump => "the stream is closed".to_owned(),
        }
    }

    /// Drops what is queued: it would be stale when there is a stream again. Writes among it were
    /// surely not proposed, and the node may try them again.
    fn give_back(&mut self) {
        while let Ok((message, size)) = self.queued.try_recv() {
            self.state.queued_bytes.fetch_sub(size, Ordering::Relaxed);
            if let Outgoing::Proposal(proposal) = message {
                self.handle.inbox.push(super::not_proposed(self.peer, proposal.id));
            }
        }
    }
}

/// An error with what is behind it, which is what helps.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
