//! What was observed. Plain data; what could not be observed says why.

use std::time::Duration;

use crate::failure::Failure;
use crate::tls::{Certificate, Moment};

/// Why something is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown(pub String);

/// A cluster as one look shows it.
#[derive(Debug, Clone)]
pub struct Facts {
    /// By this machine's clock.
    pub now: Moment,
    pub cluster_id: u64,
    pub members: Vec<MemberFacts>,
    pub alarms: Result<Vec<Alarm>, Unknown>,
    /// The certificate that this client shows.
    pub own_certificate: Option<Certificate>,
    /// At which revision the hashes were taken.
    pub hash_revision: i64,
}

#[derive(Debug, Clone)]
pub struct MemberFacts {
    pub id: u64,
    /// Empty if it was added and never started.
    pub name: String,
    pub is_learner: bool,
    pub addresses: Vec<Address>,
    /// Of the first address that answers.
    pub status: Option<Status>,
    pub hash: Result<Hash, Unknown>,
    pub disk: Result<Disk, Unknown>,
    /// How far its clock is ahead of this machine's, in seconds; exact to about one.
    pub clock_ahead_seconds: Result<i64, Unknown>,
}

/// One client URL of a member.
#[derive(Debug, Clone)]
pub struct Address {
    pub url: String,
    /// Why it does not answer, if it does not.
    pub failure: Option<Failure>,
    /// What it showed, if it speaks TLS.
    pub certificate: Option<Certificate>,
}

/// What a member says of itself. Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    pub version: String,
    pub size_bytes: i64,
    /// Zero is unknown: before etcd 3.4 it was not told.
    pub in_use_bytes: i64,
    /// `None` if the member does not tell it, as etcd before 3.6.
    pub quota_bytes: Option<i64>,
    /// Zero if it knows none.
    pub leader: u64,
    pub term: u64,
    pub index: u64,
    pub applied: u64,
    pub revision: i64,
    pub errors: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    pub member: u64,
    /// `NOSPACE`, `CORRUPT`
    pub kind: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hash {
    pub hash: u32,
    /// Hashes of different ones are not comparable.
    pub compact_revision: i64,
}

/// How long the disk of a member takes, since the member was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Disk {
    /// An fsync of the log.
    pub fsync: Option<Latency>,
    /// A commit of the backend.
    pub commit: Option<Latency>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    pub samples: u64,
    /// 99 of 100 took no longer than this; `None` is longer than the histogram measures.
    pub p99: Option<Duration>,
}

impl MemberFacts {
    /// Its name, or its id where it has none.
    pub fn label(&self) -> String {
        if self.name.is_empty() { format!("{:x}", self.id) } else { self.name.clone() }
    }

    /// The first address that answers, or the first one.
    pub fn address(&self) -> &str {
        let answering = self.addresses.iter().find(|address| address.failure.is_none());
        answering.or(self.addresses.first()).map_or("", |address| &address.url)
    }
}

impl Facts {
    pub fn voters(&self) -> impl Iterator<Item = &MemberFacts> + Clone {
        self.members.iter().filter(|member| !member.is_learner)
    }

    /// The members that answer, with what they say.
    pub fn answering(&self) -> impl Iterator<Item = (&MemberFacts, &Status)> + Clone {
        self.members.iter().filter_map(|member| Some((member, member.status.as_ref()?)))
    }

    /// All addresses that answer, for a command that goes to each member.
    pub fn endpoints(&self) -> String {
        self.answering().map(|(member, _)| member.address()).collect::<Vec<_>>().join(",")
    }

    pub fn label(&self, id: u64) -> String {
        let member = self.members.iter().find(|member| member.id == id);
        member.map_or_else(|| format!("{id:x}"), MemberFacts::label)
    }
}
