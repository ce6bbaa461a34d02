//! Locks and elections against our own server: the queue, and what becomes of it when a holder dies.

use std::time::{Duration, Instant};

use kvorum_tests::binary;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::etcdctl::{Etcdctl, Running};
use kvorum_tests::program::Names;
use kvorum_tests::wait::until;
use rustix::process::Signal;

/// How long something that must happen may take.
const WITHIN: Duration = Duration::from_secs(20);

fn await_in_queue(etcdctl: &Etcdctl, count: usize) {
    let are_there = || {
        let keys = etcdctl.say(&["get", "--prefix", "queue/", "--keys-only"]);
        (keys.lines().filter(|line| !line.is_empty()).count() == count).then_some(())
    };
    until(WITHIN, are_there).unwrap_or_else(|| panic!("there are not {count} in the queue"));
}

fn locked(etcdctl: &Etcdctl, flags: &[&str]) -> (Running, String) {
    let mut running = etcdctl.start(&[&["lock", "queue"], flags].concat());
    let key = running.lines(2).swap_remove(0);
    (running, key)
}

#[test]
fn the_next_in_line_has_the_lock_of_a_holder_that_was_killed_when_its_time_is_up() {
    const TTL: Duration = Duration::from_secs(2);
    let names = Names::of(binary!());
    let cluster = Cluster::start(&names.server(), 1);
    let etcdctl = Etcdctl::new(&names.etcdctl(), cluster.endpoints());
    let (holder, _) = locked(&etcdctl, &["--ttl=2"]);
    let mut next = etcdctl.start(&["lock", "queue"]);
    await_in_queue(&etcdctl, 2);
    let since = Instant::now();
    holder.end(Signal::KILL);
    next.lines(2);
    assert!(since.elapsed() < TTL * 5, "it took {:?}", since.elapsed());
    assert_eq!(next.end(Signal::TERM).code, 0);
}

#[test]
fn a_lock_outlives_the_time_of_its_lease_and_a_change_of_the_leader() {
    let names = Names::of(binary!());
    let cluster = Cluster::start(&names.server(), 3);
    let etcdctl = Etcdctl::new(&names.etcdctl(), cluster.endpoints());
    let (holder, key) = locked(&etcdctl, &["--ttl=2"]);
    let status = etcdctl.json(&["endpoint", "status"]);
    let leader = status[0]["Status"]["leader"].as_u64().expect("there is a leader");
    let index = status
        .as_array()
        .expect("it is a list")
        .iter()
        .position(|one| one["Status"]["header"]["member_id"].as_u64() == Some(leader));
    let mut cluster = cluster;
    cluster.members[index.expect("one of them leads")].kill();
    // Longer than the lease and the time that an election adds to it.
    let until_then = Instant::now() + Duration::from_secs(8);
    until(WITHIN, || {
        let found = etcdctl.say(&["get", &key]);
        assert!(found.starts_with(&key), "the lock is lost");
        (Instant::now() > until_then).then_some(())
    })
    .expect("time goes by");
    assert_eq!(holder.end(Signal::INT).code, 0);
    assert_eq!(etcdctl.say(&["get", &key]), "");
    assert!(etcdctl.say(&["lease", "list"]).starts_with("found 0 leases"));
}

#[test]
fn whoever_waits_for_a_lock_loses_its_place_with_its_lease() {
    let names = Names::of(binary!());
    let cluster = Cluster::start(&names.server(), 1);
    let etcdctl = Etcdctl::new(&names.etcdctl(), cluster.endpoints());
    let (_holder, _) = locked(&etcdctl, &[]);
    let waiting = etcdctl.start(&["lock", "queue"]);
    await_in_queue(&etcdctl, 2);
    let keys = etcdctl.json(&["get", "--prefix", "queue/", "--sort-by=CREATE"]);
    let lease = keys["kvs"][1]["lease"].as_i64().expect("a place has a lease");
    etcdctl.say(&["lease", "revoke", &format!("{lease:x}")]);
    let ended = waiting.ended();
    assert_eq!((ended.stderr.as_str(), ended.code), ("Error: mutex: session is expired\n", 1));
}

#[test]
fn kvorum_locks_by_the_same_queue_and_says_what_it_would_do() {
    let names = Names::of(binary!());
    let cluster = Cluster::start(&names.server(), 1);
    let etcdctl = Etcdctl::new(&names.etcdctl(), cluster.endpoints());
    let kvorum = Etcdctl::new(&names.kvorum(), cluster.endpoints());
    let (holder, _) = locked(&etcdctl, &[]);
    let waiting = kvorum.start(&["lock", "queue", "--", "sh", "-c", "exit 7"]);
    await_in_queue(&etcdctl, 2);
    holder.end(Signal::TERM);
    assert_eq!(waiting.ended().code, 7);
    let dry = kvorum.say(&["lock", "queue", "--dry-run"]);
    assert_eq!(dry, "would wait for the lock \"queue\", and hold it\n");
    await_in_queue(&etcdctl, 0);
}
