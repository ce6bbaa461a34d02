//! Watches that break a guarantee, over operations that are in order.

use super::script::history;
use crate::checker::{History, Rule, check};

/// Four revisions: a put of `a`, a transaction that puts `a` and `b`, the deletion of `a`, and a
/// put of `z`.
const PAST: &str = "c1 put a 1 [10,20] -> r2
    c1 txn ? put a 2; put b 2 [30,40] -> r3 then ok; ok
    c1 del a [50,60] -> r4 1
    c1 put z 1 [70,80] -> r5
    ";

fn illegal(rule: Rule, said: &str, script: &str) {
    assert_eq!(check(&history(PAST)), []);
    found(rule, said, &history(&format!("{PAST}{script}")));
}

fn found(rule: Rule, said: &str, history: &History) {
    let violations = check(history);
    let [violation] = &violations[..] else { panic!("{violations:?} for {:?}", history.watches) };
    assert_eq!(violation.rule, rule, "{violation}");
    assert!(violation.message.contains(said), "{violation}");
    assert!(violation.message.starts_with("watch w1 (leg "), "{violation}");
}

#[test]
fn a_gap() {
    illegal(
        Rule::WatchReliable,
        "got revision 4, but never put a=2@3(created 2, version 2)",
        "w1 watch a from=2
         w1 @15 created r1
         w1 @65 r4 put a=1@2 | del a@4",
    );
}

#[test]
fn an_end_that_never_comes() {
    illegal(
        Rule::WatchReliable,
        "was never told delete a@4",
        "w1 watch a from=3
         w1 @15 created r1
         w1 @65 r3 put a=2@3c2v2
         w1 owed 5",
    );
}

#[test]
fn an_event_twice() {
    illegal(
        Rule::WatchUnique,
        "got put a=1@2 twice",
        "w1 watch a from=2
         w1 @15 created r1
         w1 @25 r2 put a=1@2
         w1 @46 r3 put a=1@2 | put a=2@3c2v2",
    );
}

#[test]
fn events_in_the_wrong_order() {
    illegal(
        Rule::WatchOrdered,
        "got put a=1@2 after an event of 3",
        "w1 watch a from=2
         w1 @15 created r1
         w1 @45 r3 put a=2@3c2v2 | put a=1@2",
    );
}

#[test]
fn events_of_one_revision_in_the_wrong_order() {
    illegal(
        Rule::WatchOrdered,
        "in this order, but right is",
        "w1 watch a..c from=3
         w1 @15 created r1
         w1 @45 r3 put b=2@3 | put a=2@3c2v2",
    );
}

#[test]
fn a_revision_that_is_split() {
    illegal(
        Rule::WatchAtomic,
        "got [put a=2@3(created 2, version 2)] alone, but the revision is",
        "w1 watch a..c from=3
         w1 @15 created r1
         w1 @45 r3 put a=2@3c2v2
         w1 @46 r3 put b=2@3",
    );
}

#[test]
fn a_fragment_that_was_not_asked_for() {
    illegal(
        Rule::WatchAtomic,
        "got a fragment and had not asked for it",
        "w1 watch a..c from=3
         w1 @15 created r1
         w1 @45 r3 fragment put a=2@3c2v2
         w1 @46 r3 put b=2@3",
    );
}

#[test]
fn an_event_of_another_key() {
    illegal(
        Rule::WatchFilter,
        "got put b=2@3, which it does not want",
        "w1 watch a from=3
         w1 @15 created r1
         w1 @45 r3 put a=2@3c2v2 | put b=2@3",
    );
}

#[test]
fn an_event_that_was_filtered_out() {
    illegal(
        Rule::WatchFilter,
        "got delete a@4, which it does not want",
        "w1 watch a from=3 no-delete
         w1 @15 created r1
         w1 @45 r3 put a=2@3c2v2
         w1 @65 r4 del a@4",
    );
}

#[test]
fn a_wrong_prev_kv() {
    illegal(
        Rule::WatchPrevKv,
        "with a=1@2 before it, but right is a=2@3(created 2, version 2)",
        "w1 watch a from=4 prev
         w1 @15 created r1
         w1 @65 r4 del a@4 < a=1@2",
    );
}

#[test]
fn a_prev_kv_that_is_missing() {
    illegal(
        Rule::WatchPrevKv,
        "with nothing before it, but right is a=2@3",
        "c1 compact 3 [90,91] -> r5
         w1 watch a from=4 prev
         w1 @15 created r1
         w1 @95 r4 del a@4",
    );
}

#[test]
fn a_prev_kv_that_was_not_asked_for() {
    illegal(
        Rule::WatchPrevKv,
        "but right is nothing",
        "w1 watch a from=4
         w1 @15 created r1
         w1 @65 r4 del a@4 < a=2@3c2v2",
    );
}

#[test]
fn a_change_that_claims_to_be_a_creation() {
    illegal(
        Rule::WatchIsCreate,
        "got put a=2@3, but right is put a=2@3(created 2, version 2)",
        "w1 watch a from=3
         w1 @15 created r1
         w1 @45 r3 put a=2@3",
    );
}

#[test]
fn an_event_with_another_value() {
    illegal(
        Rule::WatchContent,
        "got put a=9@2, but right is put a=1@2",
        "w1 watch a from=2
         w1 @15 created r1
         w1 @45 r2 put a=9@2",
    );
}

#[test]
fn progress_before_the_events() {
    illegal(
        Rule::WatchBookmarkable,
        "was told of progress at 4, but not of delete a@4",
        "w1 watch a from=3
         w1 @15 created r1
         w1 @45 r3 put a=2@3c2v2
         w1 @65 progress r4
         w1 @66 r4 del a@4",
    );
}

#[test]
fn an_event_after_the_progress_that_covers_it() {
    illegal(
        Rule::WatchBookmarkable,
        "got delete a@4 after progress at 5",
        "w1 watch a from=4
         w1 @15 created r1
         w1 @65 r4 del a@4
         w1 @85 progress r5
         w1 @86 r5 del a@4",
    );
}

#[test]
fn a_resumption_that_loses_an_event() {
    illegal(
        Rule::WatchResumable,
        "(leg 1, member 1) got revision 4, but never put a=2@3",
        "w1 watch a from=2
         w1 @15 created r1
         w1 @25 r2 put a=1@2
         w1 watch a from=3
         w1 @65 created r4
         w1 @66 r4 del a@4",
    );
}

#[test]
fn a_resumption_at_the_wrong_place() {
    illegal(
        Rule::WatchResumable,
        "resumed at 4 after everything before 3 had come",
        "w1 watch a from=2
         w1 @15 created r1
         w1 @25 r2 put a=1@2
         w1 watch a from=4
         w1 @65 created r4
         w1 @66 r4 del a@4",
    );
}

#[test]
fn an_event_from_before_the_start() {
    illegal(
        Rule::WatchStart,
        "starts at 4 and got put a=2@3",
        "w1 watch a from=4
         w1 @15 created r1
         w1 @65 r4 put a=2@3c2v2 | del a@4",
    );
}

#[test]
fn progress_from_before_the_start() {
    illegal(
        Rule::WatchStart,
        "starts at 100 and was told of progress at 4",
        "w1 watch a from=100
         w1 @15 created r1
         w1 @65 progress r4",
    );
}

#[test]
fn an_event_before_it_happened() {
    illegal(
        Rule::WatchFuture,
        "was told of revision 3 at 25000000",
        "w1 watch a from=3
         w1 @15 created r1
         w1 @25 r3 put a=2@3c2v2",
    );
}

#[test]
fn an_event_that_never_happened() {
    illegal(
        Rule::WatchContent,
        "got put c=1@4, which did not happen",
        "w1 watch c from=2
         w1 @15 created r1
         w1 @85 r5 put c=1@4",
    );
}

#[test]
fn an_end_by_a_compaction_that_took_nothing_from_it() {
    illegal(
        Rule::WatchCompacted,
        "was ended by compaction 3, but is owed only 3 and on",
        "c1 compact 3 [90,91] -> r5
         w1 watch a from=3
         w1 @95 created r5
         w1 @96 canceled r5 by 3",
    );
}

#[test]
fn an_end_by_a_compaction_that_nobody_made() {
    illegal(
        Rule::WatchCompacted,
        "was ended by compaction 4, which nobody had asked for",
        "c1 compact 3 [90,91] -> r5
         w1 watch a from=2
         w1 @95 created r5
         w1 @96 canceled r5 by 4",
    );
}

#[test]
fn a_word_after_the_end() {
    illegal(
        Rule::WatchProtocol,
        "was told something after its end",
        "w1 watch a from=4
         w1 @95 created r5
         w1 cancel 90
         w1 @96 canceled r5
         w1 @97 r5 del a@4",
    );
}

#[test]
fn an_end_that_nobody_asked_for() {
    let said = "was ended, and neither its client nor a compaction had asked for that";
    illegal(
        Rule::WatchProtocol,
        said,
        "w1 watch a from=4
         w1 @15 created r1
         w1 @25 canceled r2
         w1 owed 5",
    );
    illegal(
        Rule::WatchProtocol,
        said,
        "w1 watch a from=4
         w1 @15 created r1
         w1 @25 canceled r2
         w1 cancel 30",
    );
    illegal(
        Rule::WatchProtocol,
        said,
        "w1 watch a from=4
         w1 @15 created r1
         w1 cancel 20
         w1 watch a from=4
         w1 @21 created r2
         w1 @25 canceled r2",
    );
}

#[test]
fn an_end_between_two_fragments_whose_rest_never_comes() {
    illegal(
        Rule::WatchResumable,
        "resumed at 4 after everything before 3 had come",
        "w1 watch a..c from=3 fragment
         w1 @15 created r1
         w1 @45 r3 fragment put a=2@3c2v2
         w1 watch a..c from=4
         w1 @65 created r4",
    );
    illegal(
        Rule::WatchReliable,
        "was never told put a=2@3",
        "w1 watch a..c from=3 fragment
         w1 @15 created r1
         w1 @45 r3 fragment put a=2@3c2v2
         w1 owed 5",
    );
}

#[test]
fn an_end_between_two_fragments_after_a_gap() {
    illegal(
        Rule::WatchReliable,
        "got revision 3, but never put a=1@2",
        "w1 watch a..c from=2 fragment
         w1 @15 created r1
         w1 @65 r4 fragment put a=2@3c2v2 | put b=2@3 | del a@4",
    );
}

#[test]
fn progress_between_two_fragments() {
    illegal(
        Rule::WatchBookmarkable,
        "was told of progress at 3, but not of put a=2@3",
        "w1 watch a..c from=3 fragment
         w1 @15 created r1
         w1 @45 r3 fragment put a=2@3c2v2
         w1 @46 progress r3
         w1 @47 r3 put b=2@3",
    );
}

#[test]
fn a_response_that_is_older_than_its_events() {
    illegal(
        Rule::WatchProtocol,
        "got an event of 4 in a response of 3",
        "w1 watch a from=3
         w1 @15 created r1
         w1 @65 r3 put a=2@3c2v2 | del a@4",
    );
}

#[test]
fn a_watch_that_is_created_twice_or_never() {
    illegal(
        Rule::WatchProtocol,
        "was created twice",
        "w1 watch a from=4
         w1 @15 created r1
         w1 @16 created r1",
    );
    illegal(
        Rule::WatchProtocol,
        "was told something before it was created",
        "w1 watch a from=4
         w1 @65 r4 del a@4",
    );
}

#[test]
fn a_malformed_response() {
    let script = format!(
        "{PAST}w1 watch a from=4
         w1 @15 created r1
         w1 @65 r4 del a@4"
    );
    let good = history(&script);
    assert_eq!(check(&good), []);
    for place in 0..2 {
        let mut headless = good.clone();
        headless.watches[0].legs[0].responses[place].1.header = None;
        found(Rule::Malformed, "was told something without a header", &headless);
    }
    let mut keyless = good;
    keyless.watches[0].legs[0].responses[1].1.events[0].kv = None;
    found(Rule::WatchContent, "got an event without a key", &keyless);
}
