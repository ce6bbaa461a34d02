//! `HashKV` over the same data is the same number, ours and etcd's: with history, deletions,
//! transactions, leases and compactions. `KVORUM_SEED` repeats one course.

#![allow(clippy::print_stdout, reason = "whoever repeats a course needs its seed")]

use kvorum_proto::etcdserverpb::kv_client::KvClient;
use kvorum_proto::etcdserverpb::lease_client::LeaseClient;
use kvorum_proto::etcdserverpb::maintenance_client::MaintenanceClient;
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, HashKvRequest, LeaseGrantRequest, LeaseRevokeRequest,
    PutRequest, RequestOp, TxnRequest,
};
use kvorum_tests::cluster::Cluster;
use kvorum_tests::program::{NO_ETCD, Names, real_etcd};
use kvorum_tests::{binary, or_skip};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

/// Requests in one course; after each tenth the hashes are compared.
const REQUESTS: usize = 200;
const KEYS: u32 = 6;
const LEASES: i64 = 4;

/// One server of the two.
struct Side {
    _cluster: Cluster,
    kv: KvClient<Channel>,
    lease: LeaseClient<Channel>,
    maintenance: MaintenanceClient<Channel>,
}

/// What a server answers to `HashKV`: hash, compacted and newest revision; or a refusal.
type Hashed = Result<(u32, i64, i64), Code>;

impl Side {
    fn of(cluster: Cluster) -> Side {
        let url = cluster.members[0].client_url();
        let channel = Endpoint::from_shared(url).expect("it is a URL").connect_lazy();
        Side {
            _cluster: cluster,
            kv: KvClient::new(channel.clone()),
            lease: LeaseClient::new(channel.clone()),
            maintenance: MaintenanceClient::new(channel),
        }
    }

    async fn hash(&mut self, revision: i64) -> Hashed {
        let answer = self.maintenance.hash_kv(HashKvRequest { revision }).await;
        let hashed = answer.map_err(|refused| refused.code())?.into_inner();
        let newest = hashed.header.map_or(0, |header| header.revision);
        Ok((hashed.hash, hashed.compact_revision, newest))
    }

    async fn perform(&mut self, step: &Step) -> Result<i64, Code> {
        let header = match step.clone() {
            Step::Put(put) => self.kv.put(put).await.map(|it| it.into_inner().header),
            Step::Delete(delete) => {
                self.kv.delete_range(delete).await.map(|it| it.into_inner().header)
            }
            Step::Txn(txn) => self.kv.txn(txn).await.map(|it| it.into_inner().header),
            Step::Grant(id) => {
                let grant = LeaseGrantRequest { ttl: 10_000, id };
                self.lease.lease_grant(grant).await.map(|it| it.into_inner().header)
            }
            Step::Revoke(id) => {
                let revoke = LeaseRevokeRequest { id };
                self.lease.lease_revoke(revoke).await.map(|it| it.into_inner().header)
            }
            Step::Compact(revision) => {
                let compaction = CompactionRequest { revision, physical: true };
                self.kv.compact(compaction).await.map(|it| it.into_inner().header)
            }
        };
        let header = header.map_err(|refused| refused.code())?;
        Ok(header.expect("an answer has a header").revision)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(PutRequest),
    Delete(DeleteRangeRequest),
    Txn(TxnRequest),
    Grant(i64),
    Revoke(i64),
    Compact(i64),
}

struct Course(StdRng);

impl Course {
    fn step(&mut self, newest: i64) -> Step {
        match self.0.random_range(0..20) {
            0..9 => Step::Put(self.put()),
            9..12 => Step::Delete(self.delete()),
            12..15 => Step::Txn(self.txn(2)),
            15..17 => Step::Grant(self.0.random_range(1..=LEASES)),
            17 => Step::Revoke(self.0.random_range(1..=LEASES)),
            18 => Step::Delete(DeleteRangeRequest {
                key: vec![0].into(),
                range_end: vec![0].into(),
                prev_kv: false,
            }),
            _ => Step::Compact(newest - self.0.random_range(0..8)),
        }
    }

    fn key(&mut self) -> String {
        format!("key/{}", self.0.random_range(0..KEYS))
    }

    fn put(&mut self) -> PutRequest {
        let lease = if self.0.random_bool(0.3) { self.0.random_range(1..=LEASES) } else { 0 };
        let value = "v".repeat(self.0.random_range(0..300));
        PutRequest { key: self.key().into(), value: value.into(), lease, ..PutRequest::default() }
    }

    fn delete(&mut self) -> DeleteRangeRequest {
        let range_end = if self.0.random_bool(0.3) { self.key() } else { String::new() };
        DeleteRangeRequest { key: self.key().into(), range_end: range_end.into(), prev_kv: false }
    }

    fn txn(&mut self, depth: usize) -> TxnRequest {
        let count = self.0.random_range(0..4);
        let success = (0..count).map(|_| {
            let request = match self.0.random_range(0..4) {
                0 if depth > 0 => Request::RequestTxn(self.txn(depth - 1)),
                1 => Request::RequestDeleteRange(self.delete()),
                _ => Request::RequestPut(self.put()),
            };
            RequestOp { request: Some(request) }
        });
        TxnRequest { success: success.collect(), ..TxnRequest::default() }
    }
}

#[tokio::test]
async fn the_hash_of_the_keys_is_etcds() {
    let etcd = or_skip!(real_etcd(), NO_ETCD);
    let names = Names::of(binary!());
    let mut ours = Side::of(Cluster::start(&names.server(), 1));
    let mut etcds = Side::of(Cluster::start(&etcd, 1));
    let seed = std::env::var("KVORUM_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().expect("the seed is a number"));
    println!("KVORUM_SEED={seed}");
    let mut course = Course(StdRng::seed_from_u64(seed));
    let (mut newest, mut compacted, mut compared) = (1, -1, 0);
    for number in 0..REQUESTS {
        let step = course.step(newest);
        let (our, their) = (ours.perform(&step).await, etcds.perform(&step).await);
        assert_eq!(our, their, "seed {seed}, request {number}: {step:?}");
        if let Ok(revision) = our {
            newest = newest.max(revision);
            if let Step::Compact(revision) = step {
                compacted = revision;
            }
        }
        if number % 10 != 9 {
            continue;
        }
        for revision in [0, -1].into_iter().chain(compacted - 1..=newest + 1) {
            // etcd 3.4 refuses the compacted revision itself, 3.6 does not.
            if revision == compacted || (revision < 0 && compacted >= 0) {
                continue;
            }
            let (our, their) = (ours.hash(revision).await, etcds.hash(revision).await);
            assert_eq!(
                our, their,
                "seed {seed}, request {number}, hash at {revision} of {newest}, compacted {compacted}"
            );
            compared += usize::from(our.is_ok());
        }
    }
    assert!(compared > REQUESTS / 10, "{compared} hashes were compared, seed {seed}");
}
