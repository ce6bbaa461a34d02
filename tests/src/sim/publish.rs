//! What members tell their cluster about themselves, as the runtime does.

use kvorum_proto::etcdserverpb::InternalRaftRequest;
use kvorum_proto::membershippb::{
    Attributes, ClusterMemberAttrSetRequest, ClusterVersionSetRequest,
};
use kvorum_server::version::CLUSTER_VERSION;

use super::edge::{Call, Origin, Outcome, Request};
use super::member::Place;
use super::time::MS;
use super::world::{Event, World};

impl World {
    /// A member publishes its name and client URLs, trying until it succeeds.
    pub(super) fn publish_attributes(&mut self, place: Place) {
        if self.life(place).is_none() {
            return;
        }
        let member_id = self.members[place.member].id;
        let attributes = Attributes {
            name: format!("m{member_id}"),
            client_urls: vec![format!("http://m{member_id}:2379")],
            incarnation: member_id,
        };
        let cluster_member_attr_set =
            Some(ClusterMemberAttrSetRequest { member_id, member_attributes: Some(attributes) });
        let request = InternalRaftRequest { cluster_member_attr_set, ..Default::default() };
        self.request(Origin::Member, place.member, Request::Write(request));
    }

    /// Whoever leads sees to it that the cluster's version is decided.
    pub(super) fn cluster_version(&mut self, place: Place) {
        let Some(life) = self.life(place) else { return };
        if life.root.cluster_version() == Some(CLUSTER_VERSION) {
            return;
        }
        let cluster_version_set =
            Some(ClusterVersionSetRequest { ver: CLUSTER_VERSION.to_owned() });
        let request = InternalRaftRequest { cluster_version_set, ..Default::default() };
        self.request(Origin::Member, place.member, Request::Write(request));
    }

    pub(super) fn member_answered(&mut self, call: &Call, outcome: &Outcome) {
        let Request::Write(request) = &call.request else { return };
        let again = request.cluster_member_attr_set.is_some();
        if let Some(place) = self.place(call.member)
            && again
            && !matches!(outcome, Outcome::Done(_))
        {
            self.agenda.after(100 * MS, Event::Publish(place));
        }
    }
}
