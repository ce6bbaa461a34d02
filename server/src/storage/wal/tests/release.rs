//! Old segments go when nothing needs them, and a crash in between costs nothing.

use super::*;

/// Several segments, none of whose entries were replaced.
fn filled(groups: u64) -> (MemoryDisk, Log, Model) {
    let disk = disk_with_log(small());
    let mut model = Model::default();
    let (mut log, _) = open(&disk).unwrap();
    fill(&mut log, &mut model, groups, 1000);
    (disk, log, model)
}

fn segments(disk: &MemoryDisk) -> Vec<String> {
    let names = disk.list(Path::new(DIR)).unwrap();
    names.into_iter().filter(|name| name != "vote").collect()
}

#[test]
fn segments_go_when_all_their_entries_may() {
    let (disk, mut log, model) = filled(100);
    let all = log.segments();
    assert!(all >= 4);
    assert_eq!(log.release(0).unwrap(), 0);
    assert_eq!((log.base(), log.segments()), ((0, 0), all));

    let gone = log.release(70).unwrap();
    let base = log.base();
    assert!(gone > 0 && base.0 <= 70 && base.1 == 1, "{gone} {base:?}");
    // The next segment would have held some that must stay.
    assert!(base.0 + 30 > 70);
    assert_eq!(segments(&disk).len(), all - gone);
    assert_eq!(log.term(base.0), Some(1));
    assert_eq!(log.term(base.0 - 1), None);
    assert_eq!(log.term_runs(), [TermRun { first: base.0 + 1, term: 1 }]);
    let message = log.read(base.0, base.0 + 2, 1).unwrap_err().to_string();
    assert!(message.contains(&format!("it begins after {} and ends at 100", base.0)), "{message}");
    assert_eq!(log.read(base.0 + 1, 101, u64::MAX).unwrap(), model.from(base).unwrap().entries);
    assert_eq!(log.release(70).unwrap(), 0);
    drop(log);
    assert_eq!(open(&disk).unwrap().1, model.from(base).unwrap().recovered());
}

#[test]
fn the_active_segment_stays_whatever_may_go() {
    let (disk, mut log, mut model) = filled(100);
    log.release(u64::MAX).unwrap();
    assert_eq!(log.segments(), 1);
    model = model.from(log.base()).unwrap();
    fill(&mut log, &mut model, 40, 1000);
    drop(log);
    let (mut log, recovered) = open(&disk).unwrap();
    assert_eq!(recovered, model.recovered());
    // What was opened can be released like what was written.
    assert!(log.release(u64::MAX).unwrap() > 0);
}

/// Segment 2 begins after entries that segment 3 replaces, so that no log can begin with it.
fn replaced_over_a_border() -> (MemoryDisk, Model) {
    let (disk, mut log, mut model) = filled(28);
    while log.segments() < 2 {
        fill(&mut log, &mut model, 1, 1000);
    }
    let border = model.last().0 - 1;
    while log.segments() < 3 {
        fill(&mut log, &mut model, 1, 1000);
    }
    let first = border - 2;
    let entries = (first..first + 60).map(|index| entry(index, 2, 1000)).collect::<Vec<_>>();
    for (number, entry) in (1..).zip(entries) {
        let commit = entry.index;
        let hard_state = Some(HardState { term: 2, vote: 0, commit });
        let group = Group { number, base: None, entries: vec![entry], hard_state };
        log.append(&group).unwrap();
        model.append(&group);
    }
    log.sync().unwrap();
    assert!(log.segments() > 3);
    drop(log);
    (disk, model)
}

#[test]
fn a_segment_that_no_log_can_begin_with_goes_only_with_the_next() {
    let (disk, model) = replaced_over_a_border();
    let (mut log, _) = open(&disk).unwrap();
    // By its header, segment 2 could be the first.
    let header = super::super::segment::Segment::read_header(&disk, Path::new(DIR), 2).unwrap();
    assert_eq!(log.release(header.header.previous.0).unwrap(), 0);
    assert_eq!(log.base(), (0, 0));
    let last = log.last().0;
    assert!(log.release(last).unwrap() >= 3);
    let base = log.base();
    assert_eq!(open(&disk).unwrap().1, model.from(base).unwrap().recovered());
}

#[test]
fn a_crash_at_any_moment_of_a_release_leaves_a_log_that_opens() {
    let (disk, model) = replaced_over_a_border();
    let mut least_left = usize::MAX;
    let mut began = std::collections::BTreeSet::new();
    for after in 0..20 {
        for power in [None, Some(false), Some(true)] {
            let disk = disk.copy();
            let (mut log, _) = open(&disk).unwrap();
            let (last, removals) = (log.last().0, log.segments() as u64 - 1);
            disk.fail_after(after);
            let released = log.release(last);
            drop(log);
            disk.heal();
            if let Some(all) = power {
                disk.crash(|| all);
            }
            let what = format!("after {after}, {power:?}, {:?}", segments(&disk));
            let (mut log, recovered) = open(&disk).unwrap_or_else(|e| panic!("{what}: {e}"));
            let expected = model.from(recovered.base).expect("an entry of the log").recovered();
            assert_eq!(recovered, expected, "{what}");
            assert_eq!(released.is_ok(), after >= 2 * removals, "{what}");
            began.insert(segments(&disk)[0].clone());
            log.release(last).unwrap();
            least_left = least_left.min(log.segments());
        }
    }
    assert_eq!(least_left, 1);
    assert!(began.contains("00000002.log"), "{began:?}");
}

#[test]
fn names_come_back_in_no_order_that_makes_a_gap() {
    // Between two removals the directory is synced: no two are ever in flight.
    let (disk, mut log, _) = filled(100);
    let (operations, all) = (disk.operations(), log.segments() as u64);
    log.release(u64::MAX).unwrap();
    assert_eq!(disk.operations() - operations, 2 * (all - 1));
}

#[test]
fn without_what_was_released_no_older_segment_is_missed_but_a_newer_one_is() {
    let (disk, mut log, _) = filled(100);
    log.release(40).unwrap();
    let names = segments(&disk);
    disk.remove_file(&Path::new(DIR).join(&names[1])).unwrap();
    let message = open(&disk).unwrap_err().to_string();
    assert!(message.contains(&format!("{} is missing", names[1])), "{message}");
}

#[test]
fn a_log_whose_beginning_is_lost_is_refused() {
    let (disk, _) = replaced_over_a_border();
    // Segment 3 replaces entries that only segment 1 has, and nothing follows.
    let by_hand = disk.copy();
    by_hand.remove_file(&segment(1)).unwrap();
    for name in &segments(&disk)[3..] {
        by_hand.remove_file(&Path::new(DIR).join(name)).unwrap();
    }
    // Not even its cut may say that something is missing.
    let end = super::torture::frames(&by_hand, 3).last().unwrap().0;
    by_hand.with_bytes(&segment(3), |bytes| bytes[end..].fill(0)).unwrap();
    let message = open(&by_hand).unwrap_err().to_string();
    assert!(message.contains("those are missing"), "{message}");
}

#[test]
fn numbers_of_segments_end_without_wrapping() {
    use super::super::format::{Position, SegmentHeader};
    let disk = MemoryDisk::new();
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let header = SegmentHeader {
        identity: OURS,
        number: u32::MAX,
        size: 32 * 1024,
        previous: (0, 0),
        hard_state: HardState::default(),
        continues: Position::default(),
        chain: 0,
        incomplete: None,
    };
    super::super::segment::Segment::create(&disk, Path::new(DIR), header).unwrap();
    let mut model = Model::default();
    let (mut log, _) = open(&disk).unwrap();
    fill(&mut log, &mut model, 25, 1000);
    let next = group(99, 26, 1, 10_000);
    let message = log.append(&next).unwrap_err().to_string();
    assert!(message.contains("ffffffff.log is the last segment"), "{message}");
    assert!(matches!(log.sync(), Err(LogError::Poisoned(_))));
    assert_eq!(open(&disk).unwrap().1, model.recovered());
}
