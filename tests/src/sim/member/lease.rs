//! The lease thread: takes the leases over when this member begins to lead, and proposes the end
//! of those whose time is over.

use std::sync::Arc;

use bytes::Bytes;
use kvorum_core::node::{Input, Proposal};
use kvorum_proto::etcdserverpb::{
    InternalRaftRequest, LeaseCheckpointRequest, LeaseExpireRequest, RequestHeader,
};
use kvorum_server::limits::{CHECKPOINT_BATCH, EXPIRE_BATCH, LEASE_CHECK_INTERVAL};
use prost::Message;

use super::{Life, Place, Thread};
use crate::sim::time::{MS, Time, US};
use crate::sim::world::World;

impl Life {
    /// Another state has taken the place of the one before: who leads already takes the leases over
    /// anew.
    pub(super) fn leases_replaced(&mut self) {
        self.since = 0;
        self.lessor.demote();
        self.lease_news = true;
    }
}

impl World {
    pub(super) fn lease_begins(&mut self, place: Place) -> Option<Time> {
        let now = self.agenda.now();
        let now_ms = self.members[place.member].clock.now_ms(now);
        let extend_ms = u64::from(self.plan.election_ms);
        let life = self.life(place)?;
        if !life.lease_news && now < life.next_lease_check {
            let at = life.next_lease_check;
            self.call_at(place, Thread::Lease, at);
            return None;
        }
        life.lease_news = false;
        life.next_lease_check = now + LEASE_CHECK_INTERVAL.as_millis() as Time * MS;
        let next = life.next_lease_check;
        let term = life.leadership.term;
        if life.leads() && life.since != term {
            let root = Arc::clone(&life.root);
            life.lessor.promote(now_ms, root.leases(), extend_ms);
            life.since = term;
        } else if !life.leads() && life.since != 0 {
            life.since = 0;
            life.lessor.demote();
        }
        if life.leads() {
            self.propose_due(place, now_ms, term);
        }
        self.call_at(place, Thread::Lease, next);
        Some(20 * US)
    }

    /// Nobody waits for these; the lessor hands out again what does not come to pass.
    fn propose_due(&mut self, place: Place, now_ms: u64, term: u64) {
        let Some(life) = self.life(place) else { return };
        let root = Arc::clone(&life.root);
        let cost = |id| 1 + root.lease_key_count(id) as usize;
        let expired = life.lessor.expired(now_ms, EXPIRE_BATCH, cost);
        let checkpoints = life.lessor.checkpoints_due(now_ms, CHECKPOINT_BATCH);
        if !expired.is_empty() {
            let lease_expire = Some(LeaseExpireRequest { i_ds: expired, term });
            let request = InternalRaftRequest { lease_expire, ..Default::default() };
            self.propose(place, request);
        }
        if !checkpoints.is_empty() {
            let lease_checkpoint = Some(LeaseCheckpointRequest { checkpoints });
            let request = InternalRaftRequest { lease_checkpoint, ..Default::default() };
            self.propose(place, request);
        }
    }

    /// Gives a request its id and proposes it.
    pub(in crate::sim) fn propose(
        &mut self,
        place: Place,
        mut request: InternalRaftRequest,
    ) -> Option<u64> {
        let id = self.life(place)?.ids.next();
        request.header = Some(RequestHeader { id, ..RequestHeader::default() });
        let entry = Bytes::from(request.encode_to_vec());
        self.input(place.member, Input::Propose(Proposal { id, entry }));
        Some(id)
    }
}
