//! Writes of every kind, and what a member does on its own between them.

use kvorum_core::store::Root;
use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{
    AlarmRequest, CompactionRequest, DeleteRangeRequest, InternalRaftRequest, LeaseCheckpoint,
    LeaseCheckpointRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RequestOp,
    TxnRequest,
};
use kvorum_proto::membershippb::{
    Attributes, ClusterMemberAttrSetRequest, ClusterVersionSetRequest,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::machine::Machine;

#[derive(Clone, Debug)]
pub(crate) enum Write {
    Put {
        key: u8,
        value: u8,
        lease: i64,
    },
    Delete {
        from: u8,
        to: u8,
    },
    /// Puts and deletions in their order, also of one key; the edge would refuse some.
    Txn(Vec<(u8, Option<u8>)>),
    Grant(i64),
    Checkpoint(i64, i64),
    Revoke(i64),
    Alarm(bool, u64, i32),
    Attributes(u8),
    ClusterVersion(u8),
    /// How far behind the current revision.
    Compact(i64),
}

pub(crate) fn write() -> impl Strategy<Value = Write> {
    let key = 0u8..6;
    prop_oneof![
        10 => (key.clone(), any::<u8>(), 0i64..3)
            .prop_map(|(key, value, lease)| Write::Put { key, value, lease }),
        3 => (key.clone(), 0u8..3).prop_map(|(from, n)| Write::Delete { from, to: from + n }),
        6 => vec((key, proptest::option::of(any::<u8>())), 1..6).prop_map(Write::Txn),
        2 => (1i64..3).prop_map(Write::Grant),
        1 => (1i64..3, 0i64..3).prop_map(|(id, left)| Write::Checkpoint(id, left)),
        1 => (1i64..3).prop_map(Write::Revoke),
        // Kinds that no version knows yet, and never one that stops the writes.
        1 => (any::<bool>(), 0u64..3, prop_oneof![Just(3), Just(-1)])
            .prop_map(|(raise, member, kind)| Write::Alarm(raise, member, kind)),
        1 => (0u8..3).prop_map(Write::Attributes),
        1 => (0u8..3).prop_map(Write::ClusterVersion),
        4 => (0i64..6).prop_map(Write::Compact),
    ]
}

fn key(n: u8) -> Vec<u8> {
    format!("key/{n}").into()
}

fn put(k: u8, value: u8, lease: i64) -> PutRequest {
    // Some are empty.
    let value = if value < 32 { String::new() } else { format!("value {value}") };
    PutRequest { key: key(k).into(), value: value.into(), lease, ..PutRequest::default() }
}

fn delete(from: u8, to: Option<u8>) -> DeleteRangeRequest {
    let range_end = to.map(key).unwrap_or_default().into();
    DeleteRangeRequest { key: key(from).into(), range_end, ..DeleteRangeRequest::default() }
}

impl Write {
    /// The entry that it is in this state.
    pub(crate) fn entry(&self, root: &Root) -> InternalRaftRequest {
        let mut entry = InternalRaftRequest::default();
        match self {
            Write::Put { key, value, lease } => entry.put = Some(put(*key, *value, *lease)),
            Write::Delete { from, to } => entry.delete_range = Some(delete(*from, Some(*to))),
            Write::Txn(ops) => {
                let ops = ops.iter().map(|(key, value)| match value {
                    Some(value) => Request::RequestPut(put(*key, *value, 0)),
                    None => Request::RequestDeleteRange(delete(*key, None)),
                });
                let success = ops.map(|op| RequestOp { request: Some(op) }).collect();
                entry.txn = Some(TxnRequest { success, ..TxnRequest::default() });
            }
            Write::Grant(id) => entry.lease_grant = Some(LeaseGrantRequest { id: *id, ttl: 5 }),
            Write::Checkpoint(id, left) => {
                let checkpoint = LeaseCheckpoint { id: *id, remaining_ttl: *left };
                let checkpoints = vec![checkpoint];
                entry.lease_checkpoint = Some(LeaseCheckpointRequest { checkpoints });
            }
            Write::Revoke(id) => entry.lease_revoke = Some(LeaseRevokeRequest { id: *id }),
            Write::Alarm(raise, member_id, alarm) => {
                let action =
                    if *raise { AlarmAction::Activate } else { AlarmAction::Deactivate }.into();
                let (member_id, alarm) = (*member_id, *alarm);
                entry.alarm = Some(AlarmRequest { action, member_id, alarm });
            }
            Write::Attributes(n) => {
                let attributes = Attributes {
                    name: format!("member {n}"),
                    client_urls: vec![String::new(); usize::from(*n)],
                    incarnation: u64::from(*n),
                };
                entry.cluster_member_attr_set = Some(ClusterMemberAttrSetRequest {
                    member_id: 1,
                    member_attributes: (*n > 0).then_some(attributes),
                });
            }
            Write::ClusterVersion(n) => {
                let ver = format!("3.{n}.0");
                entry.cluster_version_set = Some(ClusterVersionSetRequest { ver });
            }
            Write::Compact(behind) => {
                let revision = root.revision() - behind;
                entry.compaction = Some(CompactionRequest { revision, physical: false });
            }
        }
        entry
    }
}

/// What differs between members that apply the same entries.
#[derive(Clone, Debug)]
pub(crate) enum Local {
    Sweep(usize),
    /// How far behind the current revision.
    Durable(i64),
    Restart,
    /// A sweep of which this many changes reached the disk.
    CrashInSweep(usize, usize),
    Hold,
    LetGo,
}

pub(crate) fn local() -> impl Strategy<Value = Local> {
    prop_oneof![
        4 => (1usize..6).prop_map(Local::Sweep),
        2 => (0i64..4).prop_map(Local::Durable),
        1 => Just(Local::Restart),
        2 => (1usize..9, 0usize..5).prop_map(|(budget, kept)| Local::CrashInSweep(budget, kept)),
        1 => Just(Local::Hold),
        1 => Just(Local::LetGo),
    ]
}

impl Local {
    pub(crate) fn perform(&self, machine: &mut Machine, held: &mut Vec<Root>) {
        match self {
            Local::Sweep(budget) => {
                machine.sweep(*budget);
            }
            Local::Durable(behind) => {
                let upto = machine.store.root().revision() - behind;
                machine.store.durable(upto);
            }
            Local::Restart => {
                held.clear();
                machine.restart();
            }
            Local::CrashInSweep(budget, kept) => {
                held.clear();
                machine.crash_in_sweep(*budget, *kept);
            }
            Local::Hold => held.push(machine.store.root()),
            Local::LetGo => held.truncate(held.len().saturating_sub(1)),
        }
    }
}
