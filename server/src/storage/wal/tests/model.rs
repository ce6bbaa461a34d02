//! Any sequence of groups leaves what the naive model holds, in memory and after opening again.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    /// Entries that replace the last `back`, maybe of a new term.
    Append {
        back: u64,
        count: u64,
        bytes: usize,
        newer: bool,
    },
    HardState {
        terms: u64,
    },
    /// The log begins anew after this index, anywhere in it or behind it.
    Base {
        index: u64,
        count: u64,
        bytes: usize,
    },
    Release {
        upto: u64,
    },
    Sync,
    Mark,
    /// From anywhere in the log to just behind it.
    Reopen {
        keep_after: u64,
    },
    /// Likewise.
    Read {
        low: u64,
        count: u64,
        max_bytes: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let back = prop_oneof![9 => Just(0), 1 => 0..9_u64];
    let bytes = prop_oneof![4 => 0..40_usize, 4 => 0..3000_usize, 1 => 7000..40_000_usize];
    prop_oneof![
        8 => (back, 0..5_u64, bytes, any::<bool>())
            .prop_map(|(back, count, bytes, newer)| Op::Append { back, count, bytes, newer }),
        1 => (1..3_u64).prop_map(|terms| Op::HardState { terms }),
        1 => (1..1000_u64, 0..3_u64, 0..9000_usize)
            .prop_map(|(index, count, bytes)| Op::Base { index, count, bytes }),
        3 => (0..1000_u64).prop_map(|upto| Op::Release { upto }),
        3 => Just(Op::Sync),
        1 => Just(Op::Mark),
        2 => (0..1000_u64).prop_map(|keep_after| Op::Reopen { keep_after }),
        4 => (0..1000_u64, 1..20_u64, 0..9000_u64)
            .prop_map(|(low, count, max_bytes)| Op::Read { low, count, max_bytes }),
    ]
}

/// A group for `op` that fits the model; none if it appends nothing.
pub(super) fn next_group(
    model: &Model,
    number: u64,
    back: u64,
    sizes: &[usize],
    newer: bool,
) -> Group {
    let (last, last_term) = model.last();
    let first = last.saturating_sub(back).max(model.base.0) + 1;
    let newest = if newer { last_term.max(model.hard_state.term) } else { last_term };
    let term = (newest + u64::from(newer || back > 0)).max(1);
    let indexes = first..;
    let entries = indexes.zip(sizes).map(|(index, bytes)| entry(index, term, *bytes)).collect();
    let hard_state = HardState { term, vote: vote_in(term), commit: first - 1 };
    Group { number, base: None, entries, hard_state: newer.then_some(hard_state) }
}

fn expect_read(model: &Model, low: u64, high: u64, max_bytes: u64) -> Vec<Entry> {
    let at = |index: u64| (index - model.base.0 - 1) as usize;
    let (from, to) = (at(low), at(high).min(model.entries.len()));
    let mut bytes = 0;
    let wanted = model.entries[from..to].iter().take_while(|entry| {
        let first = bytes == 0;
        bytes += prost::Message::encoded_len(*entry) as u64;
        first || bytes <= max_bytes
    });
    wanted.cloned().collect()
}

/// Releases, and compares with the most segments that can be removed by hand such that the log
/// still opens to the same and begins after `upto` at the latest.
fn release(log: &mut Log, model: &mut Model, disk: &MemoryDisk, upto: u64) {
    let (base, segments) = (log.base(), log.segments());
    let first = numbers(disk)[0];
    let by_hand = disk.copy();
    let mut most = 0;
    for count in 1..segments {
        by_hand.remove_file(&segment(first + count as u32 - 1)).unwrap();
        // Opening may change the disk.
        let Ok((_, recovered)) = open(&by_hand.copy()) else { continue };
        let in_time = recovered.base == base || recovered.base.0 <= upto;
        let same = model.from(recovered.base).is_some_and(|model| model.recovered() == recovered);
        if same && in_time {
            most = count;
        }
    }
    assert_eq!(log.release(upto).unwrap(), most, "up to {upto} of {base:?}..{:?}", log.last());
    assert_eq!(log.segments(), segments - most);
    assert!(log.base() == base || log.base().0 <= upto);
    *model = model.from(log.base()).unwrap();
}

fn run(ops: Vec<Op>) {
    let disk = disk_with_log(small());
    let mut model = Model::default();
    let (mut log, _) = open(&disk).unwrap();
    let mut number = 0;
    for op in ops {
        match op {
            Op::Append { back, count, bytes, newer } => {
                number += 1;
                let sizes = vec![bytes; count as usize];
                let group = next_group(&model, number, back, &sizes, newer);
                log.append(&group).unwrap();
                model.append(&group);
            }
            Op::HardState { terms } => {
                number += 1;
                let term = model.last().1.max(model.hard_state.term) + terms;
                let hard_state = HardState { term, vote: vote_in(term), commit: 0 };
                let group = Group { number, hard_state: Some(hard_state), ..Group::default() };
                log.append(&group).unwrap();
                model.append(&group);
            }
            Op::Base { index, count, bytes } => {
                number += 1;
                let (last, last_term) = model.last();
                let term = last_term.max(model.hard_state.term) + 1;
                let group = base_group(number, (1 + index % (last + 9), term), count, bytes);
                log.append(&group).unwrap();
                model.append(&group);
            }
            Op::Release { upto } => {
                let upto = upto % (model.last().0 + 2);
                log.sync().unwrap();
                release(&mut log, &mut model, &disk, upto);
            }
            Op::Sync => assert_eq!(log.sync().unwrap().number(), number),
            Op::Mark => log.mark().unwrap(),
            Op::Reopen { keep_after } => {
                let keep_after = keep_after % (model.last().0 + 2);
                let base = log.base();
                log.sync().unwrap();
                drop(log);
                let (opened, recovered) = open_small(&disk, keep_after, small()).unwrap();
                let mut expected = model.recovered();
                expected.tail.retain(|entry| entry.index > keep_after);
                assert_eq!(recovered, expected);
                assert_eq!(opened.base(), base);
                log = opened;
                number = 0;
            }
            Op::Read { low, count, max_bytes } => {
                let low = low % (model.last().0 + 2);
                let read = log.read(low, low + count, max_bytes);
                if (model.base.0 + 1..=model.last().0).contains(&low) {
                    let expected = expect_read(&model, low, low + count, max_bytes);
                    assert_eq!(read.unwrap(), expected);
                } else {
                    assert!(matches!(read, Err(LogError::OutOfRange { .. })));
                }
            }
        }
        assert_eq!((log.base(), log.last()), (model.base, model.last()));
        assert_eq!(log.term(model.base.0), Some(model.base.1));
        assert_eq!(log.term_runs(), model.runs());
    }
    log.sync().unwrap();
    drop(log);
    assert_eq!(open(&disk).unwrap().1, model.recovered());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_log_holds_what_the_model_holds(ops in prop::collection::vec(op(), 1..60)) {
        run(ops);
    }
}

#[test]
fn entries_are_read_back_over_segments_and_places() {
    let disk = disk_with_log(Options { segment_bytes: 512 * 1024 });
    let mut model = Model::default();
    let (mut log, _) = open_small(&disk, 0, Options { segment_bytes: 512 * 1024 }).unwrap();
    fill(&mut log, &mut model, 2000, 900);
    assert!(log.segments() > 3);
    for low in (1..2000).step_by(97) {
        assert_eq!(
            log.read(low, low + 50, u64::MAX).unwrap(),
            expect_read(&model, low, low + 50, u64::MAX)
        );
    }
    assert_eq!(log.read(1, 2001, u64::MAX).unwrap(), model.entries);
}

#[test]
fn a_group_larger_than_a_segment_is_kept() {
    let disk = disk_with_log(small());
    let mut model = Model::default();
    let (mut log, _) = open(&disk).unwrap();
    for (first, bytes) in [(1, 100), (2, 100_000), (5, 100)] {
        let group = group(first, first, 3, bytes);
        let group = Group { entries: group.entries, ..group };
        log.append(&group).unwrap();
        model.append(&group);
    }
    log.sync().unwrap();
    drop(log);
    assert_eq!(open(&disk).unwrap().1, model.recovered());
}

#[test]
fn entries_that_leave_a_gap_are_refused() {
    let disk = disk_with_log(small());
    let (mut log, _) = open(&disk).unwrap();
    log.append(&group(1, 1, 2, 10)).unwrap();
    let error = log.append(&group(2, 4, 1, 10)).unwrap_err().to_string();
    assert_eq!(error, "entry 4 of term 1 cannot follow entry 2 of term 1");
}
