//! What a watch is owed: every event it asked for from its start on, in order, once, each revision
//! whole; or the word that compaction overtook it. Checked against the model with every response.

use kvorum_proto::etcdserverpb::{WatchCreateRequest, WatchResponse};
use kvorum_proto::mvccpb::Event;

use super::agreement::Agreement;
use crate::sim::report::{Leg, WatchRecord};
use crate::sim::time::Time;

/// A watch as its client knows it.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Watched {
    pub(in crate::sim) request: WatchCreateRequest,
    /// The first revision it has not seen; 0 as long as it is not known where it begins.
    pub(in crate::sim) next: i64,
    /// It was answered on the stream at hand.
    pub(in crate::sim) created: bool,
    /// Pieces of a response that is not whole yet.
    pieces: Vec<Event>,
    /// All that it was told.
    pub(in crate::sim) record: WatchRecord,
}

impl Watched {
    pub(in crate::sim) fn new(name: String, request: WatchCreateRequest) -> Watched {
        let record = WatchRecord { name, ..WatchRecord::default() };
        let (next, pieces) = (request.start_revision, Vec::new());
        Watched { next, request, created: false, pieces, record }
    }

    /// It is asked for on a stream of a member.
    pub(in crate::sim) fn begins(&mut self, member: usize) {
        let (request, responses) = (self.request.clone(), Vec::new());
        self.record.legs.push(Leg { member, request, responses });
    }

    pub(in crate::sim) fn told(&mut self, now: Time, response: &WatchResponse) {
        if let Some(leg) = self.record.legs.last_mut() {
            leg.responses.push((now, response.clone()));
        }
    }

    /// The stream is lost: what to ask for on the next one.
    pub(in crate::sim) fn resume(&mut self) -> WatchCreateRequest {
        self.created = false;
        self.pieces.clear();
        self.request.start_revision = self.next;
        self.request.clone()
    }

    /// The answer to its creation.
    pub(in crate::sim) fn created(&mut self, revision: i64) {
        assert!(!self.created, "a watch is created once");
        self.created = true;
        if self.next == 0 {
            self.next = revision + 1;
        }
    }

    /// Events arrive; says how many.
    pub(in crate::sim) fn events(
        &mut self,
        agreement: &mut Agreement,
        response: &WatchResponse,
    ) -> u64 {
        assert!(self.created, "events come after the watch was created");
        assert!(!response.fragment || self.request.fragment, "a fragment was not asked for");
        self.pieces.extend(response.events.iter().cloned());
        if response.fragment {
            return 0;
        }
        let events = std::mem::take(&mut self.pieces);
        let Some(last) = events.last().map(revision) else {
            panic!("a response without events for {:?}", self.request)
        };
        let header = response.header.as_ref().map_or(0, |header| header.revision);
        assert!(header >= last, "the header is older than the events");
        let expected = self.owed(agreement, last);
        let compacted = agreement.model.view.compacted;
        for (at, expected) in expected.iter().enumerate() {
            let got = events.get(at);
            let without_prev = |event: &Event| Event { prev_kv: None, ..event.clone() };
            // Compaction may have taken what was there before.
            let forgiven = revision(expected) - 1 < compacted
                && got.is_some_and(|got| got.prev_kv.is_none() && *got == without_prev(expected));
            assert!(
                got == Some(expected) || forgiven,
                "the watch {:?} from {} got {got:?} in the place of {expected:?}",
                self.request,
                self.next
            );
        }
        assert_eq!(events.len(), expected.len(), "the watch {:?} got too much", self.request);
        self.next = last + 1;
        events.len() as u64
    }

    /// All events up to `upto` have been sent, the member says.
    pub(in crate::sim) fn progress(&mut self, agreement: &mut Agreement, upto: i64) {
        if !self.created {
            return;
        }
        assert!(
            upto + 1 >= self.next,
            "the watch {:?} has seen all before {}, and its progress is {upto}",
            self.request,
            self.next
        );
        assert!(self.pieces.is_empty(), "progress comes in the middle of a revision");
        let missing = self.owed(agreement, upto);
        assert!(
            missing.is_empty(),
            "the watch {:?} from {} is told progress {upto} and never got {missing:?}",
            self.request,
            self.next
        );
        self.next = upto + 1;
    }

    /// Compaction took what it was owed.
    pub(in crate::sim) fn overtaken(&self, agreement: &Agreement, compacted: i64) {
        assert!(
            self.next < compacted,
            "the watch {:?} is owed what comes from {} on, which compaction at {compacted} left",
            self.request,
            self.next
        );
        assert!(compacted <= agreement.model.view.compacted, "nobody compacted at {compacted}");
    }

    /// What it must have got by now.
    pub(in crate::sim) fn missing(&self, agreement: &mut Agreement) -> usize {
        if self.next == 0 { 0 } else { self.owed(agreement, i64::MAX).len() }
    }

    /// The events from the first revision not seen to `upto`, with everything that was before.
    fn owed(&self, agreement: &mut Agreement, upto: i64) -> Vec<Event> {
        let view = agreement.model.view;
        agreement.model.view.compacted = -1;
        let mut owed = agreement.model.events(&self.request, self.next);
        agreement.model.view = view;
        owed.retain(|event| revision(event) <= upto);
        owed
    }
}

fn revision(event: &Event) -> i64 {
    event.kv.as_ref().map_or(0, |kv| kv.mod_revision)
}
