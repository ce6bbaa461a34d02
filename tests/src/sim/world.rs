//! The world: members, network, clients and what goes wrong, moved by one event after another.

use std::collections::BTreeMap;
use std::io::Write;

use kvorum_core::watch::StreamId;
use kvorum_proto::etcdserverpb::WatchResponse;

use super::check::Applied;
use super::check::agreement::Agreement;
use super::client::{Client, Watcher, WatcherEvent};
use super::edge::{Call, Outcome};
use super::member::{Ask, Member, Moment, Place, Thread, Transfer, Trouble};
use super::nemesis::{Nemesis, NemesisEvent};
use super::network::{LinkEvent, Network, Packet};
use super::plan::Plan;
use super::random::Random;
use super::report::{Figures, Operation, WatchRecord};
use super::time::{Agenda, MS, Time};
use super::trace::Trace;

pub(super) type CallId = u64;

/// Everything that can happen.
pub(super) enum Event {
    Shift {
        place: Place,
        thread: Thread,
        moment: Moment,
    },
    Start {
        member: usize,
        lives: u64,
    },
    Link {
        from: usize,
        to: usize,
        generation: u64,
        event: LinkEvent,
    },
    Packet(Packet),
    /// A request arrives at its member.
    Call(CallId),
    /// A read has found what it answers and reads values back.
    ReadBack {
        place: Place,
        id: CallId,
    },
    /// A lease is tried to be kept alive again.
    RenewAgain {
        place: Place,
        id: CallId,
        attempt: u64,
    },
    /// An answer arrives at its client.
    Reply(CallId, Box<Outcome>),
    Think(usize),
    GiveUp {
        client: usize,
        call: CallId,
    },
    /// The edge sends a stream's next reply.
    PassOn {
        place: Place,
        stream: StreamId,
    },
    Ask {
        place: Place,
        stream: StreamId,
        ask: Ask,
    },
    Watched {
        watcher: usize,
        session: u64,
        response: WatchResponse,
    },
    Watcher(usize, WatcherEvent),
    Publish(Place),
    /// A member compares its state with the others'.
    Marks(Place),
    Transfer(u64),
    Nemesis(NemesisEvent),
    Look,
}

/// What the run is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Trouble,
    /// All is healed, and there is still load.
    Load {
        since: Time,
    },
    /// A write goes through every member.
    Proof {
        since: Time,
    },
    /// All comes to rest.
    Rest {
        since: Time,
    },
    Over,
}

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) agenda: Agenda<Event>,
    /// How long things take.
    pub(super) random: Random,
    pub(super) trace: Trace,
    pub(super) members: Vec<Member>,
    pub(super) network: Network,
    pub(super) calls: BTreeMap<CallId, Call>,
    pub(super) last_call: CallId,
    /// The ids of the entries that writes were proposed as.
    pub(super) proposed: BTreeMap<CallId, u64>,
    /// Answers to compactions that wait for the disk.
    pub(super) sweeping: BTreeMap<CallId, Applied>,
    pub(super) clients: Vec<Client>,
    pub(super) watchers: Vec<Watcher>,
    pub(super) last_stream: u64,
    pub(super) transfers: BTreeMap<u64, Transfer>,
    pub(super) last_transfer: u64,
    pub(super) agreement: Agreement,
    pub(super) nemesis: Nemesis,
    pub(super) phase: Phase,
    /// Members through which no write went since healing.
    pub(super) unproved: Vec<bool>,
    pub(super) figures: Figures,
    pub(super) history: Vec<Operation>,
    /// What watches were told that their clients gave up.
    pub(super) watches: Vec<WatchRecord>,
}

/// About how often the first start of a member changes its disk.
const FIRST_CHANGES: u64 = 80;

/// More events than any run needs: a world that spins is a failure.
const MOST_EVENTS: u64 = 20_000_000;

impl World {
    pub(super) fn new(plan: Plan, readable: Option<Box<dyn Write>>) -> World {
        let mut random = Random::new(plan.seed);
        let nemesis = Nemesis::new(random.fork(), plan.faults.clone());
        let clients = (0..plan.clients).map(|_| Client::new(random.fork(), plan.members));
        let clients: Vec<Client> = clients.collect();
        let watchers = (0..plan.watchers).map(|_| Watcher::new(random.fork())).collect();
        let mut world = World {
            agenda: Agenda::new(),
            random: random.fork(),
            trace: Trace::new(readable),
            members: (1..=plan.members as u64).map(Member::new).collect(),
            network: Network::new(plan.members, plan.wires),
            calls: BTreeMap::new(),
            last_call: 0,
            proposed: BTreeMap::new(),
            sweeping: BTreeMap::new(),
            clients,
            watchers,
            last_stream: 0,
            transfers: BTreeMap::new(),
            last_transfer: 0,
            agreement: Agreement::default(),
            nemesis,
            phase: Phase::Trouble,
            unproved: vec![true; plan.members],
            figures: Figures::default(),
            history: Vec::new(),
            watches: Vec::new(),
            plan,
        };
        world.begin();
        world
    }

    /// Runs until all is at rest after healing.
    pub(super) fn run(&mut self) {
        let mut events = 0;
        while self.phase != Phase::Over
            && let Some(event) = self.agenda.next()
        {
            events += 1;
            assert!(events < MOST_EVENTS, "the world does not come to an end");
            let resumes = self.member_at(&event).map(|member| self.members[member].paused_until);
            match resumes {
                // Whoever stands still hears of it when it goes on.
                Some(resumes) if resumes > self.agenda.now() => self.agenda.at(resumes, event),
                _ => self.happen(event),
            }
        }
        self.judge();
        self.figures.seeds = 1;
        self.figures.virtual_ns = self.agenda.now();
        self.figures.events_of_the_world = events;
        self.figures.compactions = self.agreement.counts.compactions;
        self.figures.expired = self.agreement.counts.expired;
        if self.figures.snapshots > 0 {
            self.figures.note("seeds with snapshots");
        }
    }

    /// Clients have work to do.
    pub(super) fn is_loaded(&self) -> bool {
        matches!(self.phase, Phase::Trouble | Phase::Load { .. })
    }

    pub(super) fn is_trouble(&self) -> bool {
        self.phase == Phase::Trouble
    }

    fn begin(&mut self) {
        for member in 0..self.members.len() {
            let delay = self.random.between((0, 300 * MS));
            self.start_after(member, delay);
            if self.plan.early_crashes {
                let after = self.random.below(FIRST_CHANGES);
                self.members[member].trouble = Some(Trouble::PowerLoss);
                self.members[member].disk.fail_after(after);
            }
        }
        for client in 0..self.clients.len() {
            self.think_soon(client);
        }
        for watcher in 0..self.watchers.len() {
            self.agenda.after(500 * MS, Event::Watcher(watcher, WatcherEvent::Open));
            self.agenda.after(500 * MS, Event::Watcher(watcher, WatcherEvent::Act));
        }
        self.agenda.after(self.plan.gap.1, Event::Nemesis(NemesisEvent::Strike));
        self.agenda.after(MS, Event::Look);
    }

    /// The member that must run for an event to happen.
    fn member_at(&self, event: &Event) -> Option<usize> {
        match event {
            Event::Shift { place, .. }
            | Event::ReadBack { place, .. }
            | Event::RenewAgain { place, .. }
            | Event::PassOn { place, .. }
            | Event::Ask { place, .. }
            | Event::Publish(place)
            | Event::Marks(place) => Some(place.member),
            Event::Link { to, event: LinkEvent::Arrive, .. } => Some(*to),
            Event::Link { from, event: LinkEvent::Dial, .. } => Some(*from),
            Event::Packet(packet) => Some(packet.to),
            Event::Call(id) => self.calls.get(id).map(|call| call.member),
            Event::Link { event: LinkEvent::Notice, .. }
            | Event::Start { .. }
            | Event::Reply(..)
            | Event::Think(_)
            | Event::GiveUp { .. }
            | Event::Watched { .. }
            | Event::Watcher(..)
            | Event::Transfer(_)
            | Event::Nemesis(_)
            | Event::Look => None,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Shift { place, thread, moment } => self.shift(place, thread, moment),
            Event::Start { member, lives } => self.start(member, lives),
            Event::Link { from, to, generation, event } => {
                self.link_event((from, to), generation, event);
            }
            Event::Packet(packet) => self.packet(packet),
            Event::Call(id) => self.call_arrives(id),
            Event::ReadBack { place, id } => self.read_back(place, id),
            Event::RenewAgain { place, id, attempt } => self.renew_again(place, id, attempt),
            Event::Reply(id, outcome) => self.answered(id, *outcome),
            Event::Think(client) => self.think(client),
            Event::GiveUp { client, call } => self.give_up(client, call),
            Event::PassOn { place, stream } => self.pass_on(place, stream),
            Event::Ask { place, stream, ask } => self.watch_ask(place, stream, ask),
            Event::Watched { watcher, session, response } => {
                self.watched(watcher, session, &response);
            }
            Event::Watcher(watcher, event) => self.watcher(watcher, event),
            Event::Publish(place) => self.publish_attributes(place),
            Event::Marks(place) => self.tell_marks(place),
            Event::Transfer(id) => self.transfer_goes_on(id),
            Event::Nemesis(event) => self.nemesis(event),
            Event::Look => self.look(),
        }
    }
}
