//! The member itself: its status, alarms and leadership.

use std::pin::Pin;
use std::sync::atomic::Ordering;

use kvorum_core::node::{Input, Refusal};
use kvorum_core::store::{Reply, Root};
use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
use kvorum_proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, AlarmType, DefragmentRequest, DefragmentResponse,
    DowngradeInfo, DowngradeRequest, DowngradeResponse, HashKvRequest, HashKvResponse, HashRequest,
    HashResponse, InternalRaftRequest, MoveLeaderRequest, MoveLeaderResponse, SnapshotRequest,
    SnapshotResponse, StatusRequest, StatusResponse, maintenance_server,
};
use tokio::time::timeout;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::status::{Refused, not_a, not_yet, of_refusal, of_request};
use crate::runtime::{Handle, RequestError};
use crate::storage::backend::Values;
use crate::version::{CLUSTER_VERSION, ETCD_VERSION};

pub(super) struct Maintenance(pub(super) Handle);

#[tonic::async_trait]
impl maintenance_server::Maintenance for Maintenance {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let root = self.0.root();
        let (leadership, progress) = (self.0.leadership(), &self.0.progress);
        let size = self.0.values.size_bytes().unwrap_or(0);
        let mut errors = Vec::new();
        if leadership.leader == 0 {
            errors.push("etcdserver: no leader".to_owned());
        }
        if progress.incomplete.load(Ordering::Relaxed) {
            errors.push(INCOMPLETE.to_owned());
        }
        errors.extend(root.alarms().iter().map(alarm_text));
        Ok(Response::new(StatusResponse {
            header: Some(self.0.header(root.revision())),
            version: ETCD_VERSION.to_owned(),
            db_size: size as i64,
            db_size_in_use: self.0.values.in_use_bytes().min(size) as i64,
            leader: leadership.leader,
            raft_index: progress.committed.load(Ordering::Relaxed),
            raft_applied_index: progress.applied.load(Ordering::Relaxed),
            raft_term: leadership.term,
            errors,
            is_learner: is_learner(&root, self.0.identity.member_id),
            storage_version: CLUSTER_VERSION.to_owned(),
            db_size_quota: QUOTA_BYTES,
            downgrade_info: Some(DowngradeInfo::default()),
        }))
    }

    async fn alarm(
        &self,
        request: Request<AlarmRequest>,
    ) -> Result<Response<AlarmResponse>, Status> {
        let alarm = request.into_inner();
        let (revision, alarms) = if alarm.action == AlarmAction::Get as i32 {
            let root = self.0.root();
            let wanted = root.alarms().iter().filter(|raised| {
                alarm.alarm == AlarmType::None as i32 || raised.alarm == alarm.alarm
            });
            (root.revision(), wanted.copied().collect())
        } else {
            let entry = InternalRaftRequest { alarm: Some(alarm), ..Default::default() };
            let outcome = self.0.write(entry).await.map_err(of_request)?;
            let Reply::Alarms(alarms) = outcome.reply else { return Err(not_a("alarm")) };
            (outcome.revision, alarms)
        };
        Ok(Response::new(AlarmResponse { header: Some(self.0.header(revision)), alarms }))
    }

    /// Answers once the other leads. As in etcd the answer has no header.
    async fn move_leader(
        &self,
        request: Request<MoveLeaderRequest>,
    ) -> Result<Response<MoveLeaderResponse>, Status> {
        let to = request.into_inner().target_id;
        if !self.0.is_leader() {
            return Err(Refused::NotLeader.into());
        }
        let root = self.0.root();
        if !root.members().iter().any(|member| member.id == to) || is_learner(&root, to) {
            return Err(Refused::BadLeaderTransferee.into());
        }
        let mut news = self.0.leadership.subscribe();
        self.0.inbox.push(Input::TransferLeader { to });
        let moved = news.wait_for(|leadership| leadership.leader == to);
        match timeout(self.0.limits.request_timeout, moved).await {
            Ok(Ok(_)) => Ok(Response::new(MoveLeaderResponse { header: None })),
            Ok(Err(_)) => Err(of_request(RequestError::Stopped)),
            Err(_) => Err(of_refusal(Refusal::Timeout)),
        }
    }

    async fn defragment(
        &self,
        _: Request<DefragmentRequest>,
    ) -> Result<Response<DefragmentResponse>, Status> {
        Err(not_yet("defragmentation is"))
    }

    async fn hash(&self, _: Request<HashRequest>) -> Result<Response<HashResponse>, Status> {
        Err(not_yet("the hash of the backend is"))
    }

    async fn hash_kv(&self, _: Request<HashKvRequest>) -> Result<Response<HashKvResponse>, Status> {
        Err(not_yet("the hash of the keys is"))
    }

    type SnapshotStream = Pin<Box<dyn Stream<Item = Result<SnapshotResponse, Status>> + Send>>;

    async fn snapshot(
        &self,
        _: Request<SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        Err(not_yet("taking a snapshot is"))
    }

    async fn downgrade(
        &self,
        _: Request<DowngradeRequest>,
    ) -> Result<Response<DowngradeResponse>, Status> {
        Err(not_yet("downgrading is"))
    }
}

/// etcd's default quota; reported, not enforced yet.
const QUOTA_BYTES: i64 = 2 << 30;

/// A state that etcd does not have.
const INCOMPLETE: &str = "kvorum: the log was damaged, and this member does not vote until it has \
                          got back from the leader what was lost; while there is none, start \
                          the members that are down, and if too many logs are damaged for the \
                          others to elect one, restore the cluster from a backup";

fn is_learner(root: &Root, member: u64) -> bool {
    root.members()
        .iter()
        .filter(|known| known.id == member)
        .filter_map(|known| known.raft_attributes.as_ref())
        .any(|raft| raft.is_learner)
}

/// As Go prints the message.
fn alarm_text(alarm: &AlarmMember) -> String {
    let kind = AlarmType::try_from(alarm.alarm).unwrap_or(AlarmType::None);
    format!("memberID:{} alarm:{} ", alarm.member_id, kind.as_str_name())
}
