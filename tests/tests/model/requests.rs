//! What is asked, at random.

use bytes::Bytes;
use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
use kvorum_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use kvorum_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::watch_create_request::FilterType;
use kvorum_proto::etcdserverpb::{
    AlarmRequest, AlarmType, CompactionRequest, Compare, DeleteRangeRequest, InternalRaftRequest,
    LeaseCheckpoint, LeaseCheckpointRequest, LeaseExpireRequest, LeaseGrantRequest,
    LeaseRevokeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, WatchCreateRequest,
};
use kvorum_tests::model::View;
use rand::Rng;

use crate::{KEYS, World};

impl World<'_> {
    pub(super) fn put_entry(&mut self) -> InternalRaftRequest {
        let key = self.key();
        InternalRaftRequest { put: Some(self.put_request(key)), ..Default::default() }
    }

    pub(super) fn delete_entry(&mut self) -> InternalRaftRequest {
        let delete = Some(self.delete_request(0, KEYS));
        InternalRaftRequest { delete_range: delete, ..Default::default() }
    }

    pub(super) fn compaction_entry(&mut self) -> InternalRaftRequest {
        let View { revision, compacted } = self.model.view;
        let revision = match self.random.random_range(0..10) {
            0 => self.random.random_range(compacted - 1..=revision + 1),
            1 => revision,
            _ => revision - self.random.random_range(0..200),
        };
        let compaction = Some(CompactionRequest { revision, physical: false });
        InternalRaftRequest { compaction, ..Default::default() }
    }

    pub(super) fn grant_entry(&mut self) -> InternalRaftRequest {
        let ttl = match self.random.random_range(0..20) {
            0 => 9_000_000_001,
            1 => 0,
            2 => -5,
            _ => self.random.random_range(1..1000),
        };
        let lease_grant = Some(LeaseGrantRequest { ttl, id: self.lease() });
        InternalRaftRequest { lease_grant, ..Default::default() }
    }

    pub(super) fn revoke_entry(&mut self) -> InternalRaftRequest {
        let lease_revoke = Some(LeaseRevokeRequest { id: self.lease() });
        InternalRaftRequest { lease_revoke, ..Default::default() }
    }

    pub(super) fn expire_entry(&mut self) -> InternalRaftRequest {
        let i_ds = (0..self.random.random_range(1..4)).map(|_| self.lease()).collect();
        let term = self.term - u64::from(self.random.random_bool(0.2));
        let lease_expire = Some(LeaseExpireRequest { i_ds, term });
        InternalRaftRequest { lease_expire, ..Default::default() }
    }

    pub(super) fn checkpoint_entry(&mut self) -> InternalRaftRequest {
        let remaining_ttl = self.random.random_range(0..100);
        let checkpoints = vec![LeaseCheckpoint { id: self.lease(), remaining_ttl }];
        let lease_checkpoint = Some(LeaseCheckpointRequest { checkpoints });
        InternalRaftRequest { lease_checkpoint, ..Default::default() }
    }

    /// Alarms are taken back far more often than raised, so that most entries get through.
    pub(super) fn alarm_entry(&mut self) -> InternalRaftRequest {
        let raise = self.random.random_bool(0.05);
        let nospace = self.random.random_bool(0.5);
        let action = if raise { AlarmAction::Activate } else { AlarmAction::Deactivate };
        let alarm = Some(AlarmRequest {
            action: action.into(),
            member_id: 1,
            alarm: if nospace { AlarmType::Nospace } else { AlarmType::Corrupt }.into(),
        });
        InternalRaftRequest { alarm, ..Default::default() }
    }

    pub(super) fn watch_request(&mut self) -> WatchCreateRequest {
        let (key, range_end) = match self.random.random_range(0..3) {
            0 => (key(0), Bytes::from_static(b"\0")),
            1 => (key(0), key(self.random.random_range(1..KEYS))),
            _ => (self.key(), Bytes::new()),
        };
        let mut filters = Vec::new();
        for filter in [FilterType::Noput, FilterType::Nodelete] {
            if self.random.random_bool(0.1) {
                filters.push(filter.into());
            }
        }
        let prev_kv = self.random.random_bool(0.5);
        WatchCreateRequest { key, range_end, filters, prev_kv, ..Default::default() }
    }

    pub(super) fn range_request(&mut self, old: bool) -> RangeRequest {
        let (key, range_end) = self.key_range(0, KEYS);
        let now = self.model.view.revision;
        let revision = match self.random.random_range(0..10) {
            0..5 if old => self.random.random_range((now - 30).max(-1)..=now + 1),
            5 if old => self.random.random_range(-2..=now + 1),
            _ => 0,
        };
        let mut request = RangeRequest { key, range_end, revision, ..Default::default() };
        if self.random.random_bool(0.3) {
            request.limit = self.random.random_range(-1..8);
        }
        if self.random.random_bool(0.3) {
            request.sort_order = self.random.random_range(0..3);
            request.sort_target = self.random.random_range(0..5);
            assert!(SortOrder::try_from(request.sort_order).is_ok());
            assert!(SortTarget::try_from(request.sort_target).is_ok());
        }
        request.keys_only = self.random.random_bool(0.1);
        request.count_only = self.random.random_bool(0.1);
        if self.random.random_bool(0.2) {
            request.min_mod_revision = self.random.random_range(0..=now);
            request.max_mod_revision = self.random.random_range(0..=now);
        }
        if self.random.random_bool(0.1) {
            request.min_create_revision = self.random.random_range(0..=now);
            request.max_create_revision = self.random.random_range(0..=now);
        }
        request
    }

    /// As the edge lets it through: no key is put twice or both put and deleted. So some
    /// keys are put, each once in a branch, and the others are deleted.
    pub(super) fn txn_request(&mut self) -> TxnRequest {
        let split = self.random.random_range(0..=KEYS);
        let puts_below = self.random.random_bool(0.5);
        let read_only = self.random.random_bool(0.2);
        let (puts, deletes) =
            if puts_below { (0..split, split..KEYS) } else { (split..KEYS, 0..split) };
        let mut txn = TxnRequest { compare: self.compares(), ..Default::default() };
        for branch in [&mut txn.success, &mut txn.failure] {
            let mut free: Vec<usize> = if read_only { Vec::new() } else { puts.clone().collect() };
            let deletes = if read_only { 0..0 } else { deletes.clone() };
            *branch = self.ops(&mut free, &deletes, 0);
        }
        txn
    }

    fn ops(
        &mut self,
        free: &mut Vec<usize>,
        deletes: &std::ops::Range<usize>,
        depth: usize,
    ) -> Vec<RequestOp> {
        let mut ops = Vec::new();
        for _ in 0..self.random.random_range(0..4) {
            let request = match self.random.random_range(0..10) {
                0..4 if !free.is_empty() => {
                    let chosen = self.random.random_range(0..free.len());
                    let key = key(free.swap_remove(chosen));
                    Request::RequestPut(self.put_request(key))
                }
                4..6 if !deletes.is_empty() => {
                    let delete = self.delete_request(deletes.start, deletes.end);
                    Request::RequestDeleteRange(delete)
                }
                6..8 if depth < 3 => Request::RequestTxn(TxnRequest {
                    compare: self.compares(),
                    success: self.ops(free, deletes, depth + 1),
                    failure: self.ops(free, deletes, depth + 1),
                }),
                _ => {
                    let old = self.random.random_bool(0.3);
                    Request::RequestRange(self.range_request(old))
                }
            };
            ops.push(RequestOp { request: Some(request) });
        }
        ops
    }

    fn compares(&mut self) -> Vec<Compare> {
        (0..self.random.random_range(0..3)).map(|_| self.compare()).collect()
    }

    fn compare(&mut self) -> Compare {
        let (key, range_end) = self.key_range(0, KEYS);
        let now = self.model.view.revision;
        let small = self.random.random_range(0..3);
        let recent = if self.random.random_bool(0.3) { 0 } else { (now - small).max(0) };
        let (target, union) = match self.random.random_range(0..5) {
            0 => (CompareTarget::Version, TargetUnion::Version(small)),
            1 => (CompareTarget::Create, TargetUnion::CreateRevision(recent)),
            2 => (CompareTarget::Mod, TargetUnion::ModRevision(recent)),
            3 => (CompareTarget::Lease, TargetUnion::Lease(small)),
            _ => (CompareTarget::Value, TargetUnion::Value(self.value())),
        };
        let results = [
            CompareResult::Equal,
            CompareResult::NotEqual,
            CompareResult::Greater,
            CompareResult::Less,
        ];
        Compare {
            result: results[self.random.random_range(0..4)].into(),
            target: target.into(),
            key,
            range_end,
            target_union: self.random.random_bool(0.95).then_some(union),
        }
    }

    fn put_request(&mut self, key: Bytes) -> PutRequest {
        let ignore_value = self.random.random_bool(0.05);
        let ignore_lease = self.random.random_bool(0.05);
        let leased = self.random.random_bool(0.3) && !ignore_lease;
        PutRequest {
            key,
            value: if ignore_value { Bytes::new() } else { self.value() },
            lease: if leased { self.lease() } else { 0 },
            prev_kv: self.random.random_bool(0.4),
            ignore_value,
            ignore_lease,
        }
    }

    fn delete_request(&mut self, low: usize, high: usize) -> DeleteRangeRequest {
        let (key, range_end) = self.key_range(low, high);
        DeleteRangeRequest { key, range_end, prev_kv: self.random.random_bool(0.4) }
    }

    fn key(&mut self) -> Bytes {
        key(self.random.random_range(0..KEYS))
    }

    /// One key, or a range, of the keys `low..high`; sometimes an empty one.
    fn key_range(&mut self, low: usize, high: usize) -> (Bytes, Bytes) {
        let start = self.random.random_range(low..high);
        let end = match self.random.random_range(0..20) {
            0..10 => Bytes::new(),
            10 if high == KEYS => Bytes::from_static(b"\0"),
            11 => key(self.random.random_range(low..=high)),
            _ => key(self.random.random_range(start..=start + 5).min(high)),
        };
        (key(start), end)
    }

    fn value(&mut self) -> Bytes {
        Bytes::from(vec![self.random.random_range(b'a'..b'e'); self.random.random_range(0..5)])
    }

    fn lease(&mut self) -> i64 {
        self.random.random_range(0..9)
    }
}

/// The key just above the last one ends every range.
fn key(number: usize) -> Bytes {
    Bytes::from(format!("key{number:02}"))
}
