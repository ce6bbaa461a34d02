//! In which term a member was and to whom it gave its vote is known, whatever becomes of the log.

use super::*;
use crate::storage::memory::{Effect, Errno, Fault, Op};

fn vote_path() -> PathBuf {
    Path::new(DIR).join("vote")
}

/// A log with an election in its newest segment and so many groups behind it.
fn elected(before: u64, behind: u64) -> MemoryDisk {
    let disk = disk_with_log(small());
    let (mut log, _) = open(&disk).unwrap();
    fill(&mut log, &mut Model::default(), before, 1000);
    let hard_state = Some(HardState { term: 5, vote: 9, commit: before });
    log.append(&Group { number: before + 1, hard_state, ..Group::default() }).unwrap();
    log.sync().unwrap();
    for _ in 0..behind {
        let entries = vec![entry(log.last().0 + 1, 5, 1000)];
        log.append(&Group { entries, ..Group::default() }).unwrap();
        log.sync().unwrap();
    }
    log.mark().unwrap();
    disk
}

/// Term and vote of what is left of a log that is damaged, or looks as if its end had never been.
fn vote(disk: &MemoryDisk) -> (u64, u64) {
    if open(disk).is_err() {
        let salvaged = Log::salvage(disk, Path::new(DIR), OURS, small()).unwrap();
        assert!(salvaged.is_some(), "the log is refused, and not damaged");
    }
    let (_, recovered) = open(disk).unwrap();
    (recovered.hard_state.term, recovered.hard_state.vote)
}

#[test]
fn no_damage_to_the_log_hides_a_vote() {
    for (before, behind) in [(3, 0), (3, 2), (40, 0), (40, 3)] {
        let whole = elected(before, behind);
        for number in numbers(&whole) {
            // Where the first segment begins nothing is known without it.
            let from = if number == 1 { 512 } else { 0 };
            let end = (end_of(&whole, number) + 600).min(28 * 1024);
            let damage = |what: &str, at: usize, change: &dyn Fn(&mut Vec<u8>)| {
                let disk = whole.copy();
                disk.with_bytes(&segment(number), change).unwrap();
                assert_eq!(vote(&disk), (5, 9), "{what} {at} of {number}, {before} {behind}");
            };
            for at in (from..end).step_by(8) {
                damage("a bit flipped at", at, &|bytes| bytes[at] ^= 1 << (at / 8 % 8));
            }
            for at in (from..end).step_by(512) {
                damage("a page zero from", at, &|bytes| bytes[at..at + 4096].fill(0));
                damage("a page of garbage from", at, &|bytes| bytes[at..at + 4096].fill(0x55));
                if number > 1 {
                    damage("the file ends at", at, &|bytes| bytes.truncate(at));
                }
            }
        }
        for number in numbers(&whole).into_iter().skip(1) {
            let disk = whole.copy();
            disk.remove_file(&segment(number)).unwrap();
            assert_eq!(vote(&disk), (5, 9), "without segment {number}, {before} {behind}");
        }
    }
}

#[test]
fn a_vote_outlasts_one_of_its_own_pages() {
    let whole = elected(3, 2);
    for at in 0..60 {
        for page in [0, 4096] {
            let disk = whole.copy();
            disk.with_bytes(&vote_path(), |bytes| bytes[page + at] ^= 4).unwrap();
            let last = end_of(&disk, 1) - 1;
            disk.with_bytes(&segment(1), |bytes| bytes[last - 2000..].fill(0)).unwrap();
            assert_eq!(vote(&disk), (5, 9), "byte {at} of page {page}");
        }
    }
}

#[test]
fn a_page_that_cannot_be_read_hides_no_vote() {
    let unreadable = |skip, times| {
        let fault = Fault::new(Effect::Fail(Errno::Eio), &[Op::Read]);
        fault.under(&vote_path()).after(skip).times(times)
    };
    for page in [0, 1] {
        let disk = elected(3, 2);
        disk.inject(unreadable(page, 1));
        let (_, recovered) = open(&disk).unwrap();
        assert_eq!((recovered.hard_state.term, recovered.hard_state.vote), (5, 9), "page {page}");
    }
    let disk = elected(3, 2);
    disk.inject(unreadable(0, 2));
    assert!(matches!(open(&disk).unwrap_err(), LogError::Io { .. }));
}

#[test]
fn a_damaged_log_without_a_vote_beside_it_is_refused_and_left_alone() {
    for damage in [0, 4095] {
        let disk = elected(3, 2);
        disk.with_bytes(&segment(1), |bytes| bytes[700] ^= 1).unwrap();
        match damage {
            0 => forget_vote(&disk),
            len => disk.with_bytes(&vote_path(), |bytes| bytes.truncate(len)).unwrap(),
        }
        let operations = disk.operations();
        let error = Log::salvage(&disk, Path::new(DIR), OURS, small()).unwrap_err();
        assert!(matches!(error, LogError::VoteLost { .. }), "{error}");
        assert_eq!(disk.operations(), operations);
    }
}

#[test]
fn a_whole_log_writes_its_vote_down_again() {
    for lost in [true, false] {
        let disk = elected(3, 2);
        if lost {
            forget_vote(&disk);
        } else {
            disk.with_bytes(&vote_path(), |bytes| bytes.fill(7)).unwrap();
        }
        open(&disk).unwrap();
        disk.crash(|| false);
        disk.with_bytes(&segment(1), |bytes| bytes[700] ^= 1).unwrap();
        assert_eq!(vote(&disk), (5, 9));
    }
}

#[test]
fn the_vote_of_another_member_is_none() {
    let disk = elected(3, 2);
    let theirs = MemoryDisk::new();
    theirs.create_dir_all(Path::new(DIR)).unwrap();
    let stranger = Identity { member_id: OURS.member_id + 1, ..OURS };
    Log::create(&theirs, Path::new(DIR), stranger, (0, 99), small()).unwrap();
    let bytes = theirs.with_bytes(&vote_path(), |bytes| bytes.clone()).unwrap();
    disk.with_bytes(&vote_path(), |ours| ours.clone_from(&bytes)).unwrap();
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!((recovered.hard_state.term, recovered.hard_state.vote), (5, 9));
}

#[test]
fn a_vote_is_beside_the_log_before_anybody_hears_of_it() {
    // Whatever operation of the sync is the last.
    for after in 0..8 {
        let disk = elected(3, 0);
        let (mut log, _) = open(&disk).unwrap();
        let hard_state = Some(HardState { term: 6, vote: 2, commit: 3 });
        log.append(&Group { number: 9, hard_state, ..Group::default() }).unwrap();
        disk.fail_after(after);
        let acknowledged = log.sync().is_ok();
        drop(log);
        disk.crash(|| after % 2 == 0);
        let (_, recovered) = open(&disk).unwrap();
        let found = (recovered.hard_state.term, recovered.hard_state.vote);
        assert!(found == (6, 2) || !acknowledged && found == (5, 9), "after {after}: {found:?}");
        // And of what was heard, damage hides nothing.
        disk.with_bytes(&segment(1), |bytes| bytes[700] ^= 1).unwrap();
        assert_eq!(vote(&disk), found, "after {after}");
    }
}
