//! A whole member on a disk that fails, forgets and lies.
//!
//! What may come of a fault: the member refuses and names the file, or it holds exactly what it
//! should. Never anything else in silence, never a panic that escapes. `KVORUM_TORTURE=full` tries
//! every case rather than a sample, and with any value the outcomes are printed as a table.

mod cluster_log;
mod defragmentation;
mod first_start;
mod io_calls;
mod log_damage;
mod store_damage;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use kvorum_core::node::Group;
use kvorum_core::store::{Change, Revision, Store};
use kvorum_proto::etcdserverpb::{InternalRaftRequest, PutRequest, RangeRequest};
use kvorum_proto::membershippb::Member as MemberRecord;
use prost::Message;
use raft_proto::eraftpb::{ConfState, Entry, HardState};

use super::StorageError;
use super::backend::Backend;
use super::boot::{Booted, boot, bootstrap};
use super::dir::DataDir;
use super::memory::MemoryDisk;
use super::wal::Options;
use crate::identity::Identity;

const OURS: Identity = Identity { cluster_id: 0xc1, member_id: 0xa1, incarnation: 0x77 };
const DATA: &str = "/data";

/// Segments as small as they get, so that a short life has cuts.
fn options() -> Options {
    Options { segment_bytes: 4096 }
}

fn store_path() -> PathBuf {
    Path::new(DATA).join("kvorum/store.redb")
}

fn log_path() -> PathBuf {
    Path::new(DATA).join("kvorum/log")
}

fn open_dir(disk: &MemoryDisk) -> Result<DataDir, StorageError> {
    Ok(DataDir::open(Arc::new(disk.clone()), Path::new(DATA))?)
}

fn put(index: u64) -> InternalRaftRequest {
    let key = Bytes::from(format!("key{}", index % 5));
    let value = Bytes::from(format!("value{index}"));
    let put = PutRequest { key, value, ..PutRequest::default() };
    InternalRaftRequest { id: index, put: Some(put), ..InternalRaftRequest::default() }
}

#[derive(Debug, PartialEq)]
struct Vote {
    term: u64,
    vote: u64,
}

/// In which term a put was made, and who was elected in it.
fn vote_at(index: u64) -> Vote {
    let term = 1 + index / 30;
    Vote { term, vote: 0xa1 + term % 3 }
}

/// A member as the runtime's threads run it, on one thread.
struct Member {
    booted: Booted,
    changes: Vec<Change>,
    number: u64,
}

impl Member {
    fn start(dir: &DataDir) -> Result<Member, StorageError> {
        let mut booted = boot(dir, options())?;
        let mut changes = Vec::new();
        for entry in std::mem::take(&mut booted.consensus.tail) {
            let request = InternalRaftRequest::decode(entry.data).expect("the log holds our puts");
            changes.extend(booted.store.apply(entry.index, entry.term, &request).changes);
        }
        Ok(Member { booted, changes, number: 0 })
    }

    /// Logs, syncs and applies the next put; answers its index.
    fn put(&mut self) -> Result<u64, StorageError> {
        self.number += 1;
        let index = self.booted.log.last().0 + 1;
        let data = Bytes::from(put(index).encode_to_vec());
        let Vote { term, vote } = vote_at(index);
        let entries = vec![Entry { index, term, data, ..Entry::default() }];
        let hard_state = Some(HardState { term, vote, commit: index - 1 });
        let number = self.number;
        self.booted.log.append(&Group { number, entries, hard_state, ..Group::default() })?;
        self.booted.log.sync()?;
        self.changes.extend(self.booted.store.apply(index, term, &put(index)).changes);
        Ok(index)
    }

    fn commit(&mut self) -> Result<(), StorageError> {
        let position = self.booted.store.position();
        self.booted.backend.commit(&std::mem::take(&mut self.changes), &position)?;
        Ok(())
    }
}

/// Whether the store holds what puts up to some index leave, every version of every key; answers
/// the index.
fn holds_puts(store: &Store) -> Option<u64> {
    let index = store.position().index;
    let root = store.root();
    let events: Vec<(Bytes, Revision)> =
        root.events(2).map(|version| (version.key.clone(), version.at)).collect();
    let expected: Vec<_> = (1..=index)
        .map(|at| (Bytes::from(format!("key{}", at % 5)), Revision { main: at as i64 + 1, sub: 0 }))
        .collect();
    let newest = (index.saturating_sub(4).max(1)..=index).all(|at| {
        let key = Bytes::from(format!("key{}", at % 5));
        let range = root.range(&RangeRequest { key, ..RangeRequest::default() });
        let value = range.ok().and_then(|range| range.versions.first()?.value.resident().cloned());
        value == Some(Bytes::from(format!("value{at}")))
    });
    let right = root.revision() == index as i64 + 1 && events == expected && newest;
    right.then_some(index)
}

/// How a life ended.
#[derive(Debug)]
enum End {
    /// All went well.
    Well,
    Refused(StorageError),
    /// It started, with less than was acknowledged, or with something else altogether.
    Wrong(Option<u64>),
    Panicked,
}

/// A disk, and what the member on it has promised.
struct Rig {
    disk: MemoryDisk,
    acknowledged: u64,
}

impl Rig {
    fn new() -> Rig {
        Rig { disk: MemoryDisk::new(), acknowledged: 0 }
    }

    fn copy(&self) -> Rig {
        Rig { disk: self.disk.copy(), acknowledged: self.acknowledged }
    }

    /// Starts the member, making it if there is none, and puts so many times, with a commit after
    /// every sixth. If all goes well it is killed then; after an error it closes what it can.
    fn live(&mut self, puts: u64) -> End {
        let lived = catch_unwind(AssertUnwindSafe(|| self.try_live(puts)));
        match lived {
            Ok(Ok(end)) => end,
            Ok(Err(error)) => End::Refused(error),
            Err(_) => End::Panicked,
        }
    }

    fn try_live(&mut self, puts: u64) -> Result<End, StorageError> {
        let dir = open_dir(&self.disk)?;
        if !dir.has_member()? {
            if self.acknowledged > 0 {
                return Ok(End::Wrong(Some(0)));
            }
            let members = vec![MemberRecord { id: 0xa1, ..MemberRecord::default() }];
            let conf_state = ConfState::from((vec![0xa1], vec![]));
            bootstrap(&dir, OURS, members, conf_state, options())?;
        }
        let mut member = Member::start(&dir)?;
        let reached = holds_puts(&member.booted.store);
        let Some(reached) = reached.filter(|reached| *reached >= self.acknowledged) else {
            return Ok(End::Wrong(reached));
        };
        // What is there after a start, raft tells others.
        self.acknowledged = reached;
        for at in 0..puts {
            self.acknowledged = member.put()?;
            if at % 6 == 5 {
                member.commit()?;
            }
        }
        self.disk.kill();
        Ok(End::Well)
    }

    /// The same, and it has to go well.
    fn live_well(&mut self, puts: u64, what: &str) {
        let end = self.live(puts);
        assert!(matches!(end, End::Well), "{what}: {end:?}");
    }
}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// It is killed; what was written is there.
    Process,
    /// Power goes, and with it all that was not synced.
    Power,
    /// Power goes, but all that was written has arrived.
    LatePower,
    /// Power goes, and every other sector has arrived.
    TornPower,
}

impl Death {
    const ALL: [Death; 4] = [Death::Process, Death::Power, Death::LatePower, Death::TornPower];

    fn strike(self, disk: &MemoryDisk) {
        let mut odd = false;
        match self {
            Death::Process => disk.kill(),
            Death::Power => disk.crash(|| false),
            Death::LatePower => disk.crash(|| true),
            Death::TornPower => disk.crash(|| {
                odd = !odd;
                odd
            }),
        }
    }
}

/// How often a fault had which outcome.
#[derive(Default)]
struct Table {
    counts: BTreeMap<(&'static str, &'static str), u64>,
}

impl Table {
    fn count(&mut self, fault: &'static str, outcome: &'static str) {
        *self.counts.entry((fault, outcome)).or_default() += 1;
    }

    fn of(&self, fault: &'static str, outcome: &'static str) -> u64 {
        self.counts.get(&(fault, outcome)).copied().unwrap_or_default()
    }

    fn print(&self) {
        if std::env::var_os("KVORUM_TORTURE").is_some() {
            io::stdout().write_all(self.to_string().as_bytes()).expect("standard output is open");
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((fault, outcome), count) in &self.counts {
            writeln!(f, "| {fault} | {outcome} | {count} |")?;
        }
        Ok(())
    }
}

const REFUSED: &str = "refused";

/// Every case, or every `stride`-th.
fn stride(stride: usize) -> usize {
    let full = std::env::var("KVORUM_TORTURE").is_ok_and(|value| value == "full");
    if full { 1 } else { stride }
}
