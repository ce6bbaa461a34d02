//! To whom a member gave its vote is known, whatever single place of the log is damaged.

use super::*;

/// What an election writes, and what comes before and behind it.
fn elected(before: u64, entries: u64, bytes: usize, behind: u64) -> (MemoryDisk, usize) {
    let disk = disk_with_log(small());
    let (mut log, _) = open(&disk).unwrap();
    fill(&mut log, &mut Model::default(), before, 100);
    let start = end_of(&disk, 1);
    let entries = (before + 1..=before + entries).map(|index| entry(index, 5, bytes)).collect();
    let hard_state = Some(HardState { term: 5, vote: 9, commit: before });
    log.append(&Group { number: before + 1, base: None, entries, hard_state }).unwrap();
    log.sync().unwrap();
    for _ in 0..behind {
        let entries = vec![entry(log.last().0 + 1, 5, 100)];
        log.append(&Group { number: 0, base: None, entries, hard_state: None }).unwrap();
        log.sync().unwrap();
    }
    log.mark().unwrap();
    (disk, start)
}

/// Term and vote of what is left of a damaged log.
fn vote(disk: &MemoryDisk) -> (u64, u64) {
    if open(disk).is_err() {
        let salvaged = Log::salvage(disk, Path::new(DIR), OURS, small()).unwrap();
        assert!(salvaged.is_some(), "the log is refused, and not damaged");
    }
    let (_, recovered) = open(disk).unwrap();
    (recovered.hard_state.term, recovered.hard_state.vote)
}

#[test]
fn no_flipped_bit_hides_a_vote() {
    for (before, entries, bytes, behind) in [(3, 0, 0, 0), (3, 0, 0, 2), (5, 1, 700, 1)] {
        let (whole, start) = elected(before, entries, bytes, behind);
        let end = end_of(&whole, 1);
        for at in start..end + 8 {
            for bit in 0..8 {
                let disk = whole.copy();
                disk.with_bytes(&segment(1), |bytes| bytes[at] ^= 1 << bit).unwrap();
                assert_eq!(vote(&disk), (5, 9), "bit {bit} of byte {at}, {before} {entries}");
            }
        }
    }
}

#[test]
fn no_lost_sector_hides_a_vote() {
    for before in 1..12 {
        for (entries, bytes) in [(0, 0), (1, 300), (2, 700)] {
            let (whole, start) = elected(before, entries, bytes, 1);
            for sector in start / 512..=end_of(&whole, 1) / 512 {
                for value in [0, 0x55] {
                    let disk = whole.copy();
                    let sector = sector * 512..(sector + 1) * 512;
                    disk.with_bytes(&segment(1), |all| all[sector.clone()].fill(value)).unwrap();
                    assert_eq!(vote(&disk), (5, 9), "{sector:?}, {before} {entries}");
                }
            }
        }
    }
}

#[test]
fn a_vote_at_the_end_of_a_segment_is_in_the_next_one_s_header() {
    for left in 0..40 {
        let disk = disk_with_log(small());
        let (mut log, _) = open(&disk).unwrap();
        let mut model = Model::default();
        while log.segments() == 1 && end_of(&disk, 1) < 32 * 1024 - 1200 - 16 * left {
            fill(&mut log, &mut model, 1, 16);
        }
        let last = model.last().0;
        let hard_state = Some(HardState { term: 2, vote: 9, commit: last });
        log.append(&Group { number: 9000, base: None, entries: Vec::new(), hard_state }).unwrap();
        log.sync().unwrap();
        drop(log);
        disk.crash(|| false);
        let (_, recovered) = open(&disk).unwrap();
        assert_eq!((recovered.hard_state.term, recovered.hard_state.vote), (2, 9), "left {left}");
    }
}
