//! A member: its disk, which lasts, and its life, which ends with every crash.
//!
//! A life is made of production's parts, wired as its threads are. Each thread is a shift of work:
//! it is called when there is something for it, takes what waits, is busy for a while, and what
//! came of it is heard when that is over.

mod apply;
mod backend;
mod boot;
mod end;
mod lease;
mod log;
mod node;
mod snapshot;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use kvorum_core::divergence::Divergence;
use kvorum_core::lessor::Lessor;
use kvorum_core::node::{Effects, Input, Node, Role};
use kvorum_core::store::Root;
use kvorum_server::identity::RequestIds;
use kvorum_server::stage::{LogStage, StoreStage, StoredValues};
use kvorum_server::storage::dir::DataDir;
use kvorum_server::storage::memory::MemoryDisk;

use super::time::{MS, Time, US};
use super::world::{CallId, Event, World};

pub(super) use apply::ApplyThread;
pub(super) use backend::BackendThread;
pub(super) use log::LogThread;
pub(super) use snapshot::{Snapshots, Transfer};
pub(super) use watch::{Ask, WatchThread, Work as WatchWork};

/// Which life of which member: what is meant for an earlier one is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) member: usize,
    pub(super) life: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thread {
    Node,
    Log,
    Apply,
    Backend,
    Watch,
    Lease,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Begin,
    End,
    /// It asked to be called now, should it be idle.
    Timer,
}

/// What its disk was told to do to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Lose power at the first operation that fails.
    PowerLoss,
    /// Refuse to write until it is mended.
    Refusing,
}

/// The monotonic clock that leases go by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    shown_ns: u64,
    since: Time,
    percent: u64,
}

pub(super) struct Member {
    pub(super) id: u64,
    pub(super) disk: MemoryDisk,
    pub(super) trouble: Option<Trouble>,
    /// What it held before its disk was damaged, until it has started on what is left.
    pub(super) whole: Option<MemoryDisk>,
    /// Its log is not what it acknowledged.
    pub(super) incomplete: bool,
    /// How often it was started.
    pub(super) lives: u64,
    pub(super) life: Option<Box<Life>>,
    /// Its process stands still until then.
    pub(super) paused_until: Time,
    /// Its disk stands still until then.
    pub(super) stalled_until: Time,
    pub(super) clock: Clock,
}

/// What a crash forgets.
pub(super) struct Life {
    pub(super) number: u64,
    pub(super) shifts: [Shift; 6],
    node: Node,
    inbox: Vec<Input>,
    effects: Effects,
    next_tick: Time,
    log: LogThread,
    pub(super) apply: ApplyThread,
    backend: BackendThread,
    pub(super) watch: WatchThread,
    pub(super) lessor: Lessor,
    /// The term in which the lessor knows all leases; 0 while this member does not lead.
    pub(super) since: u64,
    lease_news: bool,
    next_lease_check: Time,
    pub(super) leadership: Leadership,
    pub(super) divergence: Divergence,
    /// The newest state that can be read.
    pub(super) root: Arc<Root>,
    pub(super) values: Arc<StoredValues>,
    pub(super) ids: RequestIds,
    pub(super) committed: u64,
    pub(super) swept: i64,
    pub(super) waiters: Waiters,
    pub(super) snapshots: Snapshots,
    /// Given up last.
    dir: DataDir,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leadership {
    pub(super) role: Role,
    pub(super) term: u64,
    pub(super) leader: u64,
}

/// Who waits for which answer.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    pub(super) writes: BTreeMap<u64, CallId>,
    pub(super) asking: BTreeMap<u64, Reader>,
    pub(super) reading: BTreeMap<u64, Vec<Reader>>,
    /// How far readers know that entries are applied.
    pub(super) applied: u64,
    /// Compactions that wait for the disk.
    pub(super) sweeping: Vec<(i64, CallId)>,
}

/// Who waits for a read barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Call(CallId),
    /// A lease is to be kept alive, for a client here or by a peer.
    Renewal {
        call: CallId,
        attempt: u64,
        lease: i64,
        asker: Option<usize>,
    },
}

/// One thread's time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shift {
    busy: bool,
    called: bool,
    timer: Option<Time>,
}

impl Clock {
    /// That of a process which begins.
    fn at_start(now: Time, percent: u64) -> Clock {
        Clock { shown_ns: 0, since: now, percent }
    }

    fn run_rate(&self) -> u64 {
        self.percent
    }

    pub(super) fn now_ms(&self, now: Time) -> u64 {
        (self.shown_ns + (now - self.since) / 100 * self.percent) / MS
    }

    /// From now on it runs at so many percent of the true rate.
    pub(super) fn run_at(&mut self, percent: u64, now: Time) {
        self.shown_ns += (now - self.since) / 100 * self.percent;
        self.since = now;
        self.percent = percent;
    }
}

impl Member {
    pub(super) fn new(id: u64) -> Member {
        Member {
            id,
            disk: MemoryDisk::new(),
            trouble: None,
            whole: None,
            incomplete: false,
            lives: 0,
            life: None,
            paused_until: 0,
            stalled_until: 0,
            clock: Clock::at_start(0, 100),
        }
    }

    pub(super) fn life_number(&self) -> Option<u64> {
        self.life.as_ref().map(|life| life.number)
    }
}

impl Life {
    pub(super) fn leads(&self) -> bool {
        self.leadership.role == Role::Leader
    }

    pub(super) fn applied(&self) -> u64 {
        self.root.index()
    }

    /// Whether nothing is under way.
    pub(super) fn is_quiet(&self) -> bool {
        let waiters = &self.waiters;
        self.apply.is_idle()
            && waiters.writes.is_empty()
            && waiters.asking.is_empty()
            && waiters.reading.is_empty()
            && waiters.sweeping.is_empty()
    }
}

impl World {
    /// The life at a place, if it still goes on.
    pub(super) fn life(&mut self, place: Place) -> Option<&mut Life> {
        let life = self.members[place.member].life.as_deref_mut();
        life.filter(|life| life.number == place.life)
    }

    pub(super) fn place(&self, member: usize) -> Option<Place> {
        let life = self.members[member].life_number()?;
        Some(Place { member, life })
    }

    /// Puts something into a member's inbox, if it runs.
    pub(super) fn input(&mut self, member: usize, input: Input) {
        if let Some(life) = &mut self.members[member].life {
            life.inbox.push(input);
            self.call(member, Thread::Node);
        }
    }

    /// Calls a thread, which comes soon if it is idle, and else looks again when it is done.
    pub(super) fn call(&mut self, member: usize, thread: Thread) {
        let Some(place) = self.place(member) else { return };
        let delay = self.random.between((2 * US, 40 * US));
        let Some(life) = self.life(place) else { return };
        let shift = &mut life.shifts[thread as usize];
        if !shift.busy && !shift.called {
            shift.called = true;
            self.agenda.after(delay, Event::Shift { place, thread, moment: Moment::Begin });
        }
    }

    /// Calls a thread at a time, unless it will be called earlier.
    pub(super) fn call_at(&mut self, place: Place, thread: Thread, at: Time) {
        let now = self.agenda.now();
        let Some(life) = self.life(place) else { return };
        let shift = &mut life.shifts[thread as usize];
        if shift.timer.is_none_or(|timer| timer < now || timer > at) {
            shift.timer = Some(at);
            self.agenda.at(at, Event::Shift { place, thread, moment: Moment::Timer });
        }
    }

    pub(super) fn shift(&mut self, place: Place, thread: Thread, moment: Moment) {
        let Some(life) = self.life(place) else { return };
        let shift = &mut life.shifts[thread as usize];
        match moment {
            Moment::Timer => {
                shift.timer = None;
                return self.call(place.member, thread);
            }
            Moment::Begin => shift.called = false,
            Moment::End => shift.busy = false,
        }
        let worked = match (thread, moment) {
            (Thread::Node, Moment::Begin) => Ok(self.node_begins(place)),
            (Thread::Log, Moment::Begin) => self.log_begins(place),
            (Thread::Log, _) => self.log_ends(place),
            (Thread::Apply, Moment::Begin) => self.apply_begins(place),
            (Thread::Apply, _) => self.apply_ends(place),
            (Thread::Backend, Moment::Begin) => self.backend_begins(place),
            (Thread::Backend, _) => self.backend_ends(place),
            (Thread::Watch, Moment::Begin) => Ok(self.watch_begins(place)),
            (Thread::Watch, _) => Ok(self.watch_ends(place)),
            (Thread::Lease, Moment::Begin) => Ok(self.lease_begins(place)),
            (Thread::Node | Thread::Lease, _) => Ok(None),
        };
        match worked {
            Ok(Some(busy)) => {
                if let Some(life) = self.life(place) {
                    life.shifts[thread as usize].busy = true;
                    let stalled = matches!(thread, Thread::Log | Thread::Backend);
                    let until = self.agenda.now() + busy;
                    let disk = self.members[place.member].stalled_until;
                    let end = if stalled { until.max(disk) } else { until };
                    self.agenda.at(end, Event::Shift { place, thread, moment: Moment::End });
                }
            }
            Ok(None) => {
                if moment == Moment::End && self.has_work(place, thread) {
                    self.call(place.member, thread);
                }
            }
            Err(reason) => self.disk_failed(place, &reason),
        }
    }

    /// Whether a thread that is done has more to do now.
    fn has_work(&mut self, place: Place, thread: Thread) -> bool {
        let now = self.agenda.now();
        let Some(life) = self.life(place) else { return false };
        match thread {
            Thread::Node => !life.inbox.is_empty() || life.next_tick <= now,
            Thread::Log => life.log.has_work(),
            Thread::Apply => life.apply.has_work(now),
            Thread::Backend => life.backend.has_work(),
            Thread::Watch => life.watch.has_work(),
            Thread::Lease => life.lease_news,
        }
    }
}

/// The parts that boot puts together, for the threads that own them.
pub(super) struct Stages {
    pub(super) log: LogStage,
    pub(super) store: StoreStage,
}
