//! What members say to each other, over gRPC streams on the peer port.
//!
//! Each member opens one stream to every other and sends on it: raft's messages, writes forwarded
//! to the leader, and answers to those. What the other has to say comes on the stream it opened.
//! A stream begins by saying who speaks, to whom, in which cluster, and that is checked before
//! anything else is read. Raft's messages are encoded and decoded only here. Anything may be lost
//! with its stream; the node is told, and raft sends again. A member that is too far behind for
//! entries gets the leader's state on a stream of its own.

mod frame;
mod introduce;
mod link;
mod route;
mod service;
mod snapshot;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use kvorum_core::divergence::Mark;
use kvorum_core::node::{Input, Proposal};
use kvorum_proto::kvorumpb::peer_server::PeerServer;
use raft_proto::eraftpb::Message;
use tokio::runtime;
use tokio::task::AbortHandle;
use tonic::service::Routes;
use tonic::transport::Channel;

use crate::config::Url;
use crate::edge;
use crate::limits::MAX_PEER_FRAME_BYTES;
use crate::runtime::{Handle, Held};
use crate::tls::Role;
pub(crate) use introduce::introduce;
use link::{Link, Outgoing};
use route::Route;

/// The version of the protocol between members; a member refuses others.
const PROTOCOL: u32 = 1;

/// The ways to all other members. Sending never waits; what cannot be sent is dropped.
#[derive(Clone)]
pub(crate) struct Peers {
    links: Arc<BTreeMap<u64, Link>>,
    /// Where snapshots are sent from.
    context: runtime::Handle,
}

/// A peer's id and where to dial it.
#[derive(Clone, Debug)]
pub(crate) struct PeerAddress {
    pub(crate) id: u64,
    pub(crate) urls: Vec<String>,
}

impl Peers {
    /// Channels to the peers, which dial when they are first used. Needs a runtime's context.
    /// Refuses a URL that cannot be dialled.
    pub(crate) fn new(peers: Vec<PeerAddress>, tls: &Arc<Role>) -> Result<Peers, String> {
        let mut links = BTreeMap::new();
        for peer in peers {
            let urls = peer.urls.iter().map(|url| Url::parse(url)).collect::<Result<_, _>>()?;
            links.insert(peer.id, Link::new(Route::new(urls, Arc::clone(tls))));
        }
        Ok(Peers { links: Arc::new(links), context: runtime::Handle::current() })
    }

    /// Starts sending. Needs a runtime's context.
    pub(crate) fn start(&self, handle: &Handle) {
        for (id, link) in self.links.iter() {
            link.start(handle.clone(), *id);
        }
    }

    /// Says whether the message is on its way.
    pub(crate) fn send(&self, message: Message) -> bool {
        match self.links.get(&message.to) {
            Some(link) => link.send(Outgoing::Raft(Box::new(message))),
            None => false,
        }
    }

    /// Says whether the write may reach the peer; if not, it was surely not proposed.
    pub(crate) fn forward(&self, to: u64, proposal: Proposal) -> bool {
        match self.links.get(&to) {
            Some(link) => link.send(Outgoing::Proposal(proposal)),
            None => false,
        }
    }

    /// An answer that is lost leaves the write's fate unknown to the peer, until it sees it.
    pub(crate) fn result(&self, to: u64, id: u64, appended: Option<(u64, u64)>) {
        if let Some(link) = self.links.get(&to) {
            link.send(Outgoing::Result { id, appended });
        }
    }

    /// Asks the leader where its log ends; what is lost is asked again.
    pub(crate) fn ask_bound(&self, to: u64, nonce: u64, last: u64) {
        if let Some(link) = self.links.get(&to) {
            link.send(Outgoing::AskBound { nonce, last });
        }
    }

    /// Answers that question with a term and an index.
    pub(crate) fn tell_bound(&self, to: u64, nonce: u64, bound: (u64, u64)) {
        if let Some(link) = self.links.get(&to) {
            link.send(Outgoing::TellBound { nonce, bound });
        }
    }

    /// Tells all peers what the state here was; what is lost is told again.
    pub(crate) fn tell(&self, marks: &[Mark]) {
        if !marks.is_empty() {
            for link in self.links.values() {
                link.send(Outgoing::Marks(marks.to_vec()));
            }
        }
    }

    /// Sends a peer the state that was held for it; the node hears how that went, unless the task
    /// is aborted.
    pub(crate) fn send_snapshot(
        &self,
        handle: &Handle,
        message: Message,
        held: Held,
    ) -> AbortHandle {
        self.context.spawn(snapshot::send(handle.clone(), message, held)).abort_handle()
    }

    /// For calls to a peer that are answered.
    pub(crate) fn channel(&self, id: u64) -> Option<Channel> {
        self.links.get(&id).map(Link::channel)
    }
}

/// Everything on the peer port.
pub(crate) fn router(handle: &Handle) -> Router {
    let service = PeerServer::new(service::Peer(handle.clone()))
        .max_decoding_message_size(MAX_PEER_FRAME_BYTES);
    Routes::new(service)
        .into_axum_router()
        .merge(edge::version(handle))
        .merge(edge::members(handle))
        .fallback(edge::not_found)
}

/// What a peer answers to a write that it did not propose; also what there is to tell the node
/// of a write that did not reach it.
pub(crate) fn not_proposed(peer: u64, id: u64) -> Input {
    Input::ForwardResult { from: peer, id, appended: None }
}
