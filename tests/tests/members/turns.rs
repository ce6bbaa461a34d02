//! The Lock and Election services beside Debian's etcd: the same calls, the same answers.
//!
//! Both members are new, so that even revisions must be the same. What etcd 3.4 does otherwise
//! than 3.6 is not asked here: who loses its lease while it waits gets the lock from 3.4
//! (etcd #11456).

use std::fmt::Display;
use std::time::Duration;

use kvorum_proto::etcdserverpb::kv_client::KvClient;
use kvorum_proto::etcdserverpb::lease_client::LeaseClient;
use kvorum_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RangeRequest, ResponseHeader,
};
use kvorum_proto::mvccpb::KeyValue;
use kvorum_proto::v3electionpb::election_client::ElectionClient;
use kvorum_proto::v3electionpb::{
    CampaignRequest, LeaderKey, LeaderRequest, LeaderResponse, ProclaimRequest, ResignRequest,
};
use kvorum_proto::v3lockpb::lock_client::LockClient;
use kvorum_proto::v3lockpb::{LockRequest, UnlockRequest};
use kvorum_tests::cluster::Cluster;
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd};
use kvorum_tests::{binary, or_skip};
use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

/// How long what must happen may take.
const SOON: Duration = Duration::from_secs(20);

/// Between two looks at what is waited for.
const PAUSE: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn locks_and_elections_answer_as_etcds_do() {
    let etcd = or_skip!(real_etcd(), NO_ETCD);
    let theirs = transcript(&etcd).await;
    let ours = transcript(&Names::of(binary!()).server()).await;
    assert_eq!(ours.join("\n"), theirs.join("\n"));
    assert!(theirs.len() > 40, "{theirs:#?}");
}

async fn transcript(program: &Program) -> Vec<String> {
    let cluster = Cluster::start(program, 1);
    let url = cluster.members[0].client_url();
    let channel = Endpoint::from_shared(url).expect("it is a URL").connect_lazy();
    let mut side = Side { channel, lines: Vec::new() };
    side.locks().await;
    side.elections().await;
    side.observation().await;
    side.lines
}

struct Side {
    channel: Channel,
    lines: Vec<String>,
}

impl Side {
    async fn locks(&mut self) {
        for (id, ttl) in [(0x1234, 600), (-26, 600), (3, 600)] {
            self.grant(id, ttl).await;
        }
        self.lock("n", 0x1234).await;
        self.put("x").await;
        self.lock("n", 0x1234).await;
        self.keys("n").await;
        self.lock("n", 77).await;
        self.lock("", 3).await;
        // One waits, and gets it when it is given back.
        let waiting = tokio::spawn(lock_of(self.channel.clone(), "n", -26));
        self.appears("n/-1a").await;
        self.put("x").await;
        self.unlock("n/1234").await;
        self.say("waited for n/-1a", ended(waiting).await);
        // One goes away.
        let waiting = tokio::spawn(lock_of(self.channel.clone(), "n", 3));
        self.appears("n/3").await;
        waiting.abort();
        self.disappears("n/3").await;
        self.keys("n").await;
        // The holder's lease ends.
        let waiting = tokio::spawn(lock_of(self.channel.clone(), "n", 3));
        self.appears("n/3").await;
        self.revoke(-26).await;
        self.say("waited for n/3", ended(waiting).await);
        self.keys("n").await;
        for key in ["nothing", "", "n/3"] {
            self.unlock(key).await;
        }
        self.keys("n").await;
    }

    async fn elections(&mut self) {
        self.grant(1, 600).await;
        self.grant(2, 600).await;
        self.leader().await;
        self.campaign(99, "v").await;
        self.campaign(1, "v").await;
        self.put("x").await;
        self.campaign(1, "v").await;
        self.campaign(1, "w").await;
        self.leader().await;
        let Ok((_, led)) = campaign_of(self.channel.clone(), 1, "w").await else {
            panic!("it leads")
        };
        self.proclaim(Some(led.clone()), "z").await;
        self.proclaim(None, "z").await;
        self.resign(None).await;
        let older = LeaderKey { rev: led.rev - 1, ..led.clone() };
        self.proclaim(Some(older.clone()), "older").await;
        self.resign(Some(older)).await;
        self.proclaim(Some(LeaderKey { lease: 99, ..led.clone() }), "no lease").await;
        let keyless = LeaderKey { key: bytes::Bytes::new(), ..led.clone() };
        self.proclaim(Some(keyless.clone()), "no key").await;
        self.resign(Some(keyless)).await;
        self.keys("e").await;
        let waiting = tokio::spawn(campaign_of(self.channel.clone(), 2, "second"));
        self.appears("e/2").await;
        self.put("x").await;
        self.resign(Some(LeaderKey { lease: 99, ..led.clone() })).await;
        let second = ended(waiting).await;
        self.say("waited to lead", second.clone().map(campaigned));
        self.resign(Some(led)).await;
        self.leader().await;
        let Ok((_, second)) = second else { panic!("it leads") };
        let waiting = tokio::spawn(campaign_of(self.channel.clone(), 1, "gone"));
        self.appears("e/1").await;
        waiting.abort();
        self.disappears("e/1").await;
        self.resign(Some(second)).await;
        self.leader().await;
    }

    async fn observation(&mut self) {
        let observe = LeaderRequest { name: "e".into() };
        let mut observed = None;
        for (lease, value) in [(1, "first"), (2, "second")] {
            let led = campaign_of(self.channel.clone(), lease, value).await;
            let (_, leader) = led.expect("it leads");
            // etcd answers with the first leader there is, not before.
            let leaders = if let Some(leaders) = observed.take() {
                leaders
            } else {
                let mut client = ElectionClient::new(self.channel.clone());
                client.observe(observe.clone()).await.expect("it begins").into_inner()
            };
            let leaders = observed.insert(leaders);
            for said in ["", "a", "b"] {
                if !said.is_empty() {
                    self.proclaim(Some(leader.clone()), said).await;
                }
                let told = timeout(SOON, leaders.message()).await.expect("nothing is told");
                self.say("observed", told.map(|told| told.map(leads)));
            }
            self.resign(Some(leader)).await;
        }
    }

    fn say(&mut self, what: impl Display, answer: Result<impl std::fmt::Debug, Status>) {
        let answer = answer.map_err(|status| (status.code(), status.message().to_owned()));
        self.lines.push(format!("{what}: {answer:?}"));
    }

    async fn lock(&mut self, name: &'static str, lease: i64) {
        let answer = lock_of(self.channel.clone(), name, lease).await;
        self.say(format_args!("lock {name} {lease}"), answer);
    }

    async fn unlock(&mut self, key: &str) {
        let request = UnlockRequest { key: key.to_owned().into() };
        let answer = LockClient::new(self.channel.clone()).unlock(request).await;
        self.say(
            format_args!("unlock {key}"),
            answer.map(|done| revision(done.into_inner().header)),
        );
    }

    async fn campaign(&mut self, lease: i64, value: &'static str) {
        let answer = campaign_of(self.channel.clone(), lease, value).await;
        self.say(format_args!("campaign {lease} {value}"), answer.map(campaigned));
    }

    async fn proclaim(&mut self, leader: Option<LeaderKey>, value: &str) {
        let request = ProclaimRequest { leader, value: value.to_owned().into() };
        let answer = ElectionClient::new(self.channel.clone()).proclaim(request).await;
        let revision = answer.map(|done| revision(done.into_inner().header));
        self.say(format_args!("proclaim {value}"), revision);
    }

    async fn resign(&mut self, leader: Option<LeaderKey>) {
        let what = format!("resign {leader:?}");
        let answer =
            ElectionClient::new(self.channel.clone()).resign(ResignRequest { leader }).await;
        self.say(what, answer.map(|done| revision(done.into_inner().header)));
    }

    async fn leader(&mut self) {
        let request = LeaderRequest { name: "e".into() };
        let answer = ElectionClient::new(self.channel.clone()).leader(request).await;
        self.say("leader", answer.map(Response::into_inner).map(leads));
    }

    async fn grant(&mut self, id: i64, ttl: i64) {
        let request = LeaseGrantRequest { id, ttl };
        let granted = LeaseClient::new(self.channel.clone()).lease_grant(request).await;
        granted.expect("a lease is granted");
    }

    async fn revoke(&mut self, id: i64) {
        let request = LeaseRevokeRequest { id };
        let revoked = LeaseClient::new(self.channel.clone()).lease_revoke(request).await;
        revoked.expect("a lease is revoked");
    }

    async fn put(&mut self, key: &str) {
        let request = PutRequest { key: key.to_owned().into(), ..PutRequest::default() };
        KvClient::new(self.channel.clone()).put(request).await.expect("a key is put");
    }

    async fn keys(&mut self, name: &str) {
        let range = RangeRequest {
            key: format!("{name}/").into(),
            range_end: format!("{name}0").into(),
            ..RangeRequest::default()
        };
        let answer = KvClient::new(self.channel.clone()).range(range).await;
        self.say(format_args!("under {name}"), answer.map(|keys| keys.into_inner().kvs));
    }

    async fn appears(&self, key: &str) {
        self.until_count(key, 1).await;
    }

    async fn disappears(&self, key: &str) {
        self.until_count(key, 0).await;
    }

    async fn until_count(&self, key: &str, count: i64) {
        let range = RangeRequest { key: key.to_owned().into(), ..RangeRequest::default() };
        let mut client = KvClient::new(self.channel.clone());
        let counted = timeout(SOON, async {
            while client.range(range.clone()).await.expect("it reads").into_inner().count != count {
                sleep(PAUSE).await;
            }
        });
        counted.await.unwrap_or_else(|_| panic!("{key}: not {count} in time"));
    }
}

/// The revision of the header, and the key.
async fn lock_of(
    channel: Channel,
    name: &'static str,
    lease: i64,
) -> Result<(i64, String), Status> {
    let request = LockRequest { name: name.into(), lease };
    let held = LockClient::new(channel).lock(request).await?.into_inner();
    Ok((revision(held.header), String::from_utf8_lossy(&held.key).into_owned()))
}

async fn campaign_of(
    channel: Channel,
    lease: i64,
    value: &'static str,
) -> Result<(i64, LeaderKey), Status> {
    let request = CampaignRequest { name: "e".into(), lease, value: value.into() };
    let led = ElectionClient::new(channel).campaign(request).await?.into_inner();
    Ok((revision(led.header), led.leader.expect("who leads is told")))
}

fn campaigned((revision, leader): (i64, LeaderKey)) -> String {
    format!("{revision} {leader:?}")
}

fn leads(response: LeaderResponse) -> (i64, Option<KeyValue>) {
    (revision(response.header), response.kv)
}

fn revision(header: Option<ResponseHeader>) -> i64 {
    header.expect("an answer has a header").revision
}

async fn ended<T>(task: tokio::task::JoinHandle<T>) -> T {
    timeout(SOON, task).await.expect("it does not end").expect("it does not panic")
}
