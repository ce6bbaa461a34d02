//! A group with a base begins the log anew, as a whole or not at all.

use super::*;

/// A log of ten entries with the group behind them.
fn with(group: &Group) -> (MemoryDisk, Log, Model) {
    let disk = disk_with_log(small());
    let mut model = Model::default();
    let (mut log, _) = open(&disk).unwrap();
    fill(&mut log, &mut model, 10, 100);
    log.append(group).unwrap();
    (disk, log, model)
}

#[test]
fn a_base_makes_all_before_it_void_wherever_it_lies() {
    // Below the log's end, at it, and above it.
    for (index, count) in [(3, 2), (10, 0), (10, 3), (80, 0), (80, 4)] {
        let group = base_group(11, (index, 5), count, 50);
        let (disk, mut log, mut model) = with(&group);
        model.append(&group);
        assert_eq!((log.base(), log.last()), ((index, 5), (index + count, 5)));
        assert_eq!(log.term_runs(), model.runs());
        assert_eq!((log.term(index), log.term(index - 1)), (Some(5), None));
        assert!(matches!(log.read(index, index + 1, 9), Err(LogError::OutOfRange { .. })));
        if count > 0 {
            let read = log.read(index + 1, index + count + 1, u64::MAX).unwrap();
            assert_eq!(read, group.entries);
        }
        log.sync().unwrap();
        drop(log);
        let (mut log, recovered) = open(&disk).unwrap();
        assert_eq!(recovered, model.recovered(), "base {index}");
        fill(&mut log, &mut model, 0, 0);
        let next = entry(index + count + 1, 6, 10);
        let next = Group { number: 1, entries: vec![next], ..Group::default() };
        log.append(&next).unwrap();
        model.append(&next);
        log.sync().unwrap();
        assert_eq!(open(&disk).unwrap().1, model.recovered(), "base {index}");
    }
}

#[test]
fn a_torn_base_leaves_the_log_as_it_was() {
    let group = base_group(11, (80, 5), 1, 700);
    let (disk, mut log, model) = with(&group);
    let from = end_of(&disk, 1);
    log.sync().unwrap();
    drop(log);
    let whole = disk.with_bytes(&segment(1), |bytes| bytes.clone()).unwrap();
    let frames = super::torture::frames(&disk, 1);
    let (_, end) = frames.into_iter().find(|(start, _)| *start >= from).unwrap();
    for cut in from..end {
        let torn = disk.copy();
        torn.with_bytes(&segment(1), |bytes| {
            bytes.clone_from(&whole);
            bytes[cut..].fill(0);
        })
        .unwrap();
        // The crash came before it was durable.
        forget_vote(&torn);
        let (_, recovered) = open(&torn).unwrap();
        assert_eq!(Recovered { torn: None, ..recovered }, model.recovered(), "cut at {cut}");
    }
}

#[test]
fn a_base_that_forgets_what_is_committed_is_refused() {
    let hard_state = |commit| Some(HardState { term: 5, vote: 0, commit });
    for (base, commit, message) in [
        (0, 0, "anew after entry 0"),
        (8, 7, "entry 7 is committed"),
        (8, 12, "the last one would be 10"),
    ] {
        let mut group = base_group(11, (base, 5), 2, 10);
        group.hard_state = hard_state(commit);
        let disk = disk_with_log(small());
        let (mut log, _) = open(&disk).unwrap();
        let error = log.append(&group).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    // The hard state before counts where the group has none.
    let disk = disk_with_log(small());
    let (mut log, _) = open(&disk).unwrap();
    let group = Group { hard_state: None, ..base_group(1, (8, 5), 0, 0) };
    assert!(matches!(log.append(&group), Err(LogError::Base { commit: 0, .. })));
}

#[test]
fn entries_must_follow_the_base() {
    for (index, term) in [(81, 4), (82, 5), (80, 5)] {
        let entries = vec![entry(index, term, 10)];
        let group = Group { entries, ..base_group(11, (80, 5), 0, 0) };
        let disk = disk_with_log(small());
        let (mut log, _) = open(&disk).unwrap();
        let error = log.append(&group).unwrap_err();
        assert!(matches!(error, LogError::Base { .. } | LogError::Order { .. }), "{error}");
    }
}

#[test]
fn a_base_frees_the_segments_before_it_once_it_is_durable() {
    let disk = disk_with_log(small());
    let mut model = Model::default();
    let (mut log, _) = open(&disk).unwrap();
    fill(&mut log, &mut model, 100, 1000);
    let group = base_group(101, (500, 2), 1, 50);
    log.append(&group).unwrap();
    // Not synced: releasing must do it, or a crash leaves neither the old log nor the new.
    assert!(log.release(500).unwrap() > 0);
    assert_eq!((log.segments(), log.base()), (1, (500, 2)));
    drop(log);
    disk.crash(|| false);
    model.append(&group);
    assert_eq!(open(&disk).unwrap().1, model.recovered());
}

#[test]
fn a_group_of_unknown_kind_is_refused() {
    let (disk, mut log, _) = with(&base_group(11, (80, 5), 1, 10));
    log.sync().unwrap();
    drop(log);
    let (from, to) = *super::torture::frames(&disk, 1).last().unwrap();
    disk.with_bytes(&segment(1), |bytes| {
        // As a newer version would write it, checksums and all.
        bytes[from + 36] |= 128;
        let crc = crc32fast::hash(&bytes[from..from + 40]);
        bytes[from + 40..from + 44].copy_from_slice(&crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[from..to - 8]);
        bytes[to - 8..to - 4].copy_from_slice(&crc.to_le_bytes());
    })
    .unwrap();
    let message = open(&disk).unwrap_err().to_string();
    assert!(message.contains("does not know"), "{message}");
}
