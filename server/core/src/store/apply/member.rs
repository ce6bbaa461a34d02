//! What members and the cluster say about themselves.

use kvorum_proto::membershippb::{ClusterMemberAttrSetRequest, ClusterVersionSetRequest};

use crate::store::{Change, Reply, Store, element, record};

impl Store {
    /// A member sets its name and client URLs; one that is not in the cluster is passed over.
    pub(super) fn set_member_attributes(
        &mut self,
        request: &ClusterMemberAttrSetRequest,
        changes: &mut Vec<Change>,
    ) -> Reply {
        let mut members = self.root.members.to_vec();
        if let Some(member) = members.iter_mut().find(|member| member.id == request.member_id) {
            self.root.sum -= element::member(member);
            member.member_attributes.clone_from(&request.member_attributes);
            self.root.sum += element::member(member);
            changes.push(record::member(member));
            self.root.members = members.into();
        }
        Reply::Done
    }

    pub(super) fn set_cluster_version(
        &mut self,
        request: &ClusterVersionSetRequest,
        changes: &mut Vec<Change>,
    ) -> Reply {
        changes.push(record::cluster_version(&request.ver));
        if let Some(old) = self.root.cluster_version() {
            self.root.sum -= element::cluster_version(old);
        }
        self.root.sum += element::cluster_version(&request.ver);
        self.root.cluster_version = Some(request.ver.as_str().into());
        Reply::Done
    }
}
