//! Histories that a correct cluster can leave behind.

use super::script::history;
use crate::checker::check;

fn legal(script: &str) {
    assert_eq!(check(&history(script)), [], "{script}");
}

#[test]
fn nothing_happened() {
    legal("");
}

#[test]
fn one_client_reads_what_it_wrote() {
    legal(
        "c1 get a [1,2] -> r1
         c1 put a 1 [3,4] -> r2
         c1 put a 2 prev [5,6] -> r3 a=1@2
         c1 get a [7,8] -> r3 a=2@3c2v2
         c1 get a rev=2 [9,10] -> r3 a=1@2
         c1 del a prev [11,12] -> r4 1 a=2@3c2v2
         c1 del a [13,14] -> r4 0
         c1 get a.. [15,16] -> r4",
    );
}

#[test]
fn reads_that_overlap_a_write_see_it_or_not() {
    legal(
        "c1 put a 1 [10,100] -> r2
         c2 get a [20,90] -> r1
         c3 get a [30,40] -> r2 a=1@2
         c4 get a [5,50] -> r1",
    );
}

#[test]
fn writes_that_overlap_may_come_in_any_order() {
    legal(
        "c1 put a 1 [10,50] -> r3
         c2 put a 2 [20,60] -> r2
         c3 get a [70,80] -> r3 a=1@3c2v2",
    );
}

#[test]
fn a_write_of_unknown_outcome_happened() {
    legal(
        "c1 put a 1 [10,20] -> ?
         c2 get a [30,40] -> r2 a=1@2
         c2 put b 1 [50,60] -> r3",
    );
}

#[test]
fn a_write_of_unknown_outcome_never_happened() {
    legal(
        "c1 put a 1 [10,20] -> ?
         c2 get a [30,40] -> r1
         c2 put b 1 [50,60] -> r2
         c2 get a [70,80] -> r2",
    );
}

#[test]
fn a_write_of_unknown_outcome_happened_much_later() {
    legal(
        "c1 put a 1 [10,20] -> ?
         c2 put a 2 [30,40] -> r2
         c2 get a [50,60] -> r2 a=2@2
         c2 get a [70,80] -> r3 a=1@3c2v2",
    );
}

#[test]
fn of_several_writes_of_unknown_outcome_one_explains_each_revision() {
    legal(
        "c1 put a 1 [10,20] -> ?
         c2 put a 2 [10,20] -> ?
         c3 put b 3 [10,20] -> ?
         c4 put c 4 [30,40] -> r4
         c4 get a.. [50,60] -> r4 a=2@2 b=3@3 c=4@4",
    );
}

#[test]
fn a_transaction_is_seen_whole() {
    legal(
        "c1 put a 1 [10,20] -> r2
         c1 txn a.mod=2 ? put a 2; put b 2; get a : get a [30,40] -> r3 then ok; ok; a=2@3c2v2
         c2 txn a.mod=2 ? put a 9 : get a.. [50,60] -> r3 else a=2@3c2v2 b=2@3
         c2 get a.. limit=1 [70,80] -> r3 a=2@3c2v2 more count=2",
    );
}

#[test]
fn a_transaction_of_unknown_outcome_explains_what_was_read() {
    legal(
        "c1 txn a.version=0 ? put a 1; put b 1 : put a 2 [10,20] -> ?
         c2 get a.. [30,40] -> r2 a=1@2 b=1@2",
    );
}

#[test]
fn a_lease_ends_with_its_keys_at_one_revision() {
    legal(
        "c1 grant 7 60 [10,20] -> r1
         c1 put a 1 lease=7 [30,40] -> r2
         c1 put b 1 lease=7 [50,60] -> r3
         c1 keep 7 [61,62] -> r3 60
         c1 revoke 7 [70,80] -> r4
         c2 get a.. [90,95] -> r4
         c2 keep 7 [96,97] -> r4 0
         c2 put c 1 lease=7 [98,99] -> refused no-lease",
    );
}

#[test]
fn a_lease_runs_out_after_its_time_and_not_before_the_last_keep_alive_allows() {
    legal(
        "c1 grant 7 1 [0,10] -> r1
         c1 put a 1 lease=7 [20,30] -> r2
         c1 keep 7 [900,910] -> r2 1
         c1 get a [1800,1850] -> r2 a=1@2~7
         c1 get a [1900,1950] -> r3
         c1 revoke 7 [2000,2010] -> refused no-lease",
    );
}

#[test]
fn a_grant_of_unknown_outcome_explains_a_key_under_its_lease() {
    legal(
        "c1 grant 7 60 [10,20] -> ?
         c2 put a 1 lease=7 [30,40] -> r2
         c3 put b 1 lease=7 [30,40] -> ?
         c2 get b [50,60] -> r3 b=1@3~7",
    );
}

#[test]
fn a_revoke_of_unknown_outcome_may_fall_among_answers_of_one_revision() {
    legal(
        "c1 grant 7 60 [10,20] -> r1
         c1 revoke 7 [30,40] -> ?
         c2 keep 7 [50,60] -> r1 60
         c2 put a 1 lease=7 [70,80] -> refused no-lease
         c2 get a [90,95] -> r1",
    );
}

#[test]
fn a_compaction_hides_what_is_older_and_nothing_else() {
    legal(
        "c1 put a 1 [10,20] -> r2
         c1 put a 2 [30,40] -> r3
         c1 get a rev=9 [45,46] -> refused future
         c1 compact 3 [50,60] -> r3
         c2 get a rev=2 [70,80] -> refused compacted
         c2 get a rev=3 [81,82] -> r3 a=2@3c2v2
         c3 compact 3 [83,84] -> refused compacted",
    );
}

#[test]
fn a_transaction_that_reads_what_is_compacted_does_nothing() {
    legal(
        "c1 put a 1 [10,20] -> r2
         c1 put a 2 [30,40] -> r3
         c1 compact 3 [50,60] -> r3
         c2 txn ? put b 1; get a rev=2 [70,80] -> refused compacted
         c2 txn a.mod=3 ? get a : get a rev=2 [81,82] -> r3 then a=2@3c2v2
         c2 get b [83,84] -> r3",
    );
}

#[test]
fn a_negative_revision_is_the_newest_one_but_in_a_transaction() {
    legal(
        "c1 put a 1 [10,20] -> r2
         c2 get a rev=-5 [30,40] -> r2 a=1@2
         c2 txn ? get a rev=-1 [50,60] -> r2 then a=1@2
         c2 txn ? get a rev=-5 [61,62] -> refused compacted
         c2 txn ? get a rev=-5 serializable [63,64] -> refused compacted
         c1 compact 2 [70,80] -> ?
         c2 txn ? get a rev=-1 [90,95] -> refused compacted",
    );
}

#[test]
fn what_a_put_keeps_must_be_there_and_a_granted_lease_must_not() {
    legal(
        "c1 put a 1 ignore-lease [10,20] -> refused no-key
         c1 grant 7 60 [21,22] -> r1
         c1 grant 7 60 [23,24] -> refused lease-exists
         c1 put a 1 lease=7 [30,40] -> r2
         c1 put a 2 ignore-lease [50,60] -> r3
         c1 get a [61,62] -> r3 a=2@3c2v2~7
         c1 revoke 7 [70,80] -> r4
         c1 put a 3 ignore-lease [81,82] -> refused no-key",
    );
}

#[test]
fn a_compaction_of_unknown_outcome_explains_a_refusal() {
    legal(
        "c1 put a 1 [10,20] -> r2
         c1 put a 2 [30,40] -> r3
         c1 compact 3 [50,60] -> ?
         c2 get a rev=2 [70,80] -> r3 a=1@2
         c2 get a rev=2 [81,82] -> refused compacted
         c3 get a [83,84] -> r3 a=2@3c2v2",
    );
}

#[test]
fn a_serializable_read_may_be_old() {
    legal(
        "c1 put a 1 [10,20] -> r2
         c1 put a 2 [30,40] -> r3
         c1 compact 3 [50,60] -> r3
         c2 get a serializable [70,80] -> r2 a=1@2
         c2 get a serializable [81,82] -> r1
         c2 get a rev=2 serializable [83,84] -> r2 a=1@2
         c2 get a rev=2 serializable [85,86] -> refused compacted
         c2 get a rev=3 serializable [87,88] -> refused future",
    );
}

#[test]
fn a_serializable_read_settles_which_write_of_unknown_outcome_happened() {
    legal(
        "c1 put a 1 [10,20] -> ?
         c2 put a 2 [10,20] -> ?
         c3 put b 1 [30,40] -> r3
         c3 get a serializable [50,60] -> r3 a=1@2",
    );
}

#[test]
fn what_the_members_hold_settles_which_write_of_unknown_outcome_happened() {
    legal(
        "c1 put a 1 [10,20] -> ?
         c2 put b 2 [10,20] -> ?
         c3 put c 3 [30,40] -> r3
         ground 4 compacted 0
         ground 2: put b=2@2
         ground 3: put c=3@3
         ground 4: put a=1@4",
    );
}

#[test]
fn a_watch_settles_by_what_it_is_not_told_which_write_of_unknown_outcome_happened() {
    legal(
        "c1 put a 1 [10,20] -> ?
         c2 put b 1 [11,20] -> ?
         c3 put c 1 [30,40] -> r3
         w1 watch b from=2
         w1 @10 created r1
         w1 @50 progress r3",
    );
}

#[test]
fn a_watch_is_told_everything_it_asked_for() {
    legal(
        "c1 put a 1 [10,20] -> r2
         c1 txn ? put a 2; put b 2 [30,40] -> r3 then ok; ok
         c1 del a.. [50,60] -> r4 2
         c1 put z 1 [70,80] -> r5
         w1 watch a..c from=2 prev
         w1 @15 created r1
         w1 @45 r3 put a=1@2 | put a=2@3c2v2 < a=1@2 | put b=2@3
         w1 @65 r4 del a@4 < a=2@3c2v2 | del b@4 < b=2@3
         w1 @85 progress r5
         w1 owed 5
         w2 watch a..c from=3 no-delete
         w2 @15 created r1
         w2 @45 r3 put a=2@3c2v2 | put b=2@3
         w2 owed 5
         w3 watch a
         w3 @35 created r3
         w3 @65 r4 del a@4
         w3 owed 5",
    );
}

#[test]
fn a_watch_goes_on_at_another_member_where_it_stopped() {
    legal(
        "c1 put a 1 [10,20] -> r2
         c1 put a 2 [30,40] -> r3
         c1 put a 3 [50,60] -> r4
         w1 watch a from=2
         w1 @15 created r1
         w1 @25 r2 put a=1@2
         w1 watch a from=3
         w1 @65 created r4
         w1 @66 r4 put a=2@3c2v2 | put a=3@4c2v3
         w1 owed 4",
    );
}

#[test]
fn a_watch_gets_one_revision_in_fragments_if_it_asked_for_that() {
    legal(
        "c1 txn ? put a 1; put b 1; put c 1 [10,20] -> r2 then ok; ok; ok
         w1 watch a.. from=2 fragment
         w1 @15 created r1
         w1 @20 r2 fragment put a=1@2 | put b=1@2
         w1 @21 r2 put c=1@2
         w1 owed 2
         w2 watch a.. from=2 fragment
         w2 @15 created r1
         w2 @20 r2 fragment put a=1@2
         w2 watch a.. from=2
         w2 @25 created r2
         w2 @26 r2 put a=1@2 | put b=1@2 | put c=1@2",
    );
}

#[test]
fn a_watch_that_compaction_overtook_is_told_so_and_goes_on_from_there() {
    legal(
        "c1 put a 1 [10,20] -> r2
         c1 put a 2 [30,40] -> r3
         c1 put a 3 [45,46] -> r4
         c1 compact 4 [50,60] -> r4
         w1 watch a from=2 prev
         w1 @70 created r4
         w1 @71 canceled r4 by 4
         w1 watch a from=4 prev
         w1 @72 created r4
         w1 @73 r4 put a=3@4c2v3
         w1 owed 4",
    );
}

#[test]
fn a_watch_that_compaction_overtook_between_two_fragments_goes_on_from_there() {
    legal(
        "c1 txn ? put a 1; put b 1 [10,20] -> r2 then ok; ok
         c1 put a 2 [30,40] -> r3
         c1 compact 3 [50,60] -> r3
         w1 watch a.. from=2 fragment
         w1 @15 created r1
         w1 @25 r2 fragment put a=1@2
         w1 @70 canceled r0 by 3
         w1 watch a.. from=3
         w1 @72 created r3
         w1 @73 r3 put a=2@3c2v2
         w1 owed 3",
    );
}

#[test]
fn a_watch_that_its_client_canceled_is_owed_nothing() {
    legal(
        "c1 put a 1 [10,20] -> r2
         c1 put a 2 [30,40] -> r3
         w1 watch a from=2
         w1 @15 created r1
         w1 @25 r2 put a=1@2
         w1 cancel 25
         w1 @35 canceled r2
         w1 owed 3",
    );
}
