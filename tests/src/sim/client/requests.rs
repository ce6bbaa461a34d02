//! What clients ask for: few keys, so that they get in each other's way.

use bytes::Bytes;
use kvorum_core::store::is_read_only;
use kvorum_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use kvorum_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use kvorum_proto::etcdserverpb::request_op::Request as Op;
use kvorum_proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, InternalRaftRequest, LeaseGrantRequest,
    LeaseRevokeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};

use super::Client;
use crate::sim::edge::Request;

const KEYS: u64 = 10;
/// Of leases, in seconds: the shortest that production grants, and some that outlive an election.
const TTL_S: (u64, u64) = (2, 6);

impl Client {
    /// Draws what the client asks for next; `compactions` percent of it compact.
    pub(super) fn next_request(&mut self, client: usize, compactions: u64) -> Request {
        if self.random.chance(compactions) {
            return self.compaction();
        }
        let write = |request| Request::Write(request);
        match self.random.below(100) {
            0..30 => {
                let put = Some(self.put(client, None));
                write(InternalRaftRequest { put, ..Default::default() })
            }
            30..38 => {
                let delete_range = Some(self.delete());
                write(InternalRaftRequest { delete_range, ..Default::default() })
            }
            38..54 => {
                let txn = self.txn(client, 2);
                if is_read_only(&txn) {
                    return Request::Read { txn, serializable: false };
                }
                write(InternalRaftRequest { txn: Some(txn), ..Default::default() })
            }
            54..70 => Request::Range(self.range()),
            70..78 => Request::Range(RangeRequest { serializable: true, ..self.range() }),
            78..84 => {
                let serializable = self.random.chance(50);
                let revision = self.old_revision();
                Request::Range(RangeRequest { serializable, revision, ..self.range() })
            }
            84..89 => {
                let serializable = self.random.chance(50);
                Request::Read { txn: self.reading_txn(serializable), serializable }
            }
            _ => self.lease_request(client),
        }
    }

    fn compaction(&mut self) -> Request {
        let back = self.random.skewed((1, 200)) as i64 - 1;
        // What happens to a deletion at the very revision is a matter of its own.
        let deletion = self.deleted.take_if(|_| self.random.chance(60));
        let revision = deletion.unwrap_or(self.revision - back).max(1);
        let physical = self.random.chance(30);
        let compaction = Some(CompactionRequest { revision, physical });
        Request::Write(InternalRaftRequest { compaction, ..Default::default() })
    }

    fn lease_request(&mut self, client: usize) -> Request {
        match self.lease {
            None => {
                self.number += 1;
                let id = ((client as i64 + 1) << 32) | self.number as i64;
                let ttl = self.random.between(TTL_S) as i64;
                let lease_grant = Some(LeaseGrantRequest { id, ttl });
                Request::Write(InternalRaftRequest { lease_grant, ..Default::default() })
            }
            Some(lease) => match self.random.below(10) {
                0 => {
                    // Left to itself.
                    self.lease = None;
                    Request::Range(self.range())
                }
                1 => {
                    let lease_revoke = Some(LeaseRevokeRequest { id: lease });
                    Request::Write(InternalRaftRequest { lease_revoke, ..Default::default() })
                }
                2..5 => {
                    let put = Some(PutRequest { lease, ..self.put(client, None) });
                    Request::Write(InternalRaftRequest { put, ..Default::default() })
                }
                _ => Request::KeepAlive { lease },
            },
        }
    }

    fn key(&mut self) -> Bytes {
        Bytes::from(format!("k{}", self.random.below(KEYS)))
    }

    /// Key and range end: mostly some keys, sometimes all, or none.
    fn keys(&mut self) -> (Bytes, Bytes) {
        match self.random.below(6) {
            0 => ("k".into(), "l".into()),
            1 => ("\0".into(), "\0".into()),
            2 => (self.key(), "\0".into()),
            _ => (self.key(), self.key()),
        }
    }

    fn put(&mut self, client: usize, key: Option<Bytes>) -> PutRequest {
        self.number += 1;
        let mut value = format!("c{client}-{}", self.number);
        if self.random.chance(3) {
            value.push_str(&"+".repeat(self.random.skewed((100, 4000)) as usize));
        }
        let key = key.unwrap_or_else(|| self.key());
        let mut put = PutRequest { key, value: value.into(), ..PutRequest::default() };
        put.prev_kv = self.random.chance(30);
        if self.random.chance(3) {
            (put.ignore_value, put.value) = (true, Bytes::new());
        }
        put.ignore_lease = self.random.chance(5);
        put
    }

    fn delete(&mut self) -> DeleteRangeRequest {
        let (key, range_end) =
            if self.random.chance(30) { self.keys() } else { (self.key(), Bytes::new()) };
        DeleteRangeRequest { key, range_end, prev_kv: self.random.chance(30) }
    }

    fn old_revision(&mut self) -> i64 {
        let back = self.random.skewed((1, 150)) as i64;
        (self.revision + 5 - back).max(1)
    }

    fn range(&mut self) -> RangeRequest {
        if self.random.chance(50) {
            return RangeRequest { key: self.key(), ..RangeRequest::default() };
        }
        let (key, range_end) = self.keys();
        let mut range = RangeRequest { key, range_end, ..RangeRequest::default() };
        if self.random.chance(30) {
            range.limit = self.random.below(6) as i64;
        }
        match self.random.below(20) {
            0 => range.count_only = true,
            1 => range.keys_only = true,
            2..5 => {
                range.sort_order =
                    *self.random.pick(&[SortOrder::Ascend, SortOrder::Descend]) as i32;
                let targets = [
                    SortTarget::Key,
                    SortTarget::Version,
                    SortTarget::Create,
                    SortTarget::Mod,
                    SortTarget::Value,
                ];
                range.sort_target = *self.random.pick(&targets) as i32;
            }
            5 => range.min_mod_revision = self.old_revision(),
            6 => range.max_create_revision = self.old_revision(),
            _ => {}
        }
        range
    }

    fn compare(&mut self) -> Compare {
        let (key, mod_revision) = match &self.known {
            Some((key, revision)) if self.random.chance(70) => (key.clone(), *revision),
            _ => (self.key(), self.revision),
        };
        let target = match self.random.below(4) {
            0 => TargetUnion::Version(self.random.below(4) as i64),
            1 => TargetUnion::Value("c0-1".into()),
            2 => TargetUnion::CreateRevision(0),
            _ => TargetUnion::ModRevision(mod_revision),
        };
        let kind = match target {
            TargetUnion::Version(_) => CompareTarget::Version,
            TargetUnion::Value(_) => CompareTarget::Value,
            TargetUnion::CreateRevision(_) => CompareTarget::Create,
            _ => CompareTarget::Mod,
        };
        let results = [
            CompareResult::Equal,
            CompareResult::Equal,
            CompareResult::NotEqual,
            CompareResult::Greater,
            CompareResult::Less,
        ];
        let result = *self.random.pick(&results) as i32;
        let range_end = if self.random.chance(10) { "\0".into() } else { Bytes::new() };
        Compare { result, target: kind as i32, key, range_end, target_union: Some(target) }
    }

    /// A transaction that may write; no key is put twice in it.
    fn txn(&mut self, client: usize, depth: u32) -> TxnRequest {
        let compare = (0..self.random.below(3)).map(|_| self.compare()).collect();
        let mut keys: Vec<u64> = (0..KEYS).collect();
        self.random.shuffle(&mut keys);
        let half = keys.split_off(KEYS as usize / 2);
        let success = self.ops(client, depth, &keys);
        let failure = self.ops(client, depth, &half);
        TxnRequest { compare, success, failure }
    }

    /// Operations that write keys of a list only, each at most once.
    fn ops(&mut self, client: usize, depth: u32, keys: &[u64]) -> Vec<RequestOp> {
        let mut ops = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            let key = Bytes::from(format!("k{key}"));
            let op = match self.random.below(10) {
                0..4 => Op::RequestPut(self.put(client, Some(key))),
                4 => Op::RequestDeleteRange(DeleteRangeRequest {
                    key,
                    prev_kv: self.random.chance(50),
                    ..DeleteRangeRequest::default()
                }),
                5 => Op::RequestRange(self.range()),
                6 => {
                    let revision = self.old_revision();
                    Op::RequestRange(RangeRequest { revision, ..self.range() })
                }
                7 if depth > 0 && at + 1 < keys.len() => {
                    // The rest of the keys is the nested one's.
                    let compare = vec![self.compare()];
                    let success = self.ops(client, depth - 1, &keys[at + 1..]);
                    let failure = self.ops(client, depth - 1, &keys[at..]);
                    let nested = TxnRequest { compare, success, failure };
                    ops.push(RequestOp { request: Some(Op::RequestTxn(nested)) });
                    return ops;
                }
                _ => continue,
            };
            ops.push(RequestOp { request: Some(op) });
        }
        ops
    }

    fn reading_txn(&mut self, serializable: bool) -> TxnRequest {
        let compare = (0..self.random.below(3)).map(|_| self.compare()).collect();
        let mut ops = |random_ops: u64| -> Vec<RequestOp> {
            (0..random_ops)
                .map(|_| {
                    let revision = if self.random.chance(40) { self.old_revision() } else { 0 };
                    let range = RangeRequest { revision, serializable, ..self.range() };
                    RequestOp { request: Some(Op::RequestRange(range)) }
                })
                .collect()
        };
        let (success, failure) = (ops(2), ops(1));
        TxnRequest { compare, success, failure }
    }
}
