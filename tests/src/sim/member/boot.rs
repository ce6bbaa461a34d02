//! Starting a member from what its disk holds.

use std::path::Path;
use std::sync::Arc;

use kvorum_core::divergence::Divergence;
use kvorum_core::lessor::Lessor;
use kvorum_core::node::{Config, Node, Role};
use kvorum_core::watch::Hub;
use kvorum_proto::membershippb::{Attributes, Member as MemberRecord, RaftAttributes};
use kvorum_server::identity::{Identity, RequestIds};
use kvorum_server::stage::{ApplyStage, LogStage, StoreStage, StoredValues};
use kvorum_server::storage::StorageError;
use kvorum_server::storage::backend::Backend;
use kvorum_server::storage::boot::{self, Booted};
use kvorum_server::storage::dir::DataDir;
use kvorum_server::storage::disk::Disk;
use kvorum_server::storage::wal::Options;
use raft_proto::eraftpb::ConfState;

use super::{
    ApplyThread, BackendThread, Leadership, Life, LogThread, Place, Shift, Snapshots, Stages,
    Thread, Trouble, Waiters, WatchThread,
};
use crate::sim::time::{MS, SECOND, Time};
use crate::sim::world::{Event, World};

const CLUSTER: u64 = 0x5eed;
const DATA_DIR: &str = "/data";

impl World {
    /// Starts a member after a while, unless somebody else did by then.
    pub(in crate::sim) fn start_after(&mut self, member: usize, delay: Time) {
        let lives = self.members[member].lives;
        self.agenda.after(delay, Event::Start { member, lives });
    }

    pub(in crate::sim) fn start(&mut self, member: usize, lives: u64) {
        if self.members[member].lives != lives || self.members[member].life.is_some() {
            return;
        }
        self.members[member].lives += 1;
        let first = lives == 0;
        match self.open(member) {
            Ok((dir, booted)) => self.live(member, dir, booted),
            Err(error) => self.start_failed(member, first, &error),
        }
    }

    pub(super) fn identity(&self, member: usize) -> Identity {
        let member_id = self.members[member].id;
        Identity { cluster_id: CLUSTER, member_id, incarnation: member_id }
    }

    fn open(&mut self, member: usize) -> Result<(DataDir, Booted), StorageError> {
        let disk: Arc<dyn Disk> = Arc::new(self.members[member].disk.clone());
        let options = Options { segment_bytes: self.plan.segment_bytes };
        let dir = DataDir::open(disk, Path::new(DATA_DIR))?;
        if !dir.has_member()? {
            let ids: Vec<u64> = self.members.iter().map(|member| member.id).collect();
            let identity = self.identity(member);
            let records = ids.iter().map(|id| record(*id)).collect();
            boot::bootstrap(&dir, identity, records, ConfState::from((ids, [])), options)?;
        }
        let booted = boot::boot(&dir, options)?;
        Ok((dir, booted))
    }

    fn live(&mut self, member: usize, dir: DataDir, booted: Booted) {
        let now = self.agenda.now();
        let Booted { identity, store, backend, log, consensus, torn, salvaged } = booted;
        if salvaged.is_some() {
            self.figures.note("logs salvaged");
        }
        self.members[member].whole = None;
        self.members[member].incomplete = consensus.incomplete.is_some();
        if torn.is_some() {
            self.figures.note("torn ends cut");
        }
        let (applied, last) = (consensus.applied.0, consensus.last);
        let number = self.members[member].lives;
        let (heartbeat, election) = (self.plan.heartbeat_ms, self.plan.election_ms);
        let mut config =
            Config::with_times(identity.member_id, self.random.draw(), heartbeat, election);
        config.limits.resident_bytes = self.plan.resident_bytes;
        if let Some((snapshot_count, catch_up_entries)) = self.plan.snapshots {
            (config.snapshot_count, config.catch_up_entries) = (snapshot_count, catch_up_entries);
        }
        let node = Node::new(config, consensus)
            .unwrap_or_else(|error| panic!("m{member} does not start: {error}"));
        let ids: Vec<u64> = self.members.iter().map(|member| member.id).collect();
        let divergence = Divergence::new(identity.member_id, &ids, &[]);
        let root = Arc::new(store.root());
        let hub = Hub::new(root.revision(), self.plan.response_bytes);
        let hub = hub.with_budget(self.plan.watch_budget);
        let swept = store.swept();
        let values = Arc::new(StoredValues::new(backend.values()));
        let stages = Stages { log: LogStage::new(log), store: StoreStage::new(backend) };
        let life = Life {
            number,
            shifts: [Shift::default(); 6],
            node,
            inbox: Vec::new(),
            effects: Vec::new(),
            next_tick: now,
            log: LogThread::new(stages.log),
            apply: ApplyThread::new(ApplyStage::new(store), now),
            backend: BackendThread::new(stages.store),
            watch: WatchThread::new(hub, now + self.plan.progress_interval),
            lessor: Lessor::default(),
            since: 0,
            lease_news: false,
            next_lease_check: now,
            divergence,
            leadership: Leadership { role: Role::Follower, term: 0, leader: 0 },
            root,
            values,
            ids: RequestIds::new(identity.member_id, self.random.draw()),
            committed: 0,
            swept,
            waiters: Waiters { applied, ..Waiters::default() },
            snapshots: Snapshots::default(),
            dir,
        };
        self.members[member].life = Some(Box::new(life));
        let numbers = [member as u64, number, applied, last];
        self.trace.note(now, "start", &numbers, || {
            format!("m{member}: life {number}, applied {applied}, log up to {last}, {torn:?}")
        });
        self.figures.note("starts");
        self.check_state(member);
        let place = Place { member, life: number };
        for thread in [Thread::Node, Thread::Apply, Thread::Watch, Thread::Lease] {
            self.call(member, thread);
        }
        self.dial_all(member);
        self.publish_attributes(place);
        self.agenda.after(SECOND, Event::Marks(place));
    }

    /// A start that fails must have a reason that the nemesis knows of.
    fn start_failed(&mut self, member: usize, first: bool, error: &StorageError) {
        let now = self.agenda.now();
        self.trace.note(now, "no start", &[member as u64], || format!("m{member}: {error}"));
        match self.members[member].trouble {
            Some(Trouble::PowerLoss) => {
                self.figures.note(if first {
                    "crashes of a first start"
                } else {
                    "crashes of a start"
                });
                self.lose_power(member);
            }
            Some(Trouble::Refusing) => {
                self.figures.note("starts refused");
                self.die(member);
                if self.random.chance(50) {
                    self.mend_disk(member);
                }
            }
            None => self.put_right(member, error),
        }
        let delay = self.random.between((50 * MS, SECOND));
        self.start_after(member, delay);
    }

    /// A disk that was damaged is refused; a person puts it right.
    fn put_right(&mut self, member: usize, error: &StorageError) {
        let Some(whole) = self.members[member].whole.take() else {
            panic!("m{member} does not start: {error}")
        };
        let told = error.to_string();
        assert!(told.contains(DATA_DIR), "m{member} is refused, and nobody knows where: {told}");
        self.figures.note("damaged disks refused");
        self.die(member);
        self.members[member].disk = whole;
    }
}

fn record(id: u64) -> MemberRecord {
    let name = format!("m{id}");
    MemberRecord {
        id,
        raft_attributes: Some(RaftAttributes {
            peer_urls: vec![format!("http://{name}:2380")],
            is_learner: false,
        }),
        member_attributes: Some(Attributes { name, ..Attributes::default() }),
    }
}
