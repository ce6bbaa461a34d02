//! What members say to each other, and what becomes of it.
//!
//! On streams a message arrives after all that were sent before it, once, or is lost with the
//! stream. A cut holds what is on the way; if it lasts, both the stream and what it holds are gone,
//! the sender hears of it and dials again. On datagrams each of raft's messages has a fate of its
//! own; what forwards a write, and what answers it, comes at most once on either.

use std::collections::VecDeque;

use kvorum_core::divergence::Mark;
use kvorum_core::node::{Input, Proposal, Refusal};
use kvorum_server::limits::{PEER_BACKOFF_MAX, PEER_BACKOFF_MIN, PEER_QUEUE_MESSAGES};
use raft_proto::eraftpb::Message;

use super::plan::Wires;
use super::time::{MS, SECOND, Time, US};
use super::world::{CallId, Event, World};

/// A silent connection is taken for broken after two keep-alive intervals.
const NOTICE: Time = 2 * SECOND;

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // most are messages
pub(super) enum Payload {
    Raft(Message),
    Forward(Proposal),
    Result {
        id: u64,
        appended: Option<(u64, u64)>,
    },
    /// What a damaged log must hold again, asked of the leader and told by it.
    AskBound {
        nonce: u64,
        last: u64,
    },
    TellBound {
        nonce: u64,
        term: u64,
        index: u64,
    },
    /// What the state of the sender was.
    Marks(Vec<Mark>),
    /// A call of its own: keep a lease alive, by the leader.
    Renew {
        call: CallId,
        attempt: u64,
        lease: i64,
    },
    Renewed {
        call: CallId,
        attempt: u64,
        ttl: Result<i64, Refusal>,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) payload: Payload,
}

/// One way between two members.
#[derive(Debug, Default)]
struct Link {
    open: bool,
    /// Counts the streams; what is noted for an earlier one means nothing.
    generation: u64,
    /// Which life of the receiver the stream leads to.
    receiver: u64,
    wire: VecDeque<(Time, Payload)>,
    backoff: Time,
    /// How many faults cut it.
    cuts: u32,
}

pub(super) struct Network {
    members: usize,
    links: Vec<Link>,
    wires: Wires,
    /// While the network is slow: what a message takes longer.
    pub(super) slow: Option<(Time, Time)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum LinkEvent {
    /// Something may have arrived.
    Arrive,
    Dial,
    /// A cut that lasted this long is noticed.
    Notice,
}

impl Network {
    pub(super) fn new(members: usize, wires: Wires) -> Network {
        let links = (0..members * members).map(|_| Link::default()).collect();
        Network { members, links, wires, slow: None }
    }

    /// From now on nothing is lost or late by chance.
    pub(super) fn calm(&mut self) {
        self.slow = None;
        if let Wires::Datagrams { .. } = self.wires {
            self.wires = Wires::Datagrams { lost: 0, doubled: 0, late: 0 };
        }
    }

    pub(super) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.links[from * self.members + to].cuts > 0
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.members + to]
    }
}

impl World {
    /// Sends something on the stream; says whether it is on its way.
    pub(super) fn send(&mut self, from: usize, to: usize, payload: Payload) -> bool {
        if let Wires::Datagrams { .. } = self.network.wires {
            self.throw(Packet { from, to, payload });
            return true;
        }
        let (now, latency) = (self.agenda.now(), self.latency());
        let link = self.network.link(from, to);
        if !link.open || link.wire.len() >= PEER_QUEUE_MESSAGES {
            return false;
        }
        let last = link.wire.back().map_or(0, |(at, _)| *at);
        let at = last.max(now + latency);
        link.wire.push_back((at, payload));
        if link.wire.len() == 1 && link.cuts == 0 {
            let generation = link.generation;
            self.agenda.at(at, Event::Link { from, to, generation, event: LinkEvent::Arrive });
        }
        true
    }

    /// Sends a packet on its own.
    pub(super) fn throw(&mut self, packet: Packet) {
        let raft = matches!(packet.payload, Payload::Raft(_));
        let mut copies = 1;
        let mut delay = self.latency();
        if let Wires::Datagrams { lost, doubled, late } = self.network.wires {
            if self.random.chance(lost) {
                self.figures.note("lost");
                return;
            }
            if raft && self.random.chance(doubled) {
                self.figures.note("doubled");
                copies = 2;
            }
            if self.random.chance(late) {
                self.figures.note("late");
                delay += self.random.skewed((MS, SECOND));
            }
        }
        for _ in 1..copies {
            let later = delay + self.random.skewed((100 * US, SECOND));
            self.agenda.after(later, Event::Packet(packet.clone()));
        }
        self.agenda.after(delay, Event::Packet(packet));
    }

    /// A packet that travels alone arrives, unless the way is cut or nobody is there.
    pub(super) fn packet(&mut self, packet: Packet) {
        if !self.network.is_cut(packet.from, packet.to) {
            self.deliver(packet);
        }
    }

    pub(super) fn link_event(
        &mut self,
        (from, to): (usize, usize),
        generation: u64,
        event: LinkEvent,
    ) {
        if self.network.link(from, to).generation != generation {
            return;
        }
        match event {
            LinkEvent::Arrive => self.arrive(from, to),
            LinkEvent::Dial => self.dial(from, to),
            LinkEvent::Notice => {
                if self.network.is_cut(from, to) && self.network.link(from, to).open {
                    self.break_stream(from, to);
                }
            }
        }
    }

    /// A member that starts dials all others.
    pub(super) fn dial_all(&mut self, from: usize) {
        for to in 0..self.members.len() {
            if to != from {
                let link = self.network.link(from, to);
                link.open = false;
                link.generation += 1;
                link.wire.clear();
                link.backoff = PEER_BACKOFF_MIN.as_nanos() as Time;
                let generation = link.generation;
                let delay = self.random.between((MS, 20 * MS));
                let event = LinkEvent::Dial;
                self.agenda.after(delay, Event::Link { from, to, generation, event });
            }
        }
    }

    pub(super) fn cut(&mut self, from: usize, to: usize) {
        let link = self.network.link(from, to);
        link.cuts += 1;
        let generation = link.generation;
        let event = LinkEvent::Notice;
        self.agenda.after(NOTICE, Event::Link { from, to, generation, event });
    }

    pub(super) fn uncut(&mut self, from: usize, to: usize) {
        let now = self.agenda.now();
        let link = self.network.link(from, to);
        link.cuts = link.cuts.saturating_sub(1);
        if link.cuts == 0
            && let Some((at, _)) = link.wire.front()
        {
            // What was held is sent again before long.
            let at = (*at).max(now + MS);
            let generation = link.generation;
            self.agenda.at(at, Event::Link { from, to, generation, event: LinkEvent::Arrive });
        }
    }

    fn arrive(&mut self, from: usize, to: usize) {
        let now = self.agenda.now();
        loop {
            let life = self.members[to].life_number();
            let link = self.network.link(from, to);
            if link.cuts > 0 {
                return;
            }
            let Some((at, _)) = link.wire.front() else { return };
            if *at > now {
                let (at, generation) = (*at, link.generation);
                let event = LinkEvent::Arrive;
                self.agenda.at(at, Event::Link { from, to, generation, event });
                return;
            }
            if life != Some(link.receiver) {
                return self.break_stream(from, to);
            }
            if let Some((_, payload)) = link.wire.pop_front() {
                self.deliver(Packet { from, to, payload });
            }
        }
    }

    fn dial(&mut self, from: usize, to: usize) {
        if self.members[from].life.is_none() {
            return;
        }
        let reachable = !self.network.is_cut(from, to) && !self.network.is_cut(to, from);
        let receiver = self.members[to].life_number();
        let link = self.network.link(from, to);
        if let (true, Some(receiver)) = (reachable, receiver) {
            link.open = true;
            link.receiver = receiver;
            link.backoff = PEER_BACKOFF_MIN.as_nanos() as Time;
            return;
        }
        link.backoff = (2 * link.backoff).min(PEER_BACKOFF_MAX.as_nanos() as Time);
        let (delay, generation) = (link.backoff, link.generation);
        self.agenda.after(delay, Event::Link { from, to, generation, event: LinkEvent::Dial });
        self.input(from, Input::Unreachable { peer: self.members[to].id });
    }

    /// The sender finds its stream broken. The newest of what it held may not have left it: those
    /// writes it knows not to be proposed.
    fn break_stream(&mut self, from: usize, to: usize) {
        let peer = self.members[to].id;
        let waiting = self.network.link(from, to).wire.len() as u64;
        let left = self.random.below(waiting + 1);
        let link = self.network.link(from, to);
        link.open = false;
        link.generation += 1;
        let held: Vec<Payload> = link.wire.drain(..).map(|(_, payload)| payload).collect();
        let generation = link.generation;
        let delay = link.backoff;
        self.agenda.after(delay, Event::Link { from, to, generation, event: LinkEvent::Dial });
        self.figures.note("streams broken");
        self.input(from, Input::Unreachable { peer });
        for payload in held.into_iter().skip(left as usize) {
            if let Payload::Forward(Proposal { id, .. }) = payload {
                self.input(from, Input::ForwardResult { from: peer, id, appended: None });
            }
        }
    }

    fn deliver(&mut self, packet: Packet) {
        let Packet { from, to, payload } = packet;
        if self.members[to].life.is_none() {
            return;
        }
        let peer = self.members[from].id;
        match payload {
            Payload::Raft(message) => self.input(to, Input::Raft(message)),
            Payload::Forward(proposal) => {
                self.input(to, Input::Forwarded { from: peer, proposal });
            }
            Payload::Result { id, appended } => {
                self.input(to, Input::ForwardResult { from: peer, id, appended });
            }
            Payload::AskBound { nonce, last } => {
                self.input(to, Input::BoundAsked { from: peer, nonce, last });
            }
            Payload::TellBound { nonce, term, index } => {
                self.input(to, Input::BoundTold { from: peer, nonce, term, index });
            }
            Payload::Marks(marks) => self.marks_told(to, peer, marks),
            Payload::Renew { call, attempt, lease } => {
                self.renew_for_peer(to, from, call, attempt, lease);
            }
            Payload::Renewed { call, attempt, ttl } => self.renewed(to, call, attempt, ttl),
        }
    }

    fn latency(&mut self) -> Time {
        let usual = self.random.skewed(self.plan.latency);
        match self.network.slow {
            Some(more) => usual + self.random.skewed(more),
            None => usual,
        }
    }
}
