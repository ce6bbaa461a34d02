//! What holds after any sequence of operations: the store answers every revision that can be read
//! as a naive model does that keeps a copy of everything at each revision; a restart at any moment
//! changes nothing; a held root goes on answering as on the day it was taken; and when all is
//! swept, what is left is what can still be asked for.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kvorum_core::error::StoreError;
use kvorum_core::store::{Reply, Revision, Root, Table};
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, InternalRaftRequest, LeaseExpireRequest,
    LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::dump::dump;
use crate::machine::Machine;

#[derive(Clone, Debug)]
enum Op {
    Put {
        key: u8,
        value: u16,
        lease: i64,
    },
    Delete {
        from: u8,
        to: u8,
    },
    Txn(Vec<(u8, Option<u16>)>),
    Grant(i64),
    Revoke(i64),
    Expire(Vec<i64>),
    /// How far behind the current revision.
    Compact(i64),
    Sweep(usize),
    Durable(i64),
    Restart,
    Hold,
    LetGo(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0u8..12;
    prop_oneof![
        12 => (key.clone(), any::<u16>(), 0i64..4)
            .prop_map(|(key, value, lease)| Op::Put { key, value, lease }),
        3 => (key.clone(), 0u8..4).prop_map(|(from, n)| Op::Delete { from, to: from + n }),
        3 => vec((key, proptest::option::of(any::<u16>())), 1..5).prop_map(Op::Txn),
        2 => (1i64..4).prop_map(Op::Grant),
        1 => (1i64..4).prop_map(Op::Revoke),
        1 => vec(1i64..4, 1..3).prop_map(Op::Expire),
        2 => (0i64..20).prop_map(Op::Compact),
        4 => (1usize..8).prop_map(Op::Sweep),
        3 => (0i64..6).prop_map(Op::Durable),
        1 => Just(Op::Restart),
        1 => Just(Op::Hold),
        1 => any::<usize>().prop_map(Op::LetGo),
    ]
}

/// What is known of a key: value, create revision, mod revision, version, lease.
type Known = BTreeMap<Bytes, (Bytes, i64, i64, i64, i64)>;

/// Everything at each revision, from 1 on.
struct Model {
    revisions: Vec<Known>,
    leases: BTreeSet<i64>,
    /// As in etcd -1 before the first compaction, which so may be one at 0.
    compacted: i64,
}

impl Model {
    fn new() -> Self {
        Model { revisions: vec![Known::new()], leases: BTreeSet::new(), compacted: -1 }
    }

    fn revision(&self) -> i64 {
        self.revisions.len() as i64
    }

    fn at(&self, revision: i64) -> &Known {
        &self.revisions[revision as usize - 1]
    }

    fn now(&self) -> &Known {
        self.at(self.revision())
    }

    /// The main revisions, each with the number of its changes, that a complete sweep leaves:
    /// where what is valid at the compacted revision was written, and all from there on.
    fn swept(&self) -> BTreeMap<i64, usize> {
        let first = self.compacted.max(1);
        let mut left = BTreeMap::new();
        for (.., at, _, _) in self.at(first).values().filter(|known| known.2 < first) {
            *left.entry(*at).or_default() += 1;
        }
        for at in first.max(2)..=self.revision() {
            let (before, after) = (self.at(at - 1), self.at(at));
            let put = after.values().filter(|known| known.2 == at).count();
            let deleted = before.keys().filter(|key| !after.contains_key(*key)).count();
            left.insert(at, put + deleted);
        }
        left
    }

    /// One main revision, if anything changes.
    fn write(&mut self, change: impl FnOnce(&mut Known, i64) -> bool) {
        let mut next = self.now().clone();
        if change(&mut next, self.revision() + 1) {
            self.revisions.push(next);
        }
    }

    fn end_lease(&mut self, id: i64) {
        if self.leases.remove(&id) {
            self.write(|known, _| {
                let before = known.len();
                known.retain(|_, (.., lease)| *lease != id);
                known.len() < before
            });
        }
    }
}

fn put(known: &mut Known, at: i64, key: Bytes, value: Bytes, lease: i64) {
    let (create, version) =
        known.get(&key).map_or((at, 1), |(_, create, _, version, _)| (*create, version + 1));
    known.insert(key, (value, create, at, version, lease));
}

fn key(n: u8) -> Bytes {
    format!("key/{n:02}").into()
}

/// Long enough to be worth giving up.
fn value(n: u16) -> Bytes {
    format!("value {n}").into()
}

struct Run {
    machine: Machine,
    model: Model,
    held: Vec<(Root, String)>,
}

impl Run {
    fn step(&mut self, op: Op) {
        match op {
            Op::Put { key: k, value: v, lease } => {
                let request = PutRequest {
                    key: key(k),
                    value: value(v),
                    lease,
                    prev_kv: true,
                    ..PutRequest::default()
                };
                let applied = self.apply(|entry| entry.put = Some(request));
                if lease != 0 && !self.model.leases.contains(&lease) {
                    assert!(applied.is_none());
                    return;
                }
                let Some(Reply::Put(reply)) = applied else { panic!("a put is done") };
                let prev = reply.prev.map(|prev| prev.at.main);
                assert_eq!(prev, self.model.now().get(&key(k)).map(|known| known.2));
                self.model.write(|known, at| {
                    put(known, at, key(k), value(v), lease);
                    true
                });
            }
            Op::Delete { from, to } => {
                let request = DeleteRangeRequest {
                    key: key(from),
                    range_end: key(to),
                    ..DeleteRangeRequest::default()
                };
                self.apply(|entry| entry.delete_range = Some(request));
                self.model.write(|known, _| {
                    let before = known.len();
                    known.retain(|k, _| *k < key(from) || *k >= key(to));
                    known.len() < before
                });
            }
            Op::Txn(ops) => self.txn(ops),
            Op::Grant(id) => {
                self.apply(|entry| entry.lease_grant = Some(LeaseGrantRequest { id, ttl: 5 }));
                self.model.leases.insert(id);
            }
            Op::Revoke(id) => {
                self.apply(|entry| entry.lease_revoke = Some(LeaseRevokeRequest { id }));
                self.model.end_lease(id);
            }
            Op::Expire(i_ds) => {
                for id in &i_ds {
                    self.model.end_lease(*id);
                }
                let request = LeaseExpireRequest { i_ds, term: self.machine.term };
                self.apply(|entry| entry.lease_expire = Some(request));
            }
            Op::Compact(behind) => {
                let revision = self.model.revision() - behind;
                let request = CompactionRequest { revision, physical: false };
                let applied = self.apply(|entry| entry.compaction = Some(request));
                assert_eq!(applied.is_some(), revision > self.model.compacted);
                self.model.compacted = self.model.compacted.max(revision);
            }
            Op::Sweep(budget) => {
                self.machine.sweep(budget);
            }
            Op::Durable(behind) => self.machine.store.durable(self.model.revision() - behind),
            Op::Restart => {
                self.held.clear();
                self.machine.restart();
            }
            Op::Hold => {
                let root = self.machine.store.root();
                let text = dump(&self.machine, &root);
                self.held.push((root, text));
            }
            Op::LetGo(i) if !self.held.is_empty() => {
                let (root, text) = self.held.swap_remove(i % self.held.len());
                assert_eq!(dump(&self.machine, &root), text, "a held root never changes");
            }
            Op::LetGo(_) => {}
        }
    }

    /// The last operation of each key counts, as the edge would refuse two.
    fn txn(&mut self, ops: Vec<(u8, Option<u16>)>) {
        let ops: BTreeMap<u8, Option<u16>> = ops.into_iter().collect();
        let success = ops.iter().map(|(k, v)| {
            let request = match v {
                Some(v) => Request::RequestPut(PutRequest {
                    key: key(*k),
                    value: value(*v),
                    ..PutRequest::default()
                }),
                None => Request::RequestDeleteRange(DeleteRangeRequest {
                    key: key(*k),
                    ..DeleteRangeRequest::default()
                }),
            };
            RequestOp { request: Some(request) }
        });
        let request = TxnRequest { success: success.collect(), ..TxnRequest::default() };
        self.apply(|entry| entry.txn = Some(request));
        self.model.write(|known, at| {
            let mut changed = false;
            for (k, v) in ops {
                match v {
                    Some(v) => put(known, at, key(k), value(v), 0),
                    None if known.remove(&key(k)).is_some() => {}
                    None => continue,
                }
                changed = true;
            }
            changed
        });
    }

    fn apply(&mut self, fill: impl FnOnce(&mut InternalRaftRequest)) -> Option<Reply> {
        let mut entry = InternalRaftRequest::default();
        fill(&mut entry);
        self.machine.apply(entry).reply.ok()
    }

    fn check(&self) {
        let root = self.machine.store.root();
        assert_eq!(root.revision(), self.model.revision());
        assert_eq!(root.compacted_revision(), self.model.compacted);
        assert!(root.lease_ids().eq(self.model.leases.iter().copied()));
        for at in 1..=root.revision() {
            let request = RangeRequest {
                key: "\0".into(),
                range_end: "\0".into(),
                revision: at,
                ..RangeRequest::default()
            };
            if at < self.model.compacted {
                assert_eq!(root.range(&request), Err(StoreError::Compacted), "at revision {at}");
                continue;
            }
            let mut reply = root.range(&request).expect("the revision can be read");
            self.machine.resolve(&mut reply);
            let got: Known = (reply.versions.iter())
                .map(|v| {
                    let value = v.value.resident().expect("resolved").clone();
                    (v.key.clone(), (value, v.create_revision, v.at.main, v.version, v.lease))
                })
                .collect();
            assert_eq!(&got, self.model.at(at), "at revision {at}");
        }
    }

    fn check_restored(&self) {
        let (root, restored) = (self.machine.store.root(), self.machine.restored().root());
        assert_eq!(dump(&self.machine, &root), dump(&self.machine, &restored));
        assert_eq!(root.size_bytes(), restored.size_bytes());
    }

    /// Lets nothing hold history any more, and sweeps all of it.
    fn sweep_all(&mut self) {
        self.held.clear();
        while self.machine.sweep(3).1 {}
        assert_eq!(self.machine.store.swept(), self.model.compacted);
        let mut left = BTreeMap::new();
        for (table, key) in self.machine.records.keys() {
            if *table == Table::Versions {
                let at = Revision::from_bytes(key[..].try_into().expect("a revision"));
                *left.entry(at.main).or_default() += 1;
            }
        }
        assert_eq!(left, self.model.swept());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_revision_reads_as_the_model_after_any_operations(ops in vec(op(), 0..150)) {
        let mut run = Run { machine: Machine::new(), model: Model::new(), held: Vec::new() };
        for op in ops {
            run.step(op);
        }
        run.check();
        for (root, text) in &run.held {
            prop_assert_eq!(&dump(&run.machine, root), text, "a held root never changes");
        }
        run.check_restored();
        run.sweep_all();
        run.check();
        run.check_restored(); // memory and backend gave up the same
    }
}
