//! What the services of a member see of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use kvorum_core::auth::Principal;
use kvorum_core::error::StoreError;
use kvorum_core::node::{Input, Proposal, Refusal, Role};
use kvorum_core::store::{RangeReply, Revision, Root, Value, Version};
use kvorum_proto::etcdserverpb::{InternalRaftRequest, ResponseHeader};
use parking_lot::Mutex;
use prost::Message;
use thiserror::Error;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time;

use super::backend_thread::StoreWork;
use super::divergence::States;
use super::leases::Leases;
use super::queue::Queue;
use super::quota::Quota;
use super::read_budget::ReadBudget;
use super::snapshots::{IncomingPlace, Snapshots};
use super::stop::Stop;
use super::waiters::{Reads, Writes};
use super::watches::Watches;
use crate::auth::{Passwords, Tokens};
use crate::config::HttpConfig;
use crate::identity::{Identity, RequestIds};
use crate::limits::{MAX_APPLY_GAP, SORTED_VALUES_BYTES};
use crate::metrics::Metrics;
use crate::peer::Peers;
use crate::stage::{Found, Outcome, StoredValues};

/// Why a request got no answer from the state machine, or a refusal.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum RequestError {
    #[error("refused: {0:?}")]
    Refused(Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("request is too large")]
    TooLarge,
    #[error("more old values than can be sorted; sort by something else, or read the newest ones")]
    TooMuchToSort,
    #[error("the transaction reads more than one may; divide it, or ask for fewer keys")]
    TooMuchToRead,
    #[error("too many large reads are under way; try again later, or read in pages, with a limit")]
    TooManyReads,
    #[error("the store is defragmented or replaced already; try again when that is done")]
    StoreBusy,
    #[error("what was written before the read is not applied here in time")]
    NotApplied,
    #[error("the member stops")]
    Stopped,
    #[error("cannot read a value back: {0}")]
    Storage(String),
}

/// Who leads, as far as this member knows; 0 for nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leadership {
    pub(crate) role: Role,
    pub(crate) term: u64,
    pub(crate) leader: u64,
}

/// How far the log is, for answers about the member itself.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) committed: AtomicU64,
    pub(crate) applied: AtomicU64,
    pub(crate) term: AtomicU64,
    /// The log was damaged, and what it lost is not back yet.
    pub(crate) incomplete: AtomicBool,
    /// Messages of peers that the node dropped because they made no sense.
    pub(crate) rejected: AtomicU64,
    /// Streams of peers that were turned away, or ended for what came on them.
    pub(crate) turned_away: AtomicU64,
    /// Peers that this member, leading, has heard of lately.
    pub(crate) active: Mutex<Vec<u64>>,
}

impl Progress {
    /// Whether so much waits to be applied that nothing more is taken on.
    fn lags(&self) -> bool {
        let committed = self.committed.load(Ordering::Relaxed);
        let applied = self.applied.load(Ordering::Relaxed);
        committed.saturating_sub(applied) > MAX_APPLY_GAP
    }
}

/// What a member's services may choose and must keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLimits {
    pub(crate) max_request_bytes: usize,
    pub(crate) max_txn_ops: usize,
    pub(crate) max_concurrent_streams: u32,
    pub(crate) request_timeout: Duration,
    pub(crate) election_timeout: Duration,
    pub(crate) snapshot_stall_timeout: Duration,
}

/// Everything the threads of a member share. What changes in it is published by exactly one of
/// them: the root, the applied index and the leases' grants by the apply thread, the rest by the
/// node thread.
pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) name: String,
    /// The incarnations of members that stood in the log and not in the state at the start.
    pub(crate) announced: BTreeMap<u64, u64>,
    pub(crate) limits: RequestLimits,
    pub(crate) http: HttpConfig,
    pub(crate) metrics: Metrics,
    pub(crate) ids: RequestIds,
    pub(crate) inbox: Queue<Input>,
    pub(crate) root: ArcSwap<Root>,
    pub(crate) progress: Progress,
    pub(crate) leadership: watch::Sender<Leadership>,
    pub(crate) writes: Writes,
    pub(crate) reads: Reads,
    pub(crate) reading: ReadBudget,
    pub(crate) watches: Watches,
    pub(crate) leases: Leases,
    pub(crate) values: StoredValues,
    pub(crate) peers: Peers,
    pub(crate) states: States,
    pub(crate) snapshots: Snapshots,
    /// How many snapshots may be sent to clients beside those under way.
    pub(crate) sent_snapshots: Arc<Semaphore>,
    pub(super) storing: Arc<Queue<StoreWork>>,
    pub(crate) incoming: IncomingPlace,
    pub(crate) quota: Quota,
    /// One hash of all keys at a time is load enough.
    pub(crate) hashing: Semaphore,
    /// The newest compaction whose history is gone from the disk.
    pub(crate) swept: watch::Sender<i64>,
    /// One for each call that waits for its turn, and each that observes an election.
    pub(crate) waits: Arc<Semaphore>,
    pub(crate) tokens: Tokens,
    pub(crate) passwords: Passwords,
    /// Changes whenever users or roles do: their revision, and whether auth is enabled.
    pub(crate) auth_news: watch::Sender<(u64, bool)>,
    pub(crate) stop: Stop,
}

/// A service's way to the member: writes, reads, and who and where it is.
#[derive(Clone)]
pub(crate) struct Handle(pub(super) Arc<Shared>);

impl std::ops::Deref for Handle {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Handle {
    /// Takes a request through the log, if there is room for what it brings, and answers with what
    /// this member's store made of it; who asks for it is decided upon there.
    pub(crate) async fn write(
        &self,
        request: InternalRaftRequest,
        principal: &Principal,
    ) -> Result<Outcome, RequestError> {
        self.admit(&request).await?;
        self.propose(request, principal).await
    }

    /// The same whether or not there is room.
    pub(super) async fn propose(
        &self,
        mut request: InternalRaftRequest,
        principal: &Principal,
    ) -> Result<Outcome, RequestError> {
        if self.progress.lags() {
            return Err(RequestError::Refused(Refusal::TooManyRequests));
        }
        let id = self.ids.next();
        request.header = Some(principal.header(id));
        let entry = Bytes::from(request.encode_to_vec());
        if entry.len() > self.limits.max_request_bytes {
            return Err(RequestError::TooLarge);
        }
        let answer = self.writes.register(id, entry.len())?;
        self.inbox.push(Input::Propose(Proposal { id, entry }));
        let outcome = self.within(answer, RequestError::Refused(Refusal::Timeout)).await;
        if let Err(RequestError::Refused(_)) = outcome {
            self.metrics.proposals_failed.inc();
        }
        outcome
    }

    /// Waits until everything that was acknowledged anywhere before this call can be read here.
    pub(crate) async fn read_barrier(&self) -> Result<(), RequestError> {
        let id = self.ids.next();
        let ready = self.reads.register(id)?;
        self.inbox.push(Input::Read { id });
        let ready = self.within(ready, RequestError::NotApplied).await;
        if let Err(RequestError::Refused(_) | RequestError::NotApplied) = ready {
            self.metrics.reads_failed.inc();
        }
        ready
    }

    /// A peer says that this member lost its data. It does not serve on if it cannot say
    /// otherwise: if the cluster, as far as it is known here, has not heard of the data it has.
    pub(crate) fn stop_if_made_anew(&self, reason: &str) {
        let root = self.root();
        let own = root.members().iter().find(|member| member.id == self.identity.member_id);
        let known = own.and_then(|own| own.member_attributes.as_ref());
        if known.is_none_or(|known| known.incarnation != self.identity.incarnation) {
            self.stop.fault(reason);
        }
    }

    /// The newest published state.
    pub(crate) fn root(&self) -> Arc<Root> {
        self.root.load_full()
    }

    pub(crate) fn header(&self, revision: i64) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.identity.cluster_id,
            member_id: self.identity.member_id,
            revision,
            raft_term: self.progress.term.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn leadership(&self) -> Leadership {
        *self.leadership.borrow()
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.leadership().role == Role::Leader
    }

    /// Waits for somebody to lead.
    pub(crate) async fn leader(&self) -> Result<u64, RequestError> {
        let mut news = self.leadership.subscribe();
        let leader = time::timeout(
            self.limits.request_timeout,
            news.wait_for(|leadership| leadership.leader != 0),
        );
        match leader.await {
            Ok(Ok(leadership)) => Ok(leadership.leader),
            Ok(Err(_)) => Err(RequestError::Stopped),
            Err(_) => Err(RequestError::Refused(Refusal::NoLeader)),
        }
    }

    /// Finishes an order by values, some of which are not in memory. Blocks on the disk. What is to
    /// be sorted by more old values than may be in memory at a time is refused.
    pub(crate) fn sort(&self, reply: &mut RangeReply) -> Result<(), RequestError> {
        if reply.by_value.is_some() {
            let stored = reply.versions.iter().filter(|version| version.value == Value::Stored);
            let bytes: usize = stored.map(|version| version.value_len as usize).sum();
            if bytes > SORTED_VALUES_BYTES {
                return Err(RequestError::TooMuchToSort);
            }
        }
        reply.sort(|versions| self.values(versions))
    }

    /// Reads back the values an answer lacks, in its order. Blocks on the disk.
    pub(crate) fn resolve(&self, reply: &mut RangeReply) -> Result<(), RequestError> {
        self.sort(reply)?;
        reply.resolve(|versions| self.values(versions))
    }

    /// The value of a version that is not in memory.
    pub(crate) fn value(&self, version: &Version) -> Result<Bytes, RequestError> {
        let mut values = self.values(&[version])?;
        Ok(values.pop().expect("there is a value for each version"))
    }

    /// The values of versions that are not in memory, in their order. Blocks on the disk.
    ///
    /// What was verified at the start may have rotted since: a value that is not the one that was
    /// written is served to nobody, and stops the member.
    pub(crate) fn values(&self, versions: &[&Version]) -> Result<Vec<Bytes>, RequestError> {
        let found = self.values.of(versions).map_err(|error| {
            tracing::error!(error = %error, "cannot read a value back");
            RequestError::Storage(error.to_string())
        })?;
        let pairs = versions.iter().zip(found);
        pairs.map(|(version, found)| self.found(version.at, found)).collect()
    }

    fn found(&self, at: Revision, found: Found) -> Result<Bytes, RequestError> {
        let Revision { main, sub } = at;
        match found {
            Found::Value(value) => Ok(value),
            Found::Nothing => {
                Err(RequestError::Storage(format!("nothing at revision {main}.{sub}")))
            }
            Found::Other => {
                let what = format!(
                    "the store is damaged: the value at revision {main}.{sub} is not the one that \
                     was put"
                );
                self.stop.fault(&what);
                Err(RequestError::Storage(what))
            }
        }
    }

    /// The node has deadlines of its own and refuses with a reason; this one is for what comes after
    /// the node, and for a node that does not answer at all.
    async fn within<T>(
        &self,
        answer: oneshot::Receiver<Result<T, RequestError>>,
        late: RequestError,
    ) -> Result<T, RequestError> {
        let margin = Duration::from_secs(1);
        match time::timeout(self.limits.request_timeout + margin, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(RequestError::Stopped),
            Err(_) => Err(late),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_takes_on_nothing_more_when_it_is_five_thousand_entries_behind() {
        for (committed, applied, lags) in
            [(5_000, 0, false), (5_001, 0, true), (9_000, 4_000, false), (4_000, 9_000, false)]
        {
            let progress = Progress {
                committed: AtomicU64::new(committed),
                applied: AtomicU64::new(applied),
                ..Progress::default()
            };
            assert_eq!(progress.lags(), lags, "{committed} committed, {applied} applied");
        }
    }
}
