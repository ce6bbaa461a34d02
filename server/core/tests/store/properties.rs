//! What holds after any sequence of operations: the store answers every revision that can be read
//! as a naive model does that keeps a copy of everything at each revision; a restart at any moment
//! changes nothing; and a held root goes on answering as on the day it was taken.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kvorum_core::store::{Reply, Root};
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
}

impl Model {
    fn new() -> Self {
        Model { revisions: vec![Known::new()], leases: BTreeSet::new() }
    }

    fn revision(&self) -> i64 {
        self.revisions.len() as i64
    }

    fn now(&self) -> &Known {
        self.revisions.last().expect("there is a first revision")
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
                self.apply(|entry| entry.compaction = Some(request));
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
        assert!(root.lease_ids().eq(self.model.leases.iter().copied()));
        for at in root.compacted_revision().max(1)..=root.revision() {
            let request = RangeRequest {
                key: "\0".into(),
                range_end: "\0".into(),
                revision: at,
                ..RangeRequest::default()
            };
            let mut reply = root.range(&request).expect("the revision can be read");
            self.machine.resolve(&mut reply);
            let got: Known = (reply.versions.iter())
                .map(|v| {
                    let value = v.value.resident().expect("resolved").clone();
                    (v.key.clone(), (value, v.create_revision, v.at.main, v.version, v.lease))
                })
                .collect();
            assert_eq!(got, self.model.revisions[at as usize - 1], "at revision {at}");
        }
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
        let restored = dump(&run.machine, &run.machine.restored().root());
        prop_assert_eq!(dump(&run.machine, &run.machine.store.root()), restored);
    }
}
