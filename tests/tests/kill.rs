//! What was acknowledged survives `kill -9`, of one member, of all at once, of a single one, and of
//! one that stays away until the others have cut their logs.
//!
//! `KVORUM_KILLS` sets how often members are killed, where the usual number is not enough.

#![allow(clippy::print_stdout, reason = "measured times are worth reading")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use etcd_client::LeaseGrantOptions;
use kvorum_tests::binary;
use kvorum_tests::cluster::{Cluster, Member};
use kvorum_tests::contents::{contents, history, revision};
use kvorum_tests::ledger::{Ledger, Write};
use kvorum_tests::load::{KEYS_PER_WRITER, Load, connect};
use kvorum_tests::process::tail;
use kvorum_tests::program::Names;
use kvorum_tests::wait::{until, until_async};

/// How often the members are killed unless `KVORUM_KILLS` says otherwise.
const KILLS: u32 = 20;

/// How often a member stays away for long, likewise.
const ABSENCES: u32 = 4;

/// A round of writes brings several cuts of the log.
const CUTS_OFTEN: [&str; 2] = ["--snapshot-count=50", "--snapshot-catchup-entries=10"];

/// At default timeouts a new leader must take writes after so long, if the first election has one.
const RESUMES_WITHIN: Duration = Duration::from_secs(3);

/// What each further election may add. Two members that campaign at the same moment have one vote
/// each, and wait for another whole timeout: rare, and as Raft has it.
const NEXT_ELECTION_WITHIN: Duration = Duration::from_secs(2);

/// How long a writer waits for an answer before it leaves the outcome open and goes elsewhere:
/// short where a pause is measured, because a write that was sent when there was no leader hides
/// that there is one again. Otherwise longer than a slow disk needs.
const SHORT_PATIENCE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(3);

/// After so long a member that was started again must have what the others have.
const CATCHES_UP_WITHIN: Duration = Duration::from_secs(30);

/// After so long some writes must have been acknowledged, however busy the machine is.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

const WRITERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_resume_after_the_leader_is_killed_and_it_catches_up() {
    let names = Names::of(binary!());
    let mut cluster = Cluster::start(&names.server(), 3);
    let ledger = Arc::new(Ledger::default());
    let leases = grant_leases(&cluster).await;
    let load = Load::start(&urls(&cluster), WRITERS, SHORT_PATIENCE, &leases, &ledger);

    for _ in 0..3 {
        more_writes(&ledger, 100).await;
        let (leader, term) = leader_of(&cluster).await;
        cluster.members[leader].kill();
        let killed = Instant::now();
        let resumed = until_async(ANSWERS_WITHIN, async || ledger.first_acknowledged_after(killed));
        let pause = resumed.await.expect("writes resume at all") - killed;
        let elections = leader_of(&cluster).await.1 - term;
        println!("writes resumed after {pause:.2?}, elections: {elections}");
        let further = u32::try_from(elections - 1).expect("a new leader has a new term");
        let limit = RESUMES_WITHIN + NEXT_ELECTION_WITHIN * further;
        assert!(pause <= limit, "writes resumed only after {pause:?}, elections: {elections}");

        more_writes(&ledger, 100).await;
        cluster.members[leader].start();
        cluster.members[leader].await_serving();
    }
    load.stop().await;
    agree(&cluster, &ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_members_killed_at_once_lose_nothing_acknowledged() {
    // Shorter timeouts make shorter rounds; how a leader is found is not what is tested here.
    let times = ["--heartbeat-interval=50", "--election-timeout=500"];
    kill_all_again_and_again(3, &[&times[..], &CUTS_OFTEN].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_member_that_is_killed_loses_nothing_acknowledged() {
    let times = ["--heartbeat-interval=20", "--election-timeout=200"];
    kill_all_again_and_again(1, &[&times[..], &CUTS_OFTEN].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_missed_a_cut_of_the_log_gets_a_snapshot_and_lacks_nothing() {
    let names = Names::of(binary!());
    let mut cluster = Cluster::start_with(&names.server(), 3, &CUTS_OFTEN);
    let ledger = Arc::new(Ledger::default());
    let leases = grant_leases(&cluster).await;
    let load = Load::start(&urls(&cluster), WRITERS, PATIENCE, &leases, &ledger);
    for round in 1..=kills(ABSENCES) {
        let (leader, _) = leader_of(&cluster).await;
        let away = (leader + 1 + round as usize % 2) % 3;
        cluster.members[away].kill();
        let had = installed(&cluster.members[away]);
        // Several cuts, all of them after the entry that the absent member has last.
        more_writes(&ledger, 400).await;
        cluster.members[away].start();
        let arrived =
            until(CATCHES_UP_WITHIN, || (installed(&cluster.members[away]) > had).then_some(()));
        arrived.unwrap_or_else(|| {
            panic!("round {round}: no snapshot\n{}", tail(&cluster.members[away].log()))
        });
        // Every other time the member dies with the snapshot just put in place.
        if round % 2 == 0 {
            cluster.members[away].kill();
            cluster.members[away].start();
        }
        cluster.members[away].await_serving();
    }
    load.stop().await;
    agree(&cluster, &ledger).await;
}

/// How often a member has put a snapshot in the place of its state.
fn installed(member: &Member) -> usize {
    member.log().matches("a snapshot from the leader is this member's state now").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_asked_to_end_ends_well_and_loses_nothing() {
    let names = Names::of(binary!());
    let mut cluster = Cluster::start(&names.server(), 1);
    let ledger = Arc::new(Ledger::default());
    let leases = grant_leases(&cluster).await;
    let load = Load::start(&urls(&cluster), WRITERS, PATIENCE, &leases, &ledger);
    more_writes(&ledger, 100).await;
    let status = cluster.members[0].terminate();
    load.stop().await;
    // etcd raises the signal again after it has cleaned up; an exit code of zero is as good.
    assert!(status.success() || status.code().is_none(), "it ended with {status}");
    cluster.start_all();
    cluster.await_serving();
    agree(&cluster, &ledger).await;
}

async fn kill_all_again_and_again(size: usize, flags: &[&str]) {
    let names = Names::of(binary!());
    let mut cluster = Cluster::start_with(&names.server(), size, flags);
    let ledger = Arc::new(Ledger::default());
    let leases = grant_leases(&cluster).await;
    for round in 1..=kills(KILLS) {
        let load = Load::start(&urls(&cluster), WRITERS, PATIENCE, &leases, &ledger);
        // Not the same number each time, so that the kill falls on different moments; and so
        // many at least that one writer has written all its keys.
        let count = WRITERS * KEYS_PER_WRITER + usize::from(rand::random::<u8>() / 4);
        more_writes(&ledger, count).await;
        cluster.kill_all();
        load.stop().await;
        cluster.start_all();
        cluster.await_serving();
        let (told, found) = (ledger.highest_revision(), highest_of(&cluster).await);
        assert!(found >= told, "after kill {round}: revision {found}, clients were told {told}");
    }
    agree(&cluster, &ledger).await;
}

fn kills(usual: u32) -> u32 {
    std::env::var("KVORUM_KILLS")
        .map_or(usual, |kills| kills.parse().expect("KVORUM_KILLS is a number"))
}

/// Every member has every acknowledged write and nothing that was not asked for, and all have
/// the same contents.
async fn agree(cluster: &Cluster, ledger: &Ledger) {
    end_what_is_under_way(cluster).await;
    let last = highest_of(cluster).await;
    assert!(last >= ledger.highest_revision(), "revisions never go back");
    let mut seen = Vec::new();
    for member in &cluster.members {
        let name = &member.name;
        let mut client = connect(&member.client_url()).await.expect("a member that serves");
        let caught_up = until_async(CATCHES_UP_WITHIN, async || {
            revision(&mut client).await.is_ok_and(|reached| reached >= last).then_some(())
        });
        caught_up.await.unwrap_or_else(|| panic!("{name} does not reach revision {last}"));
        let told = history(&mut client, last).await.unwrap_or_else(|why| panic!("{name}: {why}"));
        let faults = ledger.faults_of(&told);
        assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
        let held = contents(&mut client, last).await.expect("a member tells its contents");
        let faults = held.faults(&told, LEASE_TTL_S);
        assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
        seen.push((name, told, held));
    }
    for pair in seen.windows(2) {
        let ((one, its_history, its_contents), (other, history, contents)) = (&pair[0], &pair[1]);
        assert_eq!(its_history, history, "{one} and {other} tell different histories");
        assert_eq!(its_contents, contents, "{one} and {other} hold different contents");
    }
    let contents = &seen[0].2;
    let deleted = seen[0].1.values().any(|write| matches!(write, Write::Delete { .. }));
    assert!(deleted, "the load deletes keys");
    assert!(contents.records.iter().any(|record| record.lease != 0), "some hang on leases");
    let leases: Vec<i64> = contents.leases.keys().copied().collect();
    assert_eq!(leases, (1..=LEASES).collect::<Vec<_>>(), "the leases live on");
}

/// A writer that gave up on a write may have left it queued. What this sends goes through the log
/// behind it, and changes nothing.
async fn end_what_is_under_way(cluster: &Cluster) {
    for member in &cluster.members {
        let mut client = connect(&member.client_url()).await.expect("a member that serves");
        client.delete("load/none", None).await.expect("the cluster takes writes");
    }
}

const LEASES: i64 = 3;

/// Longer than any test.
const LEASE_TTL_S: i64 = 36_000;

async fn grant_leases(cluster: &Cluster) -> Vec<i64> {
    let mut client = connect(&cluster.members[0].client_url()).await.expect("the member serves");
    let mut leases = Vec::new();
    for id in 1..=LEASES {
        let options = LeaseGrantOptions::new().with_id(id);
        let granted = client.lease_grant(LEASE_TTL_S, Some(options)).await;
        leases.push(granted.expect("a lease is granted").id());
    }
    leases
}

fn urls(cluster: &Cluster) -> Vec<String> {
    cluster.members.iter().map(Member::client_url).collect()
}

/// Waits until so many more writes have been acknowledged.
async fn more_writes(ledger: &Ledger, count: usize) {
    let goal = ledger.acknowledged() + count;
    let reached =
        until_async(ANSWERS_WITHIN, async || (ledger.acknowledged() >= goal).then_some(()));
    reached.await.unwrap_or_else(|| panic!("{count} writes are not acknowledged in time"));
}

/// Which member leads, as the members that answer say, and its term.
async fn leader_of(cluster: &Cluster) -> (usize, u64) {
    let asked = until_async(ANSWERS_WITHIN, async || {
        for (index, member) in cluster.members.iter().enumerate() {
            let Ok(mut client) = connect(&member.client_url()).await else { continue };
            let Ok(status) = client.status().await else { continue };
            if status.header().is_some_and(|header| header.member_id() == status.leader()) {
                return Some((index, status.raft_term()));
            }
        }
        None
    });
    asked.await.expect("there is a leader")
}

/// The highest revision that any member has.
async fn highest_of(cluster: &Cluster) -> i64 {
    let mut highest = 0;
    for member in &cluster.members {
        let mut client = connect(&member.client_url()).await.expect("a member that serves");
        highest = highest.max(revision(&mut client).await.expect("a member tells its revision"));
    }
    highest
}

/// The state that a member begins with after a kill may be older than its alarm, which is in the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_raised_just_before_a_kill_goes_by_itself_once_there_is_space() {
    let names = Names::of(binary!());
    let quota = "--quota-backend-bytes=100000";
    let mut cluster = Cluster::start_with(&names.server(), 1, &[quota]);
    let revision = use_up(&cluster.members[0]).await;
    cluster.members[0].kill();
    cluster.members[0].start();
    let mut client = connect(&cluster.members[0].client_url()).await.expect("the member serves");
    let compacted = until_async(ANSWERS_WITHIN, async || {
        client.delete("key", None).await.ok()?;
        client.compact(revision, None).await.ok()
    });
    assert!(compacted.await.is_some(), "what takes no space is let in");
    let taken = until_async(ANSWERS_WITHIN, async || client.put("key", "small", None).await.ok());
    assert!(taken.await.is_some(), "the alarm is still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_has_no_quota_any_more_takes_its_alarm_back() {
    let names = Names::of(binary!());
    let quota = "--quota-backend-bytes=100000";
    let mut cluster = Cluster::start_with(&names.server(), 1, &[quota]);
    use_up(&cluster.members[0]).await;
    cluster.members[0].terminate();
    cluster.members[0].flags.push("--quota-backend-bytes=-1".to_owned());
    cluster.members[0].start();
    let mut client = connect(&cluster.members[0].client_url()).await.expect("the member serves");
    let taken = until_async(ANSWERS_WITHIN, async || client.put("key", "more", None).await.ok());
    assert!(taken.await.is_some(), "the alarm is still there");
}

/// Writes one key until there is no space; answers the last revision.
async fn use_up(member: &Member) -> i64 {
    let mut client = connect(&member.client_url()).await.expect("the member serves");
    let mut revision = 0;
    while let Ok(done) = client.put("key", vec![7; 10_000], None).await {
        revision = done.header().expect("an answer has a header").revision();
    }
    revision
}
