//! How much a member may hold, and the alarm NOSPACE.
//!
//! Two figures say what a member holds, and this is the one place that defines them. `size` is the
//! backend's file. `in_use` is what is alive in it: keys, values and leases with what their records
//! take, history that is not compacted included ([`Root::size_bytes`]). The quota is about
//! `in_use`: the file keeps room that was freed and uses it again, so what a person frees by
//! deleting and compacting shows in `in_use` without a defragmentation, as fast as what the
//! compaction ended is swept.
//!
//! A request that would take more than is left is refused by the member that was asked, before the
//! log, and that member raises the alarm in its own name, as etcd does; from then on every member
//! refuses, for applying looks at the alarm and at nothing else. The leader raises it also when it
//! finds itself beyond its quota, after a flag was changed or a burst was let in. Whoever raised
//! the alarm takes it back once it is below [`CLEARED_PERCENT`] of its quota; the leader does so
//! for a member that is not there.
//! An alarm that a person raised, in the name of a member that never did, stays until a person
//! takes it back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kvorum_core::auth::Principal;
use kvorum_core::store::Root;
use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmType, InternalRaftRequest, PutRequest, RequestOp, TxnRequest,
};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::{Handle, RequestError};
use crate::identity::hex;
use crate::storage::backend::Values;

/// etcd's default.
const DEFAULT_BYTES: u64 = 2 << 30;

/// Beyond this etcd warns: a member so large takes long to start and to be copied.
const ADVISED_BYTES: u64 = 8 << 30;

/// The alarm is taken back at this much of the quota. Far enough from it that a cluster that is
/// just full does not go back and forth, near enough that it need not be half empty.
const CLEARED_PERCENT: u64 = 90;

/// At these the log warns, once, and again only after it was [`REARMED_PERCENT`] below.
const WARNED_PERCENT: [u64; 2] = [80, 90];
const REARMED_PERCENT: u64 = 5;

/// How often the member looks at what it holds.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Looks after which the leader speaks for a member that is not there: 10 s.
const ABSENT_LOOKS: u32 = 20;

/// What etcd takes a key's metadata, and a lease, to cost.
const KEY_OVERHEAD_BYTES: u64 = 256;
const LEASE_BYTES: u64 = 64;

/// What a member holds, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// The backend's file.
    pub(crate) size: u64,
    /// What is alive, and what the quota is about.
    pub(crate) in_use: u64,
    /// What `in_use` may be; `None` for no limit.
    pub(crate) quota: Option<u64>,
    /// etcd's flag for the quota, as it was given.
    flag: i64,
}

impl Space {
    /// The quota as it is told to clients; as in etcd a negative one is none.
    pub(crate) fn reported_quota(self) -> i64 {
        self.quota.map_or(self.flag, |quota| quota as i64)
    }
}

/// The quota of one member.
pub(crate) struct Quota {
    limit: Option<u64>,
    flag: i64,
    /// This member has raised the alarm since it started, or found it raised then. It is not
    /// forgotten when the alarm goes: an alarm that nobody takes back is worse than one of a person
    /// that is taken back.
    raised_here: AtomicBool,
    /// One request raises the alarm for all.
    raising: Semaphore,
}

impl Quota {
    /// With `flag` as `--quota-backend-bytes` says it.
    pub(super) fn new(flag: i64) -> Quota {
        let limit = match u64::try_from(flag) {
            Ok(0) => Some(DEFAULT_BYTES),
            Ok(bytes) => Some(bytes),
            Err(_) => None,
        };
        match limit {
            Some(quota_bytes) if quota_bytes > ADVISED_BYTES => tracing::warn!(
                quota_bytes,
                advised_bytes = ADVISED_BYTES,
                "quota exceeds the maximum value that is advised"
            ),
            Some(quota_bytes) => tracing::info!(quota_bytes, "enabled backend quota"),
            None => tracing::info!("disabled backend quota"),
        }
        Quota { limit, flag, raised_here: AtomicBool::new(false), raising: Semaphore::new(1) }
    }

    /// Whether a request of this cost may still be proposed.
    fn admits(&self, in_use: u64, cost: u64) -> bool {
        cost == 0 || self.limit.is_none_or(|limit| in_use.saturating_add(cost) < limit)
    }
}

impl Handle {
    pub(crate) fn space(&self) -> Space {
        let in_use = self.root().size_bytes();
        // The file is behind by what is not committed yet.
        let size = self.values.size_bytes().unwrap_or(0).max(in_use);
        Space { size, in_use, quota: self.quota.limit, flag: self.quota.flag }
    }

    /// Refuses what there is no room for, and then raises the alarm.
    pub(super) async fn admit(&self, request: &InternalRaftRequest) -> Result<(), RequestError> {
        if self.quota.admits(self.root().size_bytes(), cost(request)) {
            return Ok(());
        }
        // Those who come while it is being raised are refused alike.
        if let Ok(_raising) = self.quota.raising.try_acquire()
            && !is_raised(&self.root(), self.identity.member_id)
        {
            self.raise_no_space().await;
        }
        Err(RequestError::Store(kvorum_core::error::StoreError::NoSpace))
    }

    async fn raise_no_space(&self) {
        let Space { in_use, quota, .. } = self.space();
        tracing::warn!(
            in_use_bytes = in_use,
            quota_bytes = quota,
            "the space quota is used up: writes are refused from now on; delete keys and compact"
        );
        self.quota.raised_here.store(true, Ordering::Relaxed);
        self.set_alarm(AlarmAction::Activate, self.identity.member_id).await;
    }

    /// Tried again at the next look if it does not succeed.
    async fn set_alarm(&self, action: AlarmAction, member_id: u64) {
        let alarm = AlarmType::Nospace as i32;
        let alarm = AlarmRequest { action: action as i32, member_id, alarm };
        let entry = InternalRaftRequest { alarm: Some(alarm), ..InternalRaftRequest::default() };
        if let Err(error) = self.propose(entry, &Principal::Member).await {
            tracing::warn!(error = %error, "the alarm NOSPACE could not be changed yet");
        }
    }
}

/// Raises the alarm, takes it back and warns, as long as the member runs.
pub(super) async fn guard(handle: Handle) {
    let me = handle.identity.member_id;
    // The state that the member began with may be older than its last alarm, which is in the log.
    let mut leadership = handle.leadership.subscribe();
    let _ = leadership.wait_for(|leadership| leadership.leader != 0).await;
    while handle.read_barrier().await.is_err() {
        sleep(LOOK_INTERVAL).await;
    }
    if is_raised(&handle.root(), me) {
        handle.quota.raised_here.store(true, Ordering::Relaxed);
    }
    let Some(limit) = handle.quota.limit else {
        // Who has no quota any more would never take it back.
        while is_raised(&handle.root(), me) {
            take_back(&handle, me).await;
            sleep(LOOK_INTERVAL).await;
        }
        return;
    };
    let mut gauge = Gauge::new(limit);
    loop {
        sleep(LOOK_INTERVAL).await;
        let root = handle.root();
        let leads = handle.is_leader();
        let absent = if leads { absent(&handle, &root) } else { None };
        let sight = Sight {
            in_use: root.size_bytes(),
            leads,
            raised: is_raised(&root, me),
            raised_here: handle.quota.raised_here.load(Ordering::Relaxed),
            absent: absent.is_some(),
        };
        for act in gauge.look(sight) {
            match act {
                Act::Raise => handle.raise_no_space().await,
                Act::TakeBack => take_back(&handle, me).await,
                Act::TakeBackAbsent => take_back(&handle, absent.unwrap_or(me)).await,
                Act::Warn { percent } => tracing::warn!(
                    percent,
                    in_use_bytes = sight.in_use,
                    quota_bytes = limit,
                    "the space quota is nearly used up; delete keys and compact"
                ),
            }
        }
    }
}

async fn take_back(handle: &Handle, member: u64) {
    tracing::info!(
        member_id = hex(member),
        in_use_bytes = handle.root().size_bytes(),
        "there is space again: the alarm NOSPACE is taken back"
    );
    handle.set_alarm(AlarmAction::Deactivate, member).await;
}

/// A member that the alarm names and that the leader has not heard of lately.
fn absent(handle: &Handle, root: &Root) -> Option<u64> {
    let active = handle.progress.active.lock();
    let named = |id: u64| root.alarms().contains(&no_space(id));
    let others = root.members().iter().map(|member| member.id);
    let mut others = others.filter(|id| *id != handle.identity.member_id);
    others.find(|id| named(*id) && !active.contains(id))
}

fn is_raised(root: &Root, member: u64) -> bool {
    root.alarms().contains(&no_space(member))
}

fn no_space(member_id: u64) -> AlarmMember {
    AlarmMember { member_id, alarm: AlarmType::Nospace as i32 }
}

/// What one look finds.
#[derive(Clone, Copy, Debug)]
struct Sight {
    in_use: u64,
    leads: bool,
    /// The alarm names this member.
    raised: bool,
    raised_here: bool,
    /// The alarm names a member that is not there.
    absent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Raise,
    TakeBack,
    TakeBackAbsent,
    Warn { percent: u64 },
}

/// Decides from look to look.
struct Gauge {
    limit: u64,
    /// The level that was warned of last.
    warned: u64,
    absent_looks: u32,
}

impl Gauge {
    fn new(limit: u64) -> Gauge {
        Gauge { limit, warned: 0, absent_looks: 0 }
    }

    fn look(&mut self, sight: Sight) -> Vec<Act> {
        let mut acts = Vec::new();
        let percent = self.percent(sight.in_use);
        let level = WARNED_PERCENT.into_iter().rfind(|level| percent >= *level).unwrap_or(0);
        if level > self.warned {
            acts.push(Act::Warn { percent });
            self.warned = level;
        } else if percent + REARMED_PERCENT < self.warned {
            self.warned = level;
        }
        let room = percent <= CLEARED_PERCENT;
        if sight.raised {
            if sight.raised_here && room {
                acts.push(Act::TakeBack);
            }
        } else if sight.leads && sight.in_use >= self.limit {
            acts.push(Act::Raise);
        }
        self.absent_looks = if sight.absent && room { self.absent_looks + 1 } else { 0 };
        if self.absent_looks >= ABSENT_LOOKS {
            self.absent_looks = 0;
            acts.push(Act::TakeBackAbsent);
        }
        acts
    }

    fn percent(&self, in_use: u64) -> u64 {
        // Rounded up, so that 100 is not said before it is reached and 90 not while it is more.
        let percent = (u128::from(in_use) * 100).div_ceil(u128::from(self.limit.max(1)));
        u64::try_from(percent).unwrap_or(u64::MAX)
    }
}

/// What a request may take, as etcd counts it; 0 for one that takes nothing, which is always
/// let in. Of a transaction it is the dearer branch, with the transactions within (etcd #22139).
fn cost(request: &InternalRaftRequest) -> u64 {
    let put = request.put.as_ref().map_or(0, cost_of_put);
    let txn = request.txn.as_ref().map_or(0, cost_of_txn);
    let lease = if request.lease_grant.is_some() { LEASE_BYTES } else { 0 };
    put.saturating_add(txn).saturating_add(lease)
}

fn cost_of_put(put: &PutRequest) -> u64 {
    KEY_OVERHEAD_BYTES + put.key.len() as u64 + put.value.len() as u64
}

fn cost_of_txn(txn: &TxnRequest) -> u64 {
    let branch = |ops: &[RequestOp]| -> u64 {
        let costs = ops.iter().map(|op| match &op.request {
            Some(Request::RequestPut(put)) => cost_of_put(put),
            Some(Request::RequestTxn(nested)) => cost_of_txn(nested),
            Some(Request::RequestRange(_) | Request::RequestDeleteRange(_)) | None => 0,
        });
        costs.sum()
    };
    branch(&txn.success).max(branch(&txn.failure))
}

#[cfg(test)]
mod tests {
    use kvorum_proto::etcdserverpb::{DeleteRangeRequest, LeaseGrantRequest};

    use super::*;

    const QUIET: Sight =
        Sight { in_use: 0, leads: true, raised: false, raised_here: false, absent: false };

    fn put(key: &'static str, value: &'static str) -> PutRequest {
        PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() }
    }

    fn op(request: Request) -> RequestOp {
        RequestOp { request: Some(request) }
    }

    #[test]
    fn a_request_costs_what_etcd_says_and_nested_transactions_count() {
        let txn = |success, failure| TxnRequest { compare: vec![], success, failure };
        let one = op(Request::RequestPut(put("key", "value")));
        let two = vec![one.clone(), one.clone()];
        let nested = op(Request::RequestTxn(txn(two.clone(), vec![one.clone()])));
        let delete = op(Request::RequestDeleteRange(DeleteRangeRequest::default()));
        let of_txn = |txn| InternalRaftRequest { txn: Some(txn), ..Default::default() };
        for (request, expected) in [
            (InternalRaftRequest { put: Some(put("key", "value")), ..Default::default() }, 264),
            (
                InternalRaftRequest {
                    lease_grant: Some(LeaseGrantRequest::default()),
                    ..Default::default()
                },
                64,
            ),
            (of_txn(txn(vec![one.clone()], two)), 528),
            (of_txn(txn(vec![nested], vec![one])), 528),
            (of_txn(txn(vec![delete], vec![])), 0),
            (InternalRaftRequest::default(), 0),
        ] {
            assert_eq!(cost(&request), expected, "{request:?}");
        }
    }

    #[test]
    fn zero_is_the_default_and_less_is_no_limit() {
        assert_eq!(Quota::new(0).limit, Some(2 << 30));
        assert_eq!(Quota::new(-1).limit, None);
        assert!(Quota::new(-1).admits(u64::MAX, 1));
    }

    #[test]
    fn what_costs_nothing_is_let_in_however_full_it_is() {
        let quota = Quota::new(1000);
        assert!(quota.admits(735, 264));
        assert!(!quota.admits(736, 264));
        assert!(quota.admits(5000, 0));
    }

    #[test]
    fn the_alarm_is_taken_back_at_nine_tenths_by_whoever_raised_it() {
        let mut gauge = Gauge::new(1000);
        gauge.warned = 90;
        let full = Sight { in_use: 1000, ..QUIET };
        assert_eq!(gauge.look(full), [Act::Raise]);
        assert_eq!(gauge.look(Sight { leads: false, ..full }), []);
        let raised = Sight { raised: true, raised_here: true, ..full };
        assert_eq!(gauge.look(Sight { in_use: 901, ..raised }), []);
        assert_eq!(gauge.look(Sight { in_use: 900, ..raised }), [Act::TakeBack]);
        assert_eq!(gauge.look(Sight { in_use: 900, leads: false, ..raised }), [Act::TakeBack]);
        // What a person raised, a person takes back.
        assert_eq!(gauge.look(Sight { in_use: 0, raised_here: false, ..raised }), []);
    }

    #[test]
    fn an_alarm_that_somebody_took_back_returns_while_there_is_no_space() {
        let mut gauge = Gauge::new(1000);
        gauge.warned = 90;
        let raised = Sight { in_use: 1001, raised: true, raised_here: true, ..QUIET };
        assert_eq!(gauge.look(raised), []);
        assert_eq!(gauge.look(Sight { raised: false, ..raised }), [Act::Raise]);
        assert_eq!(gauge.look(raised), []);
        let disarmed = Sight { in_use: 999, raised: false, ..raised };
        assert_eq!(gauge.look(disarmed), []);
    }

    #[test]
    fn the_leader_speaks_for_a_member_that_stays_away() {
        let mut gauge = Gauge::new(1000);
        let away = Sight { absent: true, ..QUIET };
        for _ in 1..ABSENT_LOOKS {
            assert_eq!(gauge.look(away), []);
        }
        assert_eq!(gauge.look(away), [Act::TakeBackAbsent]);
        for _ in 1..ABSENT_LOOKS {
            assert_eq!(gauge.look(away), []);
        }
        assert_eq!(gauge.look(QUIET), []);
        assert_eq!(gauge.look(away), []);
    }

    #[test]
    fn it_warns_at_eight_and_at_nine_tenths_once_each() {
        let mut gauge = Gauge::new(1000);
        let mut at = |in_use| gauge.look(Sight { in_use, ..QUIET });
        assert_eq!(at(790), []);
        assert_eq!(at(800), [Act::Warn { percent: 80 }]);
        assert_eq!(at(850), []);
        assert_eq!(at(795), []);
        assert_eq!(at(801), []);
        assert_eq!(at(950), [Act::Warn { percent: 95 }]);
        assert_eq!(at(870), []);
        assert_eq!(at(910), []);
        assert_eq!(at(700), []);
        assert_eq!(at(800), [Act::Warn { percent: 80 }]);
    }
}
