//! What a member tells its cluster about itself once it can.

use kvorum_core::auth::Principal;
use kvorum_core::node::Role;
use kvorum_proto::etcdserverpb::InternalRaftRequest;
use kvorum_proto::membershippb::{
    Attributes, ClusterMemberAttrSetRequest, ClusterVersionSetRequest,
};
use tokio::sync::watch;
use tokio::time::{Duration, sleep};

use super::{Handle, RequestError};
use crate::identity::hex;
use crate::version::CLUSTER_VERSION;

/// Between two tries; a try itself waits for a leader.
const RETRY: Duration = Duration::from_millis(100);

/// Publishes the member's name and client URLs, trying until it succeeds: that it did means that
/// the member has a quorum and applies what it agrees on.
pub(super) async fn attributes(
    handle: Handle,
    client_urls: Vec<String>,
    ready: watch::Sender<bool>,
) {
    let member_id = handle.identity.member_id;
    let incarnation = handle.identity.incarnation;
    let attributes = Attributes { name: handle.name.clone(), client_urls, incarnation };
    let request = ClusterMemberAttrSetRequest { member_id, member_attributes: Some(attributes) };
    let entry = InternalRaftRequest {
        cluster_member_attr_set: Some(request),
        ..InternalRaftRequest::default()
    };
    let me = hex(member_id);
    loop {
        match handle.write(entry.clone(), &Principal::Member).await {
            Ok(_) => break,
            Err(RequestError::Stopped) => return,
            Err(error) => {
                tracing::warn!(
                    local_member_id = me,
                    error = %error,
                    "failed to publish local member to cluster through raft"
                );
                sleep(RETRY).await;
            }
        }
    }
    tracing::info!(
        local_member_id = me,
        cluster_id = hex(handle.identity.cluster_id),
        "published local member to cluster through raft"
    );
    ready.send_replace(true);
}

/// Whoever leads sees to it that the cluster's version is decided.
pub(super) async fn cluster_version(handle: Handle) {
    let mut news = handle.leadership.subscribe();
    loop {
        if news.wait_for(|leadership| leadership.role == Role::Leader).await.is_err() {
            return;
        }
        if handle.root().cluster_version() != Some(CLUSTER_VERSION) {
            let set = ClusterVersionSetRequest { ver: CLUSTER_VERSION.to_owned() };
            let entry = InternalRaftRequest {
                cluster_version_set: Some(set),
                ..InternalRaftRequest::default()
            };
            match handle.write(entry, &Principal::Member).await {
                Ok(_) => {
                    tracing::info!(cluster_version = CLUSTER_VERSION, "set cluster version");
                }
                Err(RequestError::Stopped) => return,
                Err(_) => {
                    sleep(RETRY).await;
                    continue;
                }
            }
        }
        if news.wait_for(|leadership| leadership.role != Role::Leader).await.is_err() {
            return;
        }
    }
}
