//! The member itself: its status, alarms and leadership.

use std::sync::atomic::Ordering;

use kvorum_core::node::{Input, Refusal};
use kvorum_core::store::{Reply, Root};
use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
use kvorum_proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, AlarmType, DefragmentRequest, DefragmentResponse,
    DowngradeInfo, DowngradeRequest, DowngradeResponse, HashKvRequest, HashKvResponse, HashRequest,
    HashResponse, InternalRaftRequest, MoveLeaderRequest, MoveLeaderResponse, SnapshotRequest,
    StatusRequest, StatusResponse, maintenance_server,
};
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use super::principal::Caller;
use super::status::{Refused, not_a, of_refusal, of_request};
use super::{downgrade, hash, snapshot};
use crate::runtime::{Handle, RequestError};
use crate::version::{CLUSTER_VERSION, ETCD_VERSION};

pub(super) struct Maintenance(pub(super) Handle);

#[tonic::async_trait]
impl maintenance_server::Maintenance for Maintenance {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let root = self.0.root();
        let (leadership, progress) = (self.0.leadership(), &self.0.progress);
        let space = self.0.space();
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
            db_size: space.size as i64,
            db_size_in_use: space.in_use as i64,
            leader: leadership.leader,
            raft_index: progress.committed.load(Ordering::Relaxed),
            raft_applied_index: progress.applied.load(Ordering::Relaxed),
            raft_term: leadership.term,
            errors,
            is_learner: is_learner(&root, self.0.identity.member_id),
            storage_version: CLUSTER_VERSION.to_owned(),
            db_size_quota: space.reported_quota(),
            downgrade_info: Some(DowngradeInfo::default()),
        }))
    }

    async fn alarm(
        &self,
        request: Request<AlarmRequest>,
    ) -> Result<Response<AlarmResponse>, Status> {
        let (caller, alarm) = Caller::split(&self.0, request);
        let (revision, alarms) = if alarm.action == AlarmAction::Get as i32 {
            self.0.read_barrier().await.map_err(of_request)?;
            let root = self.0.root();
            let wanted = root.alarms().iter().filter(|raised| {
                alarm.alarm == AlarmType::None as i32 || raised.alarm == alarm.alarm
            });
            (root.revision(), wanted.copied().collect())
        } else {
            let entry = InternalRaftRequest { alarm: Some(alarm), ..Default::default() };
            let outcome = caller.write(entry).await?;
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

    /// Makes the file smaller while the member goes on. Nobody needs it to write on: the backend
    /// uses freed room again by itself, and the quota is about what is alive. As in etcd the answer
    /// has no header.
    async fn defragment(
        &self,
        _: Request<DefragmentRequest>,
    ) -> Result<Response<DefragmentResponse>, Status> {
        self.0.defragment().await.map_err(of_request)?;
        Ok(Response::new(DefragmentResponse { header: None }))
    }

    async fn hash(&self, _: Request<HashRequest>) -> Result<Response<HashResponse>, Status> {
        let root = self.0.root();
        let header = Some(self.0.header(root.revision()));
        Ok(Response::new(HashResponse { header, hash: hash::of_backend(root.state_hash()) }))
    }

    async fn hash_kv(
        &self,
        request: Request<HashKvRequest>,
    ) -> Result<Response<HashKvResponse>, Status> {
        let of_keys = hash::of_keys(&self.0, request.into_inner().revision).await?;
        Ok(Response::new(HashKvResponse {
            header: Some(self.0.header(of_keys.newest)),
            hash: of_keys.hash,
            compact_revision: of_keys.compacted,
            hash_revision: of_keys.revision,
        }))
    }

    type SnapshotStream = snapshot::Responses;

    async fn snapshot(
        &self,
        _: Request<SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        snapshot::open(&self.0).map(Response::new)
    }

    async fn downgrade(
        &self,
        request: Request<DowngradeRequest>,
    ) -> Result<Response<DowngradeResponse>, Status> {
        let version = downgrade::downgrade(&self.0, &request.into_inner()).await?;
        let header = Some(self.0.header(self.0.root().revision()));
        Ok(Response::new(DowngradeResponse { header, version }))
    }
}

/// A state that etcd does not have.
const INCOMPLETE: &str = "kvorum: the log was damaged, and this member does not vote until it has \
                          got back from the leader what was lost; while there is none, start \
                          the members that are down, and if too many logs are damaged for the \
                          others to elect one, restore the cluster from a backup";

pub(crate) fn is_learner(root: &Root, member: u64) -> bool {
    root.members()
        .iter()
        .filter(|known| known.id == member)
        .filter_map(|known| known.raft_attributes.as_ref())
        .any(|raft| raft.is_learner)
}

/// As Go prints the message: no field that is zero, a kind without a name by its number.
fn alarm_text(alarm: &AlarmMember) -> String {
    let member = match alarm.member_id {
        0 => String::new(),
        id => format!("memberID:{id} "),
    };
    match AlarmType::try_from(alarm.alarm) {
        Ok(AlarmType::None) => member,
        Ok(kind) => format!("{member}alarm:{} ", kind.as_str_name()),
        Err(_) => format!("{member}alarm:{} ", alarm.alarm),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_told_as_go_prints_it() {
        for (member_id, alarm, text) in [
            (7, 1, "memberID:7 alarm:NOSPACE "),
            (7, 2, "memberID:7 alarm:CORRUPT "),
            (0, 1, "alarm:NOSPACE "),
            (7, 0, "memberID:7 "),
            (7, 9, "memberID:7 alarm:9 "),
        ] {
            assert_eq!(alarm_text(&AlarmMember { member_id, alarm }), text);
        }
    }
}
