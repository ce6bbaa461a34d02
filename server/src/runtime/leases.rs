//! How long leases still live: known to the leader alone, asked of it by everybody else.

use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use kvorum_core::auth::Principal;
use kvorum_core::lessor::{LeaseNews, Lessor};
use kvorum_core::node::{Input, Proposal, Refusal, Role};
use kvorum_core::store::Root;
use kvorum_proto::etcdserverpb::{
    InternalRaftRequest, LeaseCheckpoint, LeaseCheckpointRequest, LeaseExpireRequest,
};
use kvorum_proto::kvorumpb::peer_client::PeerClient;
use kvorum_proto::kvorumpb::{LeaseRemainingRequest, LeaseRenewRequest};
use parking_lot::{Condvar, Mutex};
use prost::Message;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;

use super::{Handle, Leadership, RequestError};
use crate::limits::{CHECKPOINT_BATCH, EXPIRE_BATCH, EXPIRE_PAUSE, LEASE_CHECK_INTERVAL};

/// The lessor, and since when it speaks for the leader.
pub(crate) struct Leases {
    lessor: Mutex<Lessor>,
    /// The term in which it knows all leases; 0 while this member does not lead.
    since: watch::Sender<u64>,
    /// Zero of its clock.
    start: Instant,
    driver: Mutex<Driver>,
    wake: Condvar,
}

#[derive(Default)]
struct Driver {
    news: bool,
    closed: bool,
}

impl Leases {
    /// What is left of leases is written down so often.
    pub(super) fn new(checkpoint_interval: Duration) -> Leases {
        let checkpoint_ms = u64::try_from(checkpoint_interval.as_millis()).unwrap_or(u64::MAX);
        Leases {
            lessor: Mutex::new(Lessor::new(checkpoint_ms)),
            since: watch::Sender::new(0),
            start: Instant::now(),
            driver: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    /// What was applied; `root` is the state after it, and already published.
    pub(super) fn note(&self, news: &LeaseNews, root: &Root) {
        if !news.is_empty() {
            let now_ms = self.now_ms();
            self.lessor.lock().note(news, root, now_ms);
        }
    }

    /// Another state has taken the place of the one before and is published. Who leads already took
    /// the leases over from the old one: it does so anew.
    pub(super) fn replaced(&self) {
        let mut lessor = self.lessor.lock();
        self.since.send_replace(0);
        lessor.demote();
        drop(lessor);
        self.wake();
    }

    /// The role changed, or the state is another one.
    pub(super) fn wake(&self) {
        self.driver.lock().news = true;
        self.wake.notify_one();
    }

    pub(super) fn close(&self) {
        self.driver.lock().closed = true;
        self.wake.notify_one();
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes the leases over if this member leads and does not know them; lets them go if it does
    /// not lead any longer.
    fn follow(&self, leadership: Leadership, root: &ArcSwap<Root>, extend: Duration) {
        let leads = leadership.role == Role::Leader;
        let known = *self.since.borrow();
        if leads && known != leadership.term {
            let mut lessor = self.lessor.lock();
            // Read under the lock: what is applied later is noted after the promotion.
            let root = root.load();
            lessor.promote(self.now_ms(), root.leases(), extend.as_millis() as u64);
            self.since.send_replace(leadership.term);
        } else if !leads && known != 0 {
            self.since.send_replace(0);
            self.lessor.lock().demote();
        }
    }

    /// Waits for news, or at most so long; says whether to go on.
    fn wait(&self, pause: Duration) -> bool {
        let mut driver = self.driver.lock();
        if !driver.news && !driver.closed {
            self.wake.wait_for(&mut driver, pause);
        }
        driver.news = false;
        !driver.closed
    }
}

/// The lease thread: takes over the leases when this member begins to lead, and proposes the end
/// of those whose time is over.
pub(super) fn run(handle: &Handle) {
    let leases = &handle.leases;
    let mut pause = LEASE_CHECK_INTERVAL;
    while leases.wait(pause) {
        let leadership = handle.leadership();
        leases.follow(leadership, &handle.root, handle.limits.election_timeout);
        pause = LEASE_CHECK_INTERVAL;
        if leadership.role == Role::Leader && propose_due(handle, leadership.term) {
            pause = EXPIRE_PAUSE;
        }
    }
}

/// Nobody waits for these; the lessor hands out again what does not come to pass. Says whether
/// there may be more.
fn propose_due(handle: &Handle, term: u64) -> bool {
    let now_ms = handle.leases.now_ms();
    let root = handle.root();
    let keys = |id| usize::try_from(root.lease_key_count(id)).unwrap_or(usize::MAX);
    let cost = |id| keys(id).saturating_add(1);
    let (expired, checkpoints) = {
        let mut lessor = handle.leases.lessor.lock();
        let expired = lessor.expired(now_ms, EXPIRE_BATCH, cost);
        (expired, lessor.checkpoints_due(now_ms, CHECKPOINT_BATCH))
    };
    let more = expired.iter().map(|id| cost(*id)).sum::<usize>() >= EXPIRE_BATCH
        || checkpoints.len() >= CHECKPOINT_BATCH;
    if !expired.is_empty() {
        handle.metrics.leases_expired.add(expired.len() as u64);
        let lease_expire = Some(LeaseExpireRequest { i_ds: expired, term });
        propose(handle, InternalRaftRequest { lease_expire, ..Default::default() });
    }
    if !checkpoints.is_empty() {
        let lease_checkpoint = Some(LeaseCheckpointRequest { checkpoints });
        propose(handle, InternalRaftRequest { lease_checkpoint, ..Default::default() });
    }
    more
}

fn propose(handle: &Handle, mut request: InternalRaftRequest) {
    let id = handle.ids.next();
    request.header = Some(Principal::Member.header(id));
    let entry = request.encode_to_vec().into();
    handle.inbox.push(Input::Propose(Proposal { id, entry }));
}

/// Between two tries to reach the leader.
const RETRY: Duration = Duration::from_millis(50);

impl Handle {
    /// Keeps a lease alive, by whoever leads: its TTL in seconds, or 0 if there is no such lease.
    pub(crate) async fn lease_renew(&self, id: i64) -> Result<i64, RequestError> {
        let request = LeaseRenewRequest { cluster_id: self.identity.cluster_id, id };
        self.by_leader(
            || self.lease_renew_here(id),
            |mut peer| async move {
                peer.lease_renew(request).await.map(|response| response.into_inner().ttl)
            },
        )
        .await
    }

    /// What is left of a lease in whole seconds, by whoever leads; -1 if there is no such lease.
    pub(crate) async fn lease_remaining(&self, id: i64) -> Result<i64, RequestError> {
        let request = LeaseRemainingRequest { cluster_id: self.identity.cluster_id, id };
        self.by_leader(
            || self.lease_remaining_here(id),
            |mut peer| async move {
                peer.lease_remaining(request).await.map(|response| response.into_inner().remaining)
            },
        )
        .await
    }

    /// The same by this member, which must lead.
    pub(crate) async fn lease_renew_here(&self, id: i64) -> Result<i64, RequestError> {
        let renewal = self.ask_lessor(|lessor, now_ms| lessor.renew(id, now_ms)).await?;
        let Some(renewal) = renewal else {
            // Its time may be over and its end on the way: nobody must hear that a lease is gone
            // and still read its keys. It is asked again, as when the leader changes.
            let ends = self.root().lease(id).is_some();
            return if ends { Err(RequestError::Refused(Refusal::LeaderChanged)) } else { Ok(0) };
        };
        if renewal.clear_checkpoint {
            let checkpoints = vec![LeaseCheckpoint { id, remaining_ttl: 0 }];
            let lease_checkpoint = Some(LeaseCheckpointRequest { checkpoints });
            let entry = InternalRaftRequest { lease_checkpoint, ..Default::default() };
            self.write(entry, &Principal::Member).await?;
        }
        Ok(renewal.ttl_s)
    }

    pub(crate) async fn lease_remaining_here(&self, id: i64) -> Result<i64, RequestError> {
        let remaining_ms =
            self.ask_lessor(|lessor, now_ms| lessor.remaining_ms(id, now_ms)).await?;
        Ok(remaining_ms.map_or(-1, |ms| (ms / 1000) as i64))
    }

    /// Asks the lessor here once it knows every grant and revocation that was acknowledged
    /// anywhere before this call. The barrier also shows that a leader which does not know yet
    /// that it was deposed, and so may lack a revocation, is none.
    async fn ask_lessor<T>(
        &self,
        ask: impl FnOnce(&mut Lessor, u64) -> T,
    ) -> Result<T, RequestError> {
        // First, so that a member which does not lead says so at once.
        self.lead_leases().await?;
        self.read_barrier().await?;
        let leases = &self.leases;
        let mut lessor = leases.lessor.lock();
        // Under the lock: a lessor knows no leases once it is demoted, which is only after
        // `since` says so.
        let leadership = self.leadership();
        if leadership.role != Role::Leader || *leases.since.borrow() != leadership.term {
            return Err(RequestError::Refused(Refusal::LeaderChanged));
        }
        Ok(ask(&mut lessor, leases.now_ms()))
    }

    /// Makes sure that the lessor here speaks for the leader.
    async fn lead_leases(&self) -> Result<(), RequestError> {
        let leadership = self.leadership();
        if leadership.role != Role::Leader {
            return Err(RequestError::Refused(Refusal::LeaderChanged));
        }
        let mut since = self.leases.since.subscribe();
        let there = since.wait_for(|term| *term == leadership.term);
        match timeout(self.limits.election_timeout, there).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(RequestError::Stopped),
            Err(_) => Err(RequestError::Refused(Refusal::LeaderChanged)),
        }
    }

    /// Asks the leader, here or there, and asks again while it changes, for as long as a request
    /// may take.
    async fn by_leader<Here, There>(
        &self,
        here: impl Fn() -> Here,
        there: impl Fn(PeerClient<Channel>) -> There,
    ) -> Result<i64, RequestError>
    where
        Here: Future<Output = Result<i64, RequestError>>,
        There: Future<Output = Result<i64, tonic::Status>>,
    {
        let until = Instant::now() + self.limits.request_timeout;
        loop {
            let leader = self.leader().await?;
            let answer = if leader == self.identity.member_id {
                here().await
            } else if let Some(channel) = self.peers.channel(leader) {
                let left = until.saturating_duration_since(Instant::now());
                match timeout(left, there(PeerClient::new(channel))).await {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(_)) | Err(_) => Err(RequestError::Refused(Refusal::Timeout)),
                }
            } else {
                Err(RequestError::Refused(Refusal::NoLeader))
            };
            match answer {
                Err(RequestError::Refused(refusal)) => {
                    if Instant::now() >= until {
                        return Err(RequestError::Refused(refusal));
                    }
                    sleep(RETRY).await;
                }
                answer => return answer,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kvorum_core::store::Store;
    use kvorum_proto::etcdserverpb::LeaseGrantRequest;
    use raft_proto::eraftpb::ConfState;

    use super::*;

    const ELECTION: Duration = Duration::from_secs(1);

    #[test]
    fn who_leads_before_a_snapshot_is_in_place_takes_over_the_leases_that_it_brings() {
        let mut store = Store::bootstrap(Vec::new(), ConfState::default());
        let published = ArcSwap::from_pointee(store.root());
        let leases = Leases::new(Duration::from_secs(60));
        let leadership = Leadership { role: Role::Leader, term: 2, leader: 1 };
        leases.follow(leadership, &published, ELECTION);

        let lease_grant = Some(LeaseGrantRequest { id: 7, ttl: 60 });
        store.apply(1, 1, &InternalRaftRequest { lease_grant, ..Default::default() });
        published.store(Arc::new(store.root()));
        leases.replaced();
        assert_eq!(*leases.since.borrow(), 0, "it does not speak for the leader meanwhile");
        leases.follow(leadership, &published, ELECTION);
        assert_eq!(*leases.since.borrow(), 2);
        let now_ms = leases.now_ms();
        assert!(leases.lessor.lock().renew(7, now_ms).is_some(), "it can be kept alive");
        assert_eq!(leases.lessor.lock().expired(u64::MAX / 2, 9, |_| 1), [7], "and it expires");
    }

    #[test]
    fn who_does_not_lead_any_longer_knows_no_leases() {
        let published =
            ArcSwap::from_pointee(Store::bootstrap(Vec::new(), ConfState::default()).root());
        let leases = Leases::new(Duration::from_secs(60));
        leases.follow(Leadership { role: Role::Leader, term: 2, leader: 1 }, &published, ELECTION);
        assert_eq!(*leases.since.borrow(), 2);
        leases.follow(
            Leadership { role: Role::Follower, term: 3, leader: 2 },
            &published,
            ELECTION,
        );
        assert_eq!(*leases.since.borrow(), 0);
        leases.replaced();
        leases.follow(
            Leadership { role: Role::Follower, term: 3, leader: 2 },
            &published,
            ELECTION,
        );
        assert_eq!(*leases.since.borrow(), 0);
    }
}
