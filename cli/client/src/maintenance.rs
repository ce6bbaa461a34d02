//! The operations of the Maintenance service that change something, and the hash.

use etcd_client::{AlarmAction, AlarmOptions, AlarmType, DowngradeOptions};

use crate::connection::{Connection, Effect};
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::pb;

/// What to do about a downgrade of the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Downgrade {
    /// Ask whether it could be done.
    Validate(String),
    Enable(String),
    Cancel,
}

impl Connection {
    /// Disarms every alarm that is raised, one by one. The answer has those that were disarmed and
    /// no header, as that of etcd's client.
    pub async fn disarm_alarms(&self) -> Result<pb::AlarmResponse, Failure> {
        let mut disarmed = pb::AlarmResponse::default();
        for alarm in self.alarms().await?.alarms {
            // One of a kind that a later server has cannot be named here, and stays.
            let Ok(kind) = AlarmType::try_from(alarm.alarm) else { continue };
            let member = alarm.member_id;
            let answer = self.call(Effect::Writes, |client| async move {
                let mut options = AlarmOptions::new();
                options.with_member(member);
                let mut maintenance = client.maintenance_client();
                Ok(maintenance.alarm(AlarmAction::Deactivate, kind, Some(options)).await?.0)
            });
            disarmed.alarms.extend(answer.await?.alarms);
        }
        Ok(disarmed)
    }

    /// The hash of all keys with their history up to `revision` at exactly this endpoint; 0 is the
    /// newest.
    pub async fn hash_kv(
        &self,
        endpoint: &Endpoint,
        revision: i64,
    ) -> Result<pb::HashKvResponse, Failure> {
        self.call_at(Effect::Reads, endpoint, |client| async move {
            Ok(client.maintenance_client().hash_kv(revision).await?.0)
        })
        .await
    }

    /// Gives free space of the database of exactly this endpoint back to its disk. The member
    /// answers nobody else meanwhile.
    pub async fn defragment(&self, endpoint: &Endpoint) -> Result<pb::DefragmentResponse, Failure> {
        self.call_at(Effect::Writes, endpoint, |client| async move {
            Ok(client.maintenance_client().defragment().await?.0)
        })
        .await
    }

    /// Hands leadership to the member `target`. `leader` is the endpoint of who leads.
    pub async fn move_leader(
        &self,
        leader: &Endpoint,
        target: u64,
    ) -> Result<pb::MoveLeaderResponse, Failure> {
        self.call_at(Effect::Writes, leader, |client| async move {
            Ok(client.maintenance_client().move_leader(target).await?.0)
        })
        .await
    }

    pub async fn downgrade(&self, action: &Downgrade) -> Result<pb::DowngradeResponse, Failure> {
        let effect = match action {
            Downgrade::Validate(_) => Effect::Reads,
            Downgrade::Enable(_) | Downgrade::Cancel => Effect::Writes,
        };
        self.call(effect, |client| async move {
            let options = match action.clone() {
                Downgrade::Validate(version) => DowngradeOptions::Validate(version),
                Downgrade::Enable(version) => DowngradeOptions::Enable(version),
                Downgrade::Cancel => DowngradeOptions::Cancel,
            };
            Ok(client.maintenance_client().downgrade(options).await?.0)
        })
        .await
    }
}
