//! What a run was: figures, and what its clients did.

use std::collections::BTreeMap;
use std::fmt;

use kvorum_proto::etcdserverpb::{InternalRaftRequest, WatchCreateRequest, WatchResponse};

use super::check::Answered;
use super::edge::{Outcome, Request};
use super::plan::FaultClass;
use super::time::{SECOND, Time};
use super::world::CallId;

/// How often what happened.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub seeds: u64,
    pub virtual_ns: Time,
    pub events_of_the_world: u64,
    /// Requests that were answered, refused as surely not done, and of unknown outcome.
    pub acknowledged: u64,
    pub refused: u64,
    pub unknown: u64,
    pub reads: u64,
    pub writes: u64,
    pub renewals: u64,
    pub applied: u64,
    /// What watches got, and how often they resumed or were overtaken.
    pub events: u64,
    pub progress: u64,
    pub resumed: u64,
    pub overtaken: u64,
    pub compactions: u64,
    pub expired: u64,
    pub snapshots: u64,
    /// By class.
    pub faults: [u64; FaultClass::ALL.len()],
    /// Everything else, by name.
    pub others: BTreeMap<&'static str, u64>,
}

/// One request of one client.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) call: CallId,
    pub(super) client: usize,
    pub(super) member: usize,
    pub(super) call_ns: Time,
    /// None if the client gave up.
    pub(super) return_ns: Option<Time>,
    pub(super) request: Request,
    /// Of a renewal: the revision in the header.
    pub(super) revision: i64,
    pub(super) outcome: Option<Outcome>,
}

/// One watch, over all the streams it was resumed on.
#[derive(Clone, Debug, Default)]
pub(super) struct WatchRecord {
    pub(super) name: String,
    /// Its client watched to the end.
    pub(super) to_the_end: bool,
    pub(super) legs: Vec<Leg>,
}

/// One watch on one stream.
#[derive(Clone, Debug)]
pub(super) struct Leg {
    pub(super) member: usize,
    pub(super) request: WatchCreateRequest,
    /// With the time they came, progress of the whole stream included.
    pub(super) responses: Vec<(Time, WatchResponse)>,
}

impl Figures {
    pub(super) fn note(&mut self, name: &'static str) {
        self.count(name, 1);
    }

    pub(super) fn count(&mut self, name: &'static str, more: u64) {
        *self.others.entry(name).or_default() += more;
    }

    pub fn other(&self, name: &str) -> u64 {
        self.others.get(name).copied().unwrap_or(0)
    }

    /// How many classes of faults struck.
    pub(super) fn classes(&self) -> usize {
        self.faults.iter().filter(|strikes| **strikes > 0).count()
    }

    pub fn fault(&self, class: FaultClass) -> u64 {
        self.faults[class as usize]
    }

    /// A request was answered.
    pub(super) fn done(&mut self, request: &Request, answered: &Answered) {
        self.acknowledged += 1;
        match answered {
            Answered::Write(_) => self.writes += 1,
            Answered::Read { .. } => self.reads += 1,
            Answered::KeptAlive { ttl } => self.renewals += u64::from(*ttl > 0),
        }
        if let Request::Write(InternalRaftRequest { txn: Some(_), .. }) = request {
            self.note("transactions");
        }
    }

    pub fn add(&mut self, other: &Figures) {
        self.seeds += other.seeds;
        self.virtual_ns += other.virtual_ns;
        self.events_of_the_world += other.events_of_the_world;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.reads += other.reads;
        self.writes += other.writes;
        self.renewals += other.renewals;
        self.applied += other.applied;
        self.events += other.events;
        self.progress += other.progress;
        self.resumed += other.resumed;
        self.overtaken += other.overtaken;
        self.compactions += other.compactions;
        self.expired += other.expired;
        self.snapshots += other.snapshots;
        for (sum, count) in self.faults.iter_mut().zip(other.faults) {
            *sum += count;
        }
        for (name, count) in &other.others {
            *self.others.entry(name).or_default() += count;
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.virtual_ns / SECOND;
        writeln!(
            f,
            "{} seeds, {seconds} virtual seconds ({:.2} hours), {} events of the world",
            self.seeds,
            seconds as f64 / 3600.0,
            self.events_of_the_world
        )?;
        writeln!(
            f,
            "operations: {} acknowledged ({} writes, {} reads, {} renewals), {} refused, {} unknown",
            self.acknowledged, self.writes, self.reads, self.renewals, self.refused, self.unknown
        )?;
        writeln!(
            f,
            "watches: {} events, {} progress, {} resumed, {} overtaken",
            self.events, self.progress, self.resumed, self.overtaken
        )?;
        writeln!(
            f,
            "{} entries applied, {} compactions, {} leases expired, {} snapshots installed, {} \
             elections",
            self.applied,
            self.compactions,
            self.expired,
            self.snapshots,
            self.other("elections")
        )?;
        write!(f, "faults:")?;
        for class in FaultClass::ALL {
            write!(f, " {class:?} {}", self.fault(class))?;
        }
        write!(f, "\nothers:")?;
        for (name, count) in &self.others {
            write!(f, " {name} {count};")?;
        }
        Ok(())
    }
}
