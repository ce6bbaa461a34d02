//! Histories that break a guarantee, each with the rule and what is said about it.

use super::script::history;
use crate::checker::{Rule, check};

fn illegal(rule: Rule, said: &str, script: &str) {
    let violations = check(&history(script));
    let [violation] = &violations[..] else { panic!("{violations:?} for {script}") };
    assert_eq!(violation.rule, rule, "{violation}");
    assert!(violation.message.contains(said), "{violation}");
}

#[test]
fn a_read_that_is_stale() {
    illegal(
        Rule::StaleRead,
        "\"c2 get a\" at member 1 [50000000, 60000000] read at revision 2, but \"c1 put a 2\"",
        "c1 put a 1 [10,20] -> r2
         c1 put a 2 [30,40] -> r3
         c2 get a [50,60] -> r2 a=1@2",
    );
}

#[test]
fn a_read_under_a_new_revision_that_does_not_know_the_write() {
    illegal(
        Rule::Answer,
        "answered [] of 0 at revision 2, but right is [a=1@2] of 1",
        "c1 put a 1 [10,20] -> r2
         c2 get a [30,40] -> r2",
    );
}

#[test]
fn a_write_that_is_lost_at_the_end() {
    illegal(
        Rule::LostWrite,
        "\"c1 put b 1\" at member 1 [30000000, 40000000] made revision 3, which the members do not",
        "c1 put a 1 [10,20] -> r2
         c1 put b 1 [30,40] -> r3
         ground 2 compacted 0
         ground 2: put a=1@2",
    );
}

#[test]
fn a_write_in_whose_place_the_members_hold_another() {
    illegal(
        Rule::LostWrite,
        "made revision 3, but the members hold [put c=9@3] there",
        "c1 put a 1 [10,20] -> r2
         c1 put b 1 [30,40] -> r3
         c2 put c 9 [30,40] -> ?
         ground 3 compacted 0
         ground 2: put a=1@2
         ground 3: put c=9@3",
    );
}

#[test]
fn a_write_that_was_applied_twice() {
    illegal(
        Rule::AppliedTwice,
        "revision 3 repeats \"c1 put a 1\"",
        "c1 put a 1 [10,20] -> r2
         c2 get a [30,40] -> r3 a=1@3c2v2",
    );
}

#[test]
fn a_write_of_unknown_outcome_that_was_applied_twice() {
    illegal(
        Rule::AppliedTwice,
        "but it made revision 4: it was applied twice",
        "c1 put a 1 [10,20] -> ?
         c2 put b 1 [30,40] -> r3
         c2 get a.. [50,60] -> r4 a=1@4c2v2 b=1@3",
    );
}

#[test]
fn a_revision_that_goes_back() {
    illegal(
        Rule::RevisionBack,
        "made revision 2, but \"c1 put a 1\" at member 1 [10000000, 20000000] had already",
        "c1 put a 1 [10,20] -> r3
         c2 put b 1 [30,40] -> r2",
    );
}

#[test]
fn a_revision_that_two_writes_made() {
    illegal(
        Rule::RevisionTwice,
        "revision 2 was made twice",
        "c1 put a 1 [10,20] -> r2
         c2 put b 1 [15,40] -> r2",
    );
}

#[test]
fn a_revision_that_nobody_made() {
    illegal(
        Rule::Unexplained,
        "no write can have made revision 2",
        "c1 put a 1 [10,20] -> r3
         c2 put b 1 [5,40] -> error",
    );
}

#[test]
fn a_value_that_was_never_written() {
    illegal(
        Rule::NeverWritten,
        "\"c2 get a\" at member 1 [30000000, 40000000] answered a=9@2, but \"c1 put a 1\"",
        "c1 put a 1 [10,20] -> r2
         c2 get a [30,40] -> r2 a=9@2",
    );
}

#[test]
fn a_write_of_unknown_outcome_that_is_seen_and_then_unseen() {
    illegal(
        Rule::StaleRead,
        "read at revision 1, but \"c2 get a\"",
        "c1 put a 1 [10,20] -> ?
         c2 get a [30,40] -> r2 a=1@2
         c2 get a [50,60] -> r1",
    );
    illegal(
        Rule::Answer,
        "answered [] of 0 at revision 2, but right is [a=1@2] of 1",
        "c1 put a 1 [10,20] -> ?
         c2 get a [30,40] -> r2 a=1@2
         c2 get a [50,60] -> r2",
    );
}

#[test]
fn a_transaction_that_is_half_visible() {
    illegal(
        Rule::Answer,
        "answered [a=1@2] of 1 at revision 2, but right is [a=1@2, b=1@2] of 2",
        "c1 txn ? put a 1; put b 1 [10,20] -> r2 then ok; ok
         c2 get a.. [30,40] -> r2 a=1@2",
    );
}

#[test]
fn a_transaction_that_took_the_wrong_branch() {
    illegal(
        Rule::Answer,
        "answered else {ok}",
        "c1 put a 1 [10,20] -> r2
         c2 txn a.mod=2 ? put b 1 : put b 2 [30,40] -> r3 else ok",
    );
}

#[test]
fn a_delete_that_missed_a_key() {
    illegal(
        Rule::Answer,
        "answered 1 deleted [] at revision 4, but right is 2 deleted [] at revision 4",
        "c1 put a 1 [10,20] -> r2
         c1 put b 1 [30,40] -> r3
         c1 del a.. [50,60] -> r4 1",
    );
}

#[test]
fn a_read_that_knows_of_a_write_before_it_began() {
    illegal(
        Rule::RevisionBack,
        "\"c2 put a 1\" at member 1 [30000000, 40000000] made revision 2, but \"c1 get b\"",
        "c1 get b [10,20] -> r2
         c2 put a 1 [30,40] -> r2",
    );
    illegal(
        Rule::RealTime,
        "only \"c2 put a 1\" at member 1 [30000000, …] can have made revision 2",
        "c1 get a [10,20] -> r2 a=1@2
         c2 put a 1 [30,] -> ?",
    );
}

#[test]
fn a_serializable_read_that_is_no_past_state() {
    illegal(
        Rule::SerializableRead,
        "answered [a=1@2] of 1, but the store at revision 3 held [a=2@3(created 2, version 2)]",
        "c1 put a 1 [10,20] -> r2
         c1 put a 2 [30,40] -> r3
         c2 get a serializable [50,60] -> r3 a=1@2",
    );
}

#[test]
fn a_serializable_read_of_the_future() {
    illegal(
        Rule::SerializableRead,
        "answered with revision 2, but \"c1 put b 1\" at member 1 [30000000, …], which made revision 2, \
         had not begun",
        "c2 get a serializable [10,20] -> r2
         c1 put b 1 [30,] -> ?
         c1 get b [40,50] -> r2 b=1@2",
    );
    illegal(
        Rule::SerializableRead,
        "answered with revision 3, but \"c1 put a 1\"",
        "c2 get b serializable [10,20] -> r3 b=1@3
         c1 put a 1 [30,40] -> r2
         c1 put b 1 [5,50] -> r3",
    );
}

#[test]
fn a_read_of_a_compacted_revision_that_gets_an_answer() {
    illegal(
        Rule::Answer,
        "answered [] of 0 at revision 3, but right is \"etcdserver: mvcc: required revision has",
        "c1 put a 1 [10,20] -> r2
         c1 put a 2 [30,40] -> r3
         c1 compact 3 [50,60] -> r3
         c2 get a rev=2 [70,80] -> r3",
    );
}

#[test]
fn a_refusal_as_compacted_of_what_is_not() {
    illegal(
        Rule::Refusal,
        "was refused with \"etcdserver: mvcc: required revision has been compacted\", but right at",
        "c1 put a 1 [10,20] -> r2
         c1 put a 2 [30,40] -> r3
         c1 compact 2 [50,60] -> r3
         c2 get a rev=2 [70,80] -> refused compacted",
    );
    illegal(
        Rule::SerializableRead,
        "for nothing",
        "c1 put a 1 [10,20] -> r2
         c1 compact 2 [30,40] -> r2
         c2 get a rev=2 serializable [50,60] -> refused compacted",
    );
}

#[test]
fn a_transaction_that_reads_at_a_compacted_revision() {
    illegal(
        Rule::Answer,
        "right is \"etcdserver: mvcc: required revision has been compacted\" at revision 3",
        "c1 put a 1 [10,20] -> r2
         c1 put a 2 [30,40] -> r3
         c1 compact 3 [50,60] -> r3
         c2 txn ? get a; get a rev=2 [70,80] -> r3 then a=2@3c2v2; a=1@2",
    );
    illegal(
        Rule::Refusal,
        "required revision has been compacted\", but right at revision 3 is",
        "c1 put a 1 [10,20] -> r2
         c1 put a 2 [30,40] -> r3
         c1 compact 2 [50,60] -> r3
         c2 txn ? get a; get a rev=2 [70,80] -> refused compacted",
    );
    illegal(
        Rule::Refusal,
        "required revision has been compacted\", but right at revision 3 is then",
        "c1 put a 1 [10,20] -> r2
         c1 put a 2 [30,40] -> r3
         c1 compact 3 [50,60] -> r3
         c2 txn a.mod=3 ? get a : get a rev=2 [70,80] -> refused compacted",
    );
}

#[test]
fn a_refusal_for_want_of_a_key_that_is_there() {
    illegal(
        Rule::Refusal,
        "was refused with \"etcdserver: key not found\", but right at revision 3 is ok",
        "c1 put a 1 [10,20] -> r2
         c2 put a 2 ignore-lease [30,40] -> refused no-key",
    );
    illegal(
        Rule::SerializableRead,
        "was refused with \"etcdserver: key not found\" for nothing",
        "c2 get a serializable [30,40] -> refused no-key",
    );
}

#[test]
fn a_refusal_for_a_lease_that_is_not_there() {
    illegal(
        Rule::Refusal,
        "was refused with \"etcdserver: lease already exists\", but right at revision 1 is",
        "c1 grant 7 60 [1,2] -> r1
         c1 revoke 7 [10,20] -> r1
         c1 grant 7 60 [30,40] -> refused lease-exists",
    );
}

#[test]
fn a_refusal_as_future_of_what_is_past() {
    illegal(
        Rule::Refusal,
        "required revision is a future revision",
        "c1 put a 1 [10,20] -> r2
         c2 get a rev=2 [30,40] -> refused future",
    );
}

#[test]
fn a_key_that_survives_the_end_of_its_lease() {
    illegal(
        Rule::Answer,
        "answered [b=1@3(lease 7)] of 1 at revision 4, but right is [] of 0",
        "c1 grant 7 60 [1,2] -> r1
         c1 put a 1 lease=7 [10,20] -> r2
         c1 put b 1 lease=7 [30,40] -> r3
         c1 revoke 7 [50,60] -> r4
         c2 get a.. [70,80] -> r4 b=1@3~7",
    );
}

#[test]
fn a_lease_that_ends_in_two_revisions() {
    illegal(
        Rule::Unexplained,
        "no write can have made revision 4",
        "c1 grant 7 60 [1,2] -> r1
         c1 put a 1 lease=7 [10,20] -> r2
         c1 put b 1 lease=7 [30,40] -> r3
         c1 revoke 7 [50,60] -> r5
         c2 put c 1 [70,80] -> r6
         c3 del c [70,] -> ?",
    );
}

#[test]
fn a_lease_that_ends_before_its_time() {
    illegal(
        Rule::ExpiredEarly,
        "only the expiry of lease 7 (not before 1900000000) can have made revision 3",
        "c1 grant 7 1 [0,10] -> r1
         c1 put a 1 lease=7 [20,30] -> r2
         c1 keep 7 [900,910] -> r2 1
         c1 get a [1500,1550] -> r3",
    );
}

#[test]
fn a_keep_alive_of_a_lease_that_is_gone() {
    illegal(
        Rule::Answer,
        "answered 60 s more, but right is the lease is gone",
        "c1 grant 7 60 [1,2] -> r1
         c1 revoke 7 [10,20] -> r1
         c1 keep 7 [30,40] -> r1 60",
    );
}

#[test]
fn a_put_under_a_lease_that_was_never_granted() {
    illegal(
        Rule::Answer,
        "answered ok at revision 2, but right is \"etcdserver: requested lease not found\"",
        "c1 put a 1 lease=7 [10,20] -> r2",
    );
}

#[test]
fn a_revision_out_of_all_reason() {
    illegal(Rule::Unexplained, "do not come near", "c1 put a 1 [10,20] -> r1000000000");
}

#[test]
fn a_compaction_that_the_members_forgot() {
    illegal(
        Rule::LostWrite,
        "compacted to 2, but the members hold everything from 0",
        "c1 put a 1 [10,20] -> r2
         c1 compact 2 [30,40] -> r2
         ground 2 compacted 0
         ground 2: put a=1@2",
    );
}

#[test]
fn a_search_that_is_cut_off() {
    let mut history = history(
        "c1 put a 1 [10,20] -> r2
         c1 get a [30,40] -> r2 a=1@2",
    );
    history.budget = 1;
    let violations = check(&history);
    assert_eq!(violations[0].rule, Rule::Undecided, "{violations:?}");
}
