use super::{Divergence, KEPT_MARKS, MARK_EVERY, Mark, Verdict};
use crate::store::StateHash;

fn hash(n: u8) -> StateHash {
    StateHash::from_bytes([n; 16])
}

fn mark(index: u64, n: u8) -> Mark {
    Mark { index, hash: hash(n) }
}

/// Member 1 of so many voters.
fn of(voters: u64) -> Divergence {
    Divergence::new(1, &(1..=voters).collect::<Vec<_>>(), &[])
}

fn ours(index: u64, ours: u8, theirs: u8, majority: bool) -> Verdict {
    Verdict::OursDiffers { index, ours: hash(ours), theirs: hash(theirs), majority }
}

fn peer(peer: u64, index: u64, ours: u8, theirs: u8) -> Verdict {
    Verdict::PeerDiffers { peer, index, ours: hash(ours), theirs: hash(theirs) }
}

#[test]
fn a_single_member_has_nobody_to_differ_from() {
    let mut one = of(1);
    for i in 1..1000 {
        assert_eq!(one.note(mark(i * MARK_EVERY, 1)), []);
    }
    assert_eq!(one.verdict(), Verdict::Agree);
    assert_eq!(one.tell().len(), KEPT_MARKS);
}

#[test]
fn each_mark_is_told_in_two_rounds() {
    let mut member = of(3);
    let told = |member: &mut Divergence| -> Vec<u64> {
        member.tell().into_iter().map(|mark| mark.index).collect()
    };
    assert_eq!(told(&mut member), []);
    member.note(mark(256, 1));
    member.note(mark(300, 1));
    assert_eq!(told(&mut member), [256, 300]);
    member.note(mark(512, 1));
    assert_eq!(told(&mut member), [256, 300, 512]);
    assert_eq!(told(&mut member), [512]);
    assert_eq!(told(&mut member), []);
}

#[test]
fn members_with_equal_marks_agree() {
    let mut member = of(3);
    assert_eq!(member.note(mark(256, 7)), []);
    assert_eq!(member.report(2, mark(256, 7)), []);
    assert_eq!(member.report(3, mark(256, 7)), []);
    assert_eq!((member.verdict(), member.compared(), member.skipped()), (Verdict::Agree, 2, 0));
}

#[test]
fn of_two_members_that_differ_both_are_suspect() {
    let mut member = of(2);
    member.note(mark(256, 1));
    assert_eq!(member.report(2, mark(256, 2)), [ours(256, 1, 2, false)]);
    assert_eq!(member.verdict(), ours(256, 1, 2, false));
}

#[test]
fn the_one_of_three_that_two_contradict_has_diverged() {
    let mut member = of(3);
    member.note(mark(256, 1));
    assert_eq!(member.report(2, mark(256, 2)), [Verdict::Undecided { index: 256 }]);
    assert_eq!(member.verdict(), Verdict::Undecided { index: 256 });
    assert_eq!(member.report(3, mark(256, 2)), [ours(256, 1, 2, true)]);
    assert_eq!(member.verdict(), ours(256, 1, 2, true));
}

#[test]
fn the_one_of_three_that_contradicts_two_has_diverged() {
    let mut member = of(3);
    member.note(mark(256, 1));
    assert_eq!(member.report(2, mark(256, 2)), [Verdict::Undecided { index: 256 }]);
    assert_eq!(member.report(3, mark(256, 1)), [peer(2, 256, 1, 2)]);
    assert_eq!(member.verdict(), peer(2, 256, 1, 2));
    // It goes on differing; that is known.
    assert_eq!(member.note(mark(512, 3)), []);
    assert_eq!(member.report(2, mark(512, 4)), []);
    assert_eq!(member.report(3, mark(512, 3)), []);
    assert_eq!(member.verdict(), peer(2, 256, 1, 2));
}

#[test]
fn three_hashes_of_three_members_make_all_suspect() {
    let mut member = of(3);
    member.note(mark(256, 1));
    member.report(2, mark(256, 2));
    assert_eq!(member.report(3, mark(256, 3)), [ours(256, 1, 2, false)]);
}

#[test]
fn of_five_it_takes_three_to_be_right() {
    let mut member = of(5);
    member.note(mark(256, 1));
    assert_eq!(member.report(2, mark(256, 2)), [Verdict::Undecided { index: 256 }]);
    assert_eq!(member.report(3, mark(256, 1)), []);
    assert_eq!(member.report(4, mark(256, 2)), []);
    assert_eq!(member.report(5, mark(256, 1)), [peer(2, 256, 1, 2), peer(4, 256, 1, 2)]);

    let mut member = of(5);
    member.note(mark(256, 1));
    for from in [2, 3] {
        member.report(from, mark(256, 2));
    }
    assert_eq!(member.report(4, mark(256, 2)), [ours(256, 1, 2, true)]);

    let mut member = of(5);
    member.note(mark(256, 1));
    member.report(2, mark(256, 2));
    assert_eq!(member.report(3, mark(256, 3)), []);
    // Whatever the fifth says, no three can agree.
    assert_eq!(member.report(4, mark(256, 4)), [ours(256, 1, 2, false)]);
}

#[test]
fn two_against_two_decide_nothing() {
    let mut member = of(4);
    member.note(mark(256, 1));
    member.report(2, mark(256, 1));
    member.report(3, mark(256, 2));
    assert_eq!(member.report(4, mark(256, 2)), [ours(256, 1, 2, false)]);
}

#[test]
fn reports_of_what_is_still_to_come_wait_in_any_order() {
    let mut member = of(3);
    for index in [768, 256, 512] {
        assert_eq!(member.report(2, mark(index, 2)), []);
        assert_eq!(member.report(3, mark(index, 2)), []);
    }
    assert_eq!(member.note(mark(256, 2)), []);
    assert_eq!(member.note(mark(512, 1)), [ours(512, 1, 2, true)]);
    assert_eq!(member.compared(), 4);
}

#[test]
fn a_late_report_is_compared_while_its_mark_is_kept_and_counted_as_skipped_after() {
    let mut member = of(2);
    for i in 1..=KEPT_MARKS as u64 {
        member.note(mark(i * MARK_EVERY, 1));
    }
    assert_eq!(member.report(2, mark(MARK_EVERY, 1)), []);
    assert_eq!((member.compared(), member.skipped()), (1, 0));
    member.note(mark((KEPT_MARKS as u64 + 1) * MARK_EVERY, 1));
    assert_eq!(member.report(2, mark(MARK_EVERY, 2)), []);
    assert_eq!((member.compared(), member.skipped()), (1, 1));
    assert_eq!(member.report(2, mark(2 * MARK_EVERY, 2)).len(), 1);
}

#[test]
fn an_index_that_was_passed_without_a_mark_is_skipped_before_and_after() {
    let mut member = of(2);
    member.note(mark(256, 1));
    member.report(2, mark(300, 9));
    assert_eq!(member.note(mark(512, 1)), []);
    assert_eq!(member.skipped(), 1);
    assert_eq!(member.report(2, mark(301, 9)), []);
    assert_eq!((member.verdict(), member.skipped()), (Verdict::Agree, 2));
}

#[test]
fn idle_members_compare_where_they_rest() {
    let mut member = of(2);
    member.note(mark(256, 1));
    member.note(mark(300, 2));
    assert_eq!(member.report(2, mark(300, 3)), [ours(300, 2, 3, false)]);
}

#[test]
fn a_member_that_restarted_compares_from_where_it_begins() {
    let mut member = of(2);
    // It begins at 1000; a peer repeats what it said before.
    member.note(mark(1000, 1));
    for index in [256, 512, 768] {
        assert_eq!(member.report(2, mark(index, 9)), []);
    }
    assert_eq!(member.skipped(), 3);
    member.report(2, mark(1024, 5));
    assert_eq!(member.note(mark(1024, 5)), []);
    assert_eq!((member.compared(), member.verdict()), (1, Verdict::Agree));
    // The peer restarts and says it all again.
    assert_eq!(member.report(2, mark(1024, 5)), []);
    assert_eq!(member.compared(), 1);
}

#[test]
fn who_has_diverged_stays_so() {
    let mut member = of(3);
    member.note(mark(256, 1));
    member.report(2, mark(256, 2));
    member.report(3, mark(256, 2));
    for i in 2..1000 {
        member.note(mark(i * MARK_EVERY, 3));
        for from in [2, 3] {
            assert_eq!(member.report(from, mark(i * MARK_EVERY, 3)), []);
        }
    }
    assert_eq!(member.verdict(), ours(256, 1, 2, true));
}

#[test]
fn a_difference_that_nobody_decides_counts_when_it_is_forgotten() {
    let mut member = of(3);
    member.note(mark(256, 1));
    member.report(2, mark(256, 2));
    let mut found = Vec::new();
    for i in 2..=KEPT_MARKS as u64 + 1 {
        found.extend(member.note(mark(i * MARK_EVERY, 1)));
    }
    assert_eq!(found, [ours(256, 1, 2, false)]);
}

#[test]
fn a_difference_explained_by_a_diverged_peer_does_not_count() {
    let mut member = of(3);
    member.note(mark(256, 1));
    assert_eq!(member.report(2, mark(256, 2)), [Verdict::Undecided { index: 256 }]);
    member.note(mark(512, 1));
    member.report(2, mark(512, 2));
    assert_eq!(member.report(3, mark(512, 1)), [peer(2, 512, 1, 2)]);
    assert_eq!(member.verdict(), peer(2, 512, 1, 2));
    for i in 3..=2 * KEPT_MARKS as u64 {
        assert_eq!(member.note(mark(i * MARK_EVERY, 1)), []);
    }
}

#[test]
fn a_suspicion_becomes_certain_with_a_majority() {
    let mut member = of(3);
    member.note(mark(256, 1));
    member.report(2, mark(256, 2));
    member.report(3, mark(256, 3));
    assert_eq!(member.verdict(), ours(256, 1, 2, false));
    member.note(mark(512, 1));
    member.report(2, mark(512, 2));
    assert_eq!(member.report(3, mark(512, 2)), [ours(512, 1, 2, true)]);
}

#[test]
fn a_learner_has_no_vote_but_is_judged() {
    let mut member = Divergence::new(1, &[1, 2], &[3]);
    member.note(mark(256, 1));
    assert_eq!(member.report(3, mark(256, 2)), [Verdict::Undecided { index: 256 }]);
    assert_eq!(member.report(2, mark(256, 1)), [peer(3, 256, 1, 2)]);

    let mut learner = Divergence::new(3, &[1, 2], &[3]);
    learner.note(mark(256, 1));
    assert_eq!(learner.report(1, mark(256, 2)), [Verdict::Undecided { index: 256 }]);
    assert_eq!(learner.report(2, mark(256, 2)), [ours(256, 1, 2, true)]);
}

#[test]
fn a_peer_that_was_seen_to_is_found_again_only_if_it_still_differs() {
    let mut member = of(3);
    member.note(mark(256, 1));
    member.report(2, mark(256, 1));
    assert_eq!(member.report(3, mark(256, 9)), [peer(3, 256, 1, 9)]);
    member.forget(3);
    assert_eq!(member.verdict(), Verdict::Agree);
    member.note(mark(512, 2));
    member.report(2, mark(512, 2));
    assert_eq!(member.report(3, mark(512, 2)), []);
    member.note(mark(768, 3));
    member.report(2, mark(768, 3));
    assert_eq!(member.report(3, mark(768, 9)), [peer(3, 768, 3, 9)]);
}

#[test]
fn what_was_open_for_a_peer_that_was_seen_to_is_open_no_longer() {
    let mut member = of(3);
    member.note(mark(256, 1));
    assert_eq!(member.report(3, mark(256, 9)), [Verdict::Undecided { index: 256 }]);
    member.forget(3);
    assert_eq!(member.verdict(), Verdict::Agree);
}

#[test]
fn that_this_member_has_diverged_nobody_can_take_back() {
    let mut member = of(3);
    member.note(mark(256, 9));
    member.report(2, mark(256, 1));
    member.report(3, mark(256, 1));
    (1..=3).for_each(|id| member.forget(id));
    assert_eq!(member.verdict(), ours(256, 9, 1, true));
}

#[test]
fn a_member_that_left_and_came_back_is_heard_afresh() {
    let mut member = of(3);
    member.note(mark(256, 1));
    member.report(2, mark(256, 2));
    member.report(3, mark(256, 1));
    member.set_members(&[1, 3], &[]);
    assert_eq!(member.verdict(), Verdict::Agree);
    assert_eq!(member.report(2, mark(256, 2)), []);
    assert_eq!(member.skipped(), 1);
    member.set_members(&[1, 2, 3], &[]);
    member.note(mark(512, 1));
    assert_eq!(member.report(2, mark(512, 1)), []);
    assert_eq!(member.compared(), 3);
}

#[test]
fn what_a_member_said_of_an_index_stands() {
    let mut member = of(3);
    member.note(mark(256, 1));
    member.report(2, mark(256, 2));
    assert_eq!(member.report(2, mark(256, 1)), []);
    assert_eq!(member.verdict(), Verdict::Undecided { index: 256 });
    assert_eq!(member.report(3, mark(256, 1)), [peer(2, 256, 1, 2)]);
    assert_eq!(member.report(3, mark(256, 7)), []);
    assert_eq!(member.verdict(), peer(2, 256, 1, 2));
}

#[test]
fn a_flood_of_reports_costs_bounded_memory_and_is_counted() {
    let mut member = of(3);
    member.note(mark(256, 1));
    let mut random = 1_u64;
    for i in 0..100_000_u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i | 1);
        let index = if i % 2 == 0 { random } else { u64::MAX - i };
        member.report(random >> 33, mark(index, random as u8));
        member.report(2, mark(index, random as u8));
        assert!(member.peers.len() == 2 && member.peers[&2].reports.len() <= KEPT_MARKS);
    }
    assert_eq!(member.verdict(), Verdict::Agree);
    assert_eq!(member.skipped(), 200_000 - KEPT_MARKS as u64);
    assert_eq!(member.note(mark(512, 1)), []);
    member.report(2, mark(512, 1));
    assert_eq!(member.compared(), 1);
}

#[test]
fn a_flood_does_not_wash_a_difference_away() {
    let mut member = of(3);
    member.note(mark(256, 1));
    member.report(2, mark(256, 2));
    let flood = (0..=KEPT_MARKS as u64).flat_map(|i| member.report(2, mark(1 << 40 | i, 2)));
    assert_eq!(flood.collect::<Vec<_>>(), [ours(256, 1, 2, false)]);
}
