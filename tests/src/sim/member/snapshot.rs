//! Snapshots: states held for peers, their way there in pieces, and a received one put in place.
//!
//! As in production, the sender reads its held state piece by piece while it goes on applying and
//! sweeping, the receiver writes each piece to its disk, and raft hears of the snapshot when all of
//! it is durable there.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvorum_core::node::Input;
use kvorum_core::store::{Position, Root};
use kvorum_server::storage::StorageError;
use kvorum_server::storage::backend::Backend;
use kvorum_server::storage::snapshot::{self, Incoming, Received};
use raft_proto::eraftpb::Message;

use super::{Place, Thread, Trouble};
use crate::sim::check::messages;
use crate::sim::time::{MS, SECOND, Time, US};
use crate::sim::world::{Event, World};

/// Records in a piece: few, so that much can happen between two.
const PIECE: usize = 24;

/// How long a cut may last before a transfer is given up.
const PATIENCE: Time = 2 * SECOND;

/// What a life has to do with snapshots.
#[derive(Default)]
pub(in crate::sim) struct Snapshots {
    /// By the peer's id.
    held: BTreeMap<u64, Held>,
    incoming: Option<u64>,
    received: Option<Received>,
}

#[derive(Clone)]
struct Held {
    root: Arc<Root>,
    position: Position,
}

/// A state on its way.
pub(in crate::sim) struct Transfer {
    from: Place,
    to: Place,
    message: Message,
    held: Held,
    sent: usize,
    incoming: Option<Incoming>,
    stuck_since: Option<Time>,
}

impl World {
    /// Keeps the newest applied state for a peer.
    pub(super) fn hold(&mut self, place: Place, to: u64) {
        let Some(life) = self.life(place) else { return };
        let position = life.apply.position();
        let taken = Input::SnapshotTaken {
            to,
            index: position.index,
            term: position.term,
            conf_state: position.conf_state.clone(),
        };
        let root = Arc::new(life.apply.root());
        life.snapshots.held.insert(to, Held { root, position });
        self.input(place.member, taken);
    }

    pub(super) fn drop_snapshot(&mut self, place: Place, to: u64) {
        let Some(life) = self.life(place) else { return };
        life.snapshots.held.remove(&to);
        let theirs = |transfer: &Transfer| transfer.from == place && transfer.message.to == to;
        let given_up = self.transfers.iter().find(|(_, transfer)| theirs(transfer));
        if let Some(id) = given_up.map(|(id, _)| *id) {
            self.forget_transfer(id);
        }
    }

    pub(super) fn send_snapshot(&mut self, place: Place, message: Message) {
        let now = self.agenda.now();
        let (to, index) = (message.to, message.get_snapshot().get_metadata().index);
        let term = message.term;
        let Some(life) = self.life(place) else { return };
        let held = life.snapshots.held.remove(&to).filter(|held| held.position.index == index);
        let peer = self.member_of(to);
        let numbers = [place.member as u64, peer as u64, index];
        self.trace.note(now, "snapshot", &numbers, || {
            format!("m{} → m{peer}: the state at {index}", place.member)
        });
        self.figures.note("snapshots sent");
        let (Some(held), Some(to)) = (held, self.place(peer)) else {
            return self.input(place.member, Input::SnapshotSent { to, term, index, ok: false });
        };
        self.last_transfer += 1;
        let transfer =
            Transfer { from: place, to, message, held, sent: 0, incoming: None, stuck_since: None };
        self.transfers.insert(self.last_transfer, transfer);
        self.agenda.after(MS, Event::Transfer(self.last_transfer));
    }

    /// The next piece arrives.
    pub(in crate::sim) fn transfer_goes_on(&mut self, id: u64) {
        let now = self.agenda.now();
        let Some(transfer) = self.transfers.get_mut(&id) else { return };
        let (from, to) = (transfer.from, transfer.to);
        if self.life(from).is_none() || self.life(to).is_none() {
            return self.end_transfer(id, false);
        }
        let cut = self.network.is_cut(from.member, to.member)
            || self.network.is_cut(to.member, from.member);
        let paused =
            self.members[from.member].paused_until.max(self.members[to.member].paused_until);
        if cut || paused > now {
            let Some(transfer) = self.transfers.get_mut(&id) else { return };
            let since = *transfer.stuck_since.get_or_insert(now);
            if now > since + PATIENCE {
                return self.end_transfer(id, false);
            }
            return self.agenda.after(50 * MS, Event::Transfer(id));
        }
        match self.piece(id) {
            Ok(false) => {
                let delay = self.random.between((100 * US, 5 * MS));
                self.agenda.after(delay, Event::Transfer(id));
            }
            Ok(true) => self.end_transfer(id, true),
            Err(error) => {
                self.end_transfer(id, false);
                // The stream fails and no more; but a machine that loses power is gone.
                if self.members[to.member].trouble == Some(Trouble::PowerLoss) {
                    self.disk_failed(to, &error);
                } else {
                    let harmed = self.members[to.member].trouble.is_some()
                        || self.members[from.member].trouble.is_some();
                    assert!(harmed, "a snapshot cannot be received: {error}");
                }
            }
        }
    }

    /// Says whether it was the last.
    fn piece(&mut self, id: u64) -> Result<bool, String> {
        let text = |error: StorageError| error.to_string();
        let Some(transfer) = self.transfers.get_mut(&id) else { return Ok(true) };
        transfer.stuck_since = None;
        let (from, to, position) = (transfer.from, transfer.to, transfer.held.position.clone());
        if transfer.incoming.is_none() {
            let identity = self.identity(to.member);
            let Some(receiver) = self.life(to) else { return Err("it is gone".to_owned()) };
            if receiver.snapshots.incoming.is_some() || receiver.snapshots.received.is_some() {
                // Turned away; the sender tries again.
                self.end_transfer(id, false);
                return Ok(false);
            }
            receiver.snapshots.incoming = Some(id);
            let dir = receiver.dir.member();
            let incoming = Incoming::begin(dir, identity, position).map_err(text)?;
            if let Some(transfer) = self.transfers.get_mut(&id) {
                transfer.incoming = Some(incoming);
            }
            return Ok(false);
        }
        let Some(sender) = self.life(from) else { return Err("it is gone".to_owned()) };
        let values = Arc::clone(&sender.values);
        let Some(transfer) = self.transfers.get_mut(&id) else { return Ok(true) };
        let Some(incoming) = &mut transfer.incoming else { return Ok(true) };
        let mut count = 0;
        for change in transfer.held.root.export().skip(transfer.sent).take(PIECE) {
            let change = change.resolve(|version| messages::stored(&*values, version.at))?;
            let (table, key, value) = change.encode();
            incoming.take(table, key, value.expect("a state is made of records")).map_err(text)?;
            count += 1;
        }
        transfer.sent += count;
        if count == PIECE {
            return Ok(false);
        }
        let Some(incoming) = transfer.incoming.take() else { return Ok(true) };
        let message = transfer.message.clone();
        let received = incoming.finish().map_err(text)?;
        if let Some(life) = self.life(to) {
            life.snapshots.received = Some(received);
            self.input(to.member, Input::Raft(message));
        }
        Ok(true)
    }

    /// What a member that is gone had received goes with it.
    pub(super) fn forget_incoming(&mut self, member: usize) {
        let to_it = self.transfers.values_mut().filter(|transfer| transfer.to.member == member);
        to_it.for_each(|transfer| transfer.incoming = None);
    }

    fn end_transfer(&mut self, id: u64, ok: bool) {
        let Some((from, message)) = self.forget_transfer(id) else { return };
        if self.life(from).is_some() {
            let (to, term) = (message.to, message.term);
            let index = message.get_snapshot().get_metadata().index;
            self.input(from.member, Input::SnapshotSent { to, term, index, ok });
        }
    }

    /// The stream breaks off; says what was sent by whom.
    fn forget_transfer(&mut self, id: u64) -> Option<(Place, Message)> {
        let Transfer { from, to, message, incoming, .. } = self.transfers.remove(&id)?;
        if let Some(life) = self.life(to) {
            life.snapshots.incoming.take_if(|incoming| *incoming == id);
            if let Some(incoming) = incoming {
                incoming.abandon();
            }
        }
        Some((from, message))
    }

    /// Goes on with the received state, as the runtime's apply thread does.
    pub(super) fn install(&mut self, place: Place, index: u64) -> Result<(), String> {
        let now = self.agenda.now();
        let Some(life) = self.life(place) else { return Ok(()) };
        let received = life.snapshots.received.take();
        let Some(Received { position, store, backend }) =
            received.filter(|received| received.position.index == index)
        else {
            panic!("m{} is to install the state at {index} and has none", place.member);
        };
        let installed = snapshot::install(&life.dir.member(), &position);
        installed.map_err(|error| format!("cannot put a received state in place: {error}"))?;
        life.values.replace(backend.values(), life.apply.root().pin());
        life.swept = store.swept();
        life.apply.replace(store);
        life.backend.replace(backend);
        life.root = Arc::new(life.apply.root());
        life.leases_replaced();
        let revision = life.root.revision() as u64;
        self.figures.snapshots += 1;
        let numbers = [place.member as u64, index, revision];
        self.trace.note(now, "install", &numbers, || {
            format!("m{}: the state at {index}, revision {revision}", place.member)
        });
        self.check_state(place.member);
        self.call(place.member, Thread::Lease);
        self.reads_advance(place, index);
        self.wake_watches(place);
        self.input(place.member, Input::Applied { index });
        self.input(place.member, Input::Stored { index });
        Ok(())
    }

    pub(super) fn discard(&mut self, place: Place, index: u64) -> Result<(), String> {
        let Some(life) = self.life(place) else { return Ok(()) };
        let received = &mut life.snapshots.received;
        let Some(received) = received.take_if(|received| received.position.index == index) else {
            return Ok(());
        };
        self.figures.note("snapshots discarded");
        let Some(life) = self.life(place) else { return Ok(()) };
        snapshot::discard(&life.dir.member(), &received.position)
            .map_err(|error| format!("cannot forget a received state: {error}"))
    }
}
