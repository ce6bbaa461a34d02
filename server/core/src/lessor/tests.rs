//! The lessor alone, at times that the test chooses.

use super::{CHECKPOINT_MS, LeaseRecord, Lessor, RETRY_MS, Renewal, minimum_ttl_s};

const TEN_S: i64 = 10;

fn leader() -> Lessor {
    let mut lessor = Lessor::new(300_000);
    lessor.promote(0, [], 1_000);
    lessor
}

/// Each lease costs the same.
fn each(_: i64) -> usize {
    1
}

fn record(id: i64, ttl_s: i64, remaining_s: i64) -> LeaseRecord {
    LeaseRecord { id, ttl_s, remaining_s }
}

#[test]
fn the_minimum_time_to_live_is_that_of_etcd() {
    assert_eq!(minimum_ttl_s(1_000), 2);
    assert_eq!(minimum_ttl_s(500), 1);
    assert_eq!(minimum_ttl_s(5_000), 8);
}

#[test]
fn a_lease_expires_when_its_time_is_over_and_not_before() {
    let mut lessor = leader();
    lessor.granted(7, TEN_S, 5_000);
    assert_eq!(lessor.expired(14_999, 9, each), []);
    assert_eq!(lessor.remaining_ms(7, 14_999), Some(1));
    assert_eq!(lessor.expired(15_000, 9, each), [7]);
    assert_eq!(lessor.remaining_ms(7, 15_000), Some(0));
}

#[test]
fn a_renewed_lease_has_its_whole_time_again() {
    let mut lessor = leader();
    lessor.granted(7, TEN_S, 0);
    let renewal = Renewal { ttl_s: TEN_S, clear_checkpoint: false };
    assert_eq!(lessor.renew(7, 9_999), Some(renewal));
    assert_eq!(lessor.expired(19_998, 9, each), []);
    assert_eq!(lessor.expired(19_999, 9, each), [7]);
}

#[test]
fn an_expired_lease_is_not_renewed_even_before_it_is_revoked() {
    let mut lessor = leader();
    lessor.granted(7, TEN_S, 0);
    assert_eq!(lessor.renew(7, 10_000), None);
    assert_eq!(lessor.expired(10_000, 9, each), [7]);
    assert_eq!(lessor.renew(7, 10_001), None);
}

#[test]
fn an_expired_lease_is_handed_out_again_only_after_a_while() {
    let mut lessor = leader();
    lessor.granted(7, TEN_S, 0);
    assert_eq!(lessor.expired(10_000, 9, each), [7]);
    assert_eq!(lessor.expired(10_000 + RETRY_MS - 1, 9, each), []);
    assert_eq!(lessor.expired(10_000 + RETRY_MS, 9, each), [7]);
    lessor.revoked(7);
    assert_eq!(lessor.expired(100_000, 9, each), []);
    assert_eq!(lessor.remaining_ms(7, 100_000), None);
}

#[test]
fn many_leases_that_end_together_are_handed_out_in_portions() {
    let mut lessor = leader();
    for id in 0..100_000 {
        lessor.granted(id, TEN_S, 0);
    }
    let mut seen = Vec::new();
    for _ in 0..100 {
        let portion = lessor.expired(10_000, 1_000, each);
        assert_eq!(portion.len(), 1_000);
        seen.extend(portion);
    }
    assert_eq!(lessor.expired(10_000, 1_000, each), []);
    seen.sort_unstable();
    assert_eq!(seen, (0..100_000).collect::<Vec<i64>>());
}

#[test]
fn a_new_leader_gives_every_lease_an_election_more() {
    let mut lessor = Lessor::default();
    lessor.promote(50_000, [record(1, TEN_S, 0), record(2, 600, 20)], 1_000);
    assert_eq!(lessor.remaining_ms(1, 50_000), Some(11_000));
    assert_eq!(lessor.remaining_ms(2, 50_000), Some(21_000));
    assert_eq!(lessor.expired(60_999, 9, each), []);
    assert_eq!(lessor.expired(61_000, 9, each), [1]);
    lessor.revoked(1);
    assert_eq!(lessor.expired(71_000, 9, each), [2]);
}

#[test]
fn a_renewal_does_not_take_away_what_the_election_gave() {
    let mut lessor = Lessor::default();
    lessor.promote(0, [record(1, TEN_S, 0)], 1_000);
    assert!(lessor.renew(1, 500).is_some());
    assert_eq!(lessor.remaining_ms(1, 500), Some(10_500));
}

#[test]
fn a_follower_knows_no_deadlines() {
    let mut lessor = leader();
    lessor.granted(7, TEN_S, 0);
    lessor.demote();
    lessor.granted(8, TEN_S, 0);
    assert_eq!(lessor.renew(7, 1), None);
    assert_eq!(lessor.remaining_ms(8, 1), None);
    assert_eq!(lessor.expired(u64::MAX / 2, 9, each), []);
}

#[test]
fn what_is_left_of_a_long_lease_is_written_down_now_and_then() {
    let mut lessor = leader();
    lessor.granted(1, 299, 0);
    lessor.granted(2, 1_000, 0);
    assert!(lessor.checkpoints_due(299_999, 9).is_empty());
    let due = lessor.checkpoints_due(300_000, 9);
    assert_eq!((due.len(), due[0].id, due[0].remaining_ttl), (1, 2, 700));
    assert!(lessor.checkpoints_due(599_999, 9).is_empty());
    assert_eq!(lessor.checkpoints_due(600_000, 9)[0].remaining_ttl, 400);
    assert_eq!(lessor.checkpoints_due(900_000, 9)[0].remaining_ttl, 100);
    assert!(lessor.checkpoints_due(1_200_000, 9).is_empty());
}

#[test]
fn a_renewal_says_that_a_checkpoint_must_be_cleared_first() {
    let mut lessor = leader();
    lessor.granted(2, 1_000, 0);
    lessor.checkpointed(2, 700);
    let renewal = Renewal { ttl_s: 1_000, clear_checkpoint: true };
    assert_eq!(lessor.renew(2, 300_001), Some(renewal));
    lessor.checkpointed(2, 0);
    let renewal = Renewal { ttl_s: 1_000, clear_checkpoint: false };
    assert_eq!(lessor.renew(2, 300_003), Some(renewal));
}

#[test]
fn an_endless_time_to_live_does_not_overflow() {
    let mut lessor = leader();
    lessor.granted(1, 9_000_000_000, u64::MAX - 5);
    lessor.promote(u64::MAX - 5, [record(2, i64::MAX, 0)], 1_000);
    assert_eq!(lessor.expired(u64::MAX - 6, 9, each), []);
}

#[test]
fn leases_with_many_keys_are_handed_out_in_smaller_portions() {
    let mut lessor = leader();
    for id in 1..=10 {
        lessor.granted(id, TEN_S, 0);
    }
    let keys = |id: i64| if id == 3 { 5_000 } else { 10 };
    assert_eq!(lessor.expired(10_000, 20, keys), [1, 2]);
    assert_eq!(lessor.expired(10_000, 20, keys), [3], "one at least, whatever it costs");
    assert_eq!(lessor.expired(10_000, 1_000, keys), [4, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn a_lease_that_is_renewed_in_time_needs_no_checkpoint() {
    let mut lessor = leader();
    lessor.granted(1, 900, 0);
    for renewed in 1..=20 {
        let now_ms = 200_000 * renewed;
        assert!(lessor.checkpoints_due(now_ms, 9).is_empty());
        let renewal = lessor.renew(1, now_ms).expect("it lives");
        assert!(!renewal.clear_checkpoint);
    }
    assert_eq!(lessor.checkpoints_due(4_300_000, 9)[0].remaining_ttl, 600);
}

/// Three leaders, each of whom knows only what the log says, as etcd #17132 had it.
#[test]
fn what_is_left_of_a_lease_survives_three_changes_of_leaders() {
    const TTL_S: i64 = 1_000;
    const ELECTION_MS: u64 = 1_000;
    const REIGN_MS: u64 = 200_000;
    let mut record = record(1, TTL_S, 0);
    let mut now_ms = 0;
    for reign in 0..4 {
        let mut lessor = Lessor::default();
        lessor.promote(now_ms, [record], if reign == 0 { 0 } else { ELECTION_MS });
        let until_ms = now_ms + REIGN_MS;
        while now_ms < until_ms {
            now_ms += 500;
            for checkpoint in lessor.checkpoints_due(now_ms, 9) {
                record.remaining_s = checkpoint.remaining_ttl;
            }
        }
    }
    let mut last = Lessor::default();
    last.promote(now_ms, [record], ELECTION_MS);
    let left_ms = last.remaining_ms(1, now_ms).expect("it lives");
    let right_ms = 1_000 * TTL_S as u64 - now_ms;
    let too_long_ms = left_ms.checked_sub(right_ms).expect("no lease ends too early");
    // Each time it gets back what has passed since the last checkpoint, and an election.
    assert!(too_long_ms <= 4 * (REIGN_MS % CHECKPOINT_MS + ELECTION_MS), "{too_long_ms} ms");
}
