//! Many watches that come back at once are served by few walks over the history.

use bytes::Bytes;
use kvorum_core::store::{Root, Store};
use kvorum_core::watch::{Body, Budget, Delivery, Hub, RESPONSE_BYTES, StreamId};
use kvorum_proto::etcdserverpb::{InternalRaftRequest, PutRequest, WatchCreateRequest};
use raft_proto::eraftpb::ConfState;

const REVISIONS: usize = 20_000;
const WATCHERS: usize = 200;

/// One walk over all that was written.
fn steps_of_a_walk() -> usize {
    REVISIONS.div_ceil(Budget::default().step_versions)
}

fn key(n: usize) -> Bytes {
    Bytes::from(format!("key/{n:04}"))
}

/// Writes to each watcher's key in turn.
fn written() -> Store {
    let mut store = Store::bootstrap(Vec::new(), ConfState::default());
    for n in 0..REVISIONS {
        let put = PutRequest { key: key(n % WATCHERS), value: "v".into(), ..PutRequest::default() };
        let entry = InternalRaftRequest { put: Some(put), ..InternalRaftRequest::default() };
        store.apply(1 + n as u64, 1, &entry).reply.expect("a put is done");
    }
    store
}

struct Member {
    root: Root,
    hub: Hub,
    out: Vec<Delivery>,
}

impl Member {
    fn new() -> Member {
        let root = written().root();
        let hub = Hub::new(root.revision(), RESPONSE_BYTES);
        Member { root, hub, out: Vec::new() }
    }

    fn watch(&mut self, stream: usize, key: Bytes, start_revision: i64) {
        let request = WatchCreateRequest { key, start_revision, ..WatchCreateRequest::default() };
        self.hub.create(StreamId(stream as u64), &request, &self.root, &mut self.out);
    }

    fn open(&mut self, stream: usize, credit: usize) {
        self.hub.open(StreamId(stream as u64), credit);
    }

    /// Steps until nothing is due.
    fn finish(&mut self) -> usize {
        let mut steps = 1;
        while self.hub.advance(&self.root, &mut self.out) {
            steps += 1;
        }
        steps
    }

    /// How many events came on a stream, and in how many replies.
    fn got(&self, stream: usize) -> (usize, usize) {
        let of_it = |delivery: &&Delivery| delivery.stream == StreamId(stream as u64);
        let events = self.out.iter().filter(of_it).filter_map(|it| match &it.reply.body {
            Body::Events { events, .. } => Some(events.len()),
            _ => None,
        });
        events.fold((0, 0), |(sum, replies), events| (sum + events, replies + 1))
    }
}

#[test]
fn watches_that_resume_together_are_served_by_one_walk() {
    let mut member = Member::new();
    for n in 0..WATCHERS {
        member.open(n, 64);
        member.watch(n, key(n), 1);
    }
    let steps = member.finish();
    assert!(steps <= steps_of_a_walk() + 1, "{steps} steps");
    for n in 0..WATCHERS {
        assert_eq!(member.got(n), (REVISIONS / WATCHERS, 1), "watcher {n}");
    }
}

#[test]
fn those_of_one_stream_share_it_as_well() {
    let mut member = Member::new();
    member.open(1, 1 + 2 * WATCHERS);
    for n in 0..WATCHERS {
        member.watch(1, key(n), 1);
    }
    let steps = member.finish();
    assert!(steps <= steps_of_a_walk() + 1, "{steps} steps");
    assert_eq!(member.got(1), (REVISIONS, WATCHERS));
}

#[test]
fn those_that_come_while_others_are_on_their_way_are_served_by_few_more() {
    let mut member = Member::new();
    let mut steps = 0;
    for n in 0..WATCHERS {
        member.open(n, 64);
        member.watch(n, key(n), 1 + n as i64);
        member.hub.advance(&member.root, &mut member.out);
        steps += 1;
    }
    steps += member.finish();
    assert!(steps <= WATCHERS + 3 * steps_of_a_walk(), "{steps} steps");
    let all = |n: usize| (0..REVISIONS).filter(|at| at % WATCHERS == n && at + 2 > n).count();
    for n in 0..WATCHERS {
        assert_eq!(member.got(n).0, all(n), "watcher {n}");
    }
}

#[test]
fn who_takes_no_more_is_left_behind_and_the_others_go_on() {
    let mut member = Member::new();
    let everything = Bytes::from_static(b"\0");
    for (stream, credit) in [(1, 1_000), (2, 2)] {
        member.open(stream, credit);
        let request = WatchCreateRequest {
            key: everything.clone(),
            range_end: everything.clone(),
            start_revision: 1,
            ..WatchCreateRequest::default()
        };
        let (id, root) = (StreamId(stream as u64), &member.root);
        member.hub.create(id, &request, root, &mut member.out);
    }
    member.finish();
    assert_eq!(member.got(1).0, REVISIONS);
    let (some, replies) = member.got(2);
    assert!(some < REVISIONS && replies == 1, "{some} events in {replies} replies");
    member.hub.credit(StreamId(2), 1_000, &mut member.out);
    member.finish();
    assert_eq!(member.got(2).0, REVISIONS, "it goes on where it was");
}

#[test]
fn who_is_nearly_there_does_not_wait_for_those_who_come_from_far() {
    let mut member = Member::new();
    for n in 0..WATCHERS {
        member.open(n, 64);
        member.watch(n, key(n), 1);
    }
    member.hub.advance(&member.root, &mut member.out);
    let last = member.root.revision();
    member.open(WATCHERS, 2);
    member.watch(WATCHERS, key((REVISIONS - 1) % WATCHERS), last);
    for _ in 0..2 {
        member.hub.advance(&member.root, &mut member.out);
    }
    assert_eq!(member.got(WATCHERS).0, 1);
    assert_eq!(member.got(0).0, 0, "the others are still on their way");
}

/// Clients that create very many watches do not keep the seats from others.
#[test]
fn each_stream_has_its_share_of_the_seats() {
    let mut member = Member::new();
    let riders = Budget::default().riders;
    for greedy in [1, 2] {
        member.open(greedy, 4 * riders);
        for n in 0..2 * riders {
            member.watch(greedy, Bytes::from(format!("none/{n}")), 1);
        }
    }
    member.open(3, 4);
    member.watch(3, key(0), 1);
    // Others of the first streams take every other step.
    for _ in 0..=2 * steps_of_a_walk() {
        member.hub.advance(&member.root, &mut member.out);
    }
    assert_eq!(member.got(3).0, REVISIONS / WATCHERS);
    member.finish();
}
