//! The operations of the Cluster service that change who is a member.

use etcd_client::MemberAddOptions;

use crate::connection::{Connection, Effect};
use crate::failure::Failure;
use crate::pb;

impl Connection {
    /// Announces a member, which may then be started. A learner has no vote.
    pub async fn member_add(
        &self,
        peer_urls: &[String],
        learner: bool,
    ) -> Result<pb::MemberAddResponse, Failure> {
        self.call(Effect::Writes, |client| async move {
            let options = MemberAddOptions::new();
            let options = if learner { options.with_is_learner() } else { options };
            Ok(client.cluster_client().member_add(peer_urls, Some(options)).await?.0)
        })
        .await
    }

    pub async fn member_remove(&self, id: u64) -> Result<pb::MemberRemoveResponse, Failure> {
        self.call(Effect::Writes, |client| async move {
            Ok(client.cluster_client().member_remove(id).await?.0)
        })
        .await
    }

    /// Changes where the other members reach this one.
    pub async fn member_update(
        &self,
        id: u64,
        peer_urls: &[String],
    ) -> Result<pb::MemberUpdateResponse, Failure> {
        self.call(Effect::Writes, |client| async move {
            Ok(client.cluster_client().member_update(id, peer_urls).await?.0)
        })
        .await
    }

    /// Gives a learner its vote.
    pub async fn member_promote(&self, id: u64) -> Result<pb::MemberPromoteResponse, Failure> {
        self.call(Effect::Writes, |client| async move {
            Ok(client.cluster_client().member_promote(id).await?.0)
        })
        .await
    }
}
