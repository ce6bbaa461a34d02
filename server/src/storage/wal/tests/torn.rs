//! What a crash may leave at the end of the log is cut off, and the log goes on.

use super::*;

/// A log of some synced groups and one more group, the bytes before and after the latter.
fn with_last_group(last: &Group) -> (MemoryDisk, Model, Vec<u8>, Vec<u8>) {
    let disk = disk_with_log(small());
    let mut model = Model::default();
    let (mut log, _) = open(&disk).unwrap();
    fill(&mut log, &mut model, 5, 100);
    let before = disk.with_bytes(&segment(1), |bytes| bytes.clone()).unwrap();
    log.append(last).unwrap();
    log.sync().unwrap();
    let after = disk.with_bytes(&segment(1), |bytes| bytes.clone()).unwrap();
    (disk, model, before, after)
}

/// The log opens without its last group, says so, and takes the group again.
fn opens_without_last(disk: &MemoryDisk, model: &Model, last: &Group, what: &str) {
    let (mut log, recovered) = open(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(recovered.torn.is_some(), "{what}: nothing said");
    assert_eq!(Recovered { torn: None, ..recovered }, model.recovered(), "{what}");
    log.append(last).unwrap();
    log.sync().unwrap();
    drop(log);
    let mut whole = model.clone();
    whole.append(last);
    assert_eq!(open(disk).unwrap().1, whole.recovered(), "{what}: appended again");
}

#[test]
fn a_last_group_torn_at_any_byte_is_cut() {
    for last in [group(6, 6, 1, 60), group(6, 6, 3, 700)] {
        let (disk, model, before, after) = with_last_group(&last);
        let from = (0..after.len()).find(|at| before[*at] != after[*at]).unwrap();
        let to = (0..after.len()).rfind(|at| before[*at] != after[*at]).unwrap() + 1;
        for cut in from + 1..to {
            let mut torn = after.clone();
            torn[cut..].fill(0);
            disk.with_bytes(&segment(1), |bytes| bytes.clone_from(&torn)).unwrap();
            opens_without_last(&disk, &model, &last, &format!("cut at {cut} of {from}..{to}"));
        }
    }
}

#[test]
fn a_last_group_with_a_zeroed_sector_is_cut() {
    // The second value is a lot of zeros itself: sectors that may be zero do not hide those that
    // may not.
    let mut zeros = group(6, 6, 3, 1500);
    zeros.entries[1].data = Bytes::from(vec![0; 4000]);
    // The third has whole sectors with one bit set, as sparse bitmaps are: others may be
    // lost all the same. Such a sector lost alone cannot be told from one whose bit was flipped.
    let mut sparse = group(6, 6, 3, 1500);
    let mut bitmap = vec![0; 4000];
    bitmap[1700] = 16;
    sparse.entries[1].data = Bytes::from(bitmap);
    for last in [group(6, 6, 4, 700), zeros, sparse] {
        let (disk, model, before, after) = with_last_group(&last);
        let from = (0..after.len()).find(|at| before[*at] != after[*at]).unwrap();
        let to = (0..after.len()).rfind(|at| before[*at] != after[*at]).unwrap() + 1;
        for sector in (from / 512..to.div_ceil(512)).map(|sector| sector * 512) {
            let mut torn = after.clone();
            // What was there before the group was written stays as it was.
            torn[sector..sector + 512].copy_from_slice(&before[sector..sector + 512]);
            let lost = (sector..sector + 512).filter(|at| torn[*at] != after[*at]);
            let bits: u32 = lost.map(|at| (torn[at] ^ after[at]).count_ones()).sum();
            if bits == 0 {
                continue;
            }
            disk.with_bytes(&segment(1), |bytes| bytes.clone_from(&torn)).unwrap();
            if bits == 1 {
                assert!(matches!(open(&disk).unwrap_err(), LogError::Damaged { .. }));
                continue;
            }
            opens_without_last(&disk, &model, &last, &format!("sector at {sector}"));
        }
    }
}

#[test]
fn garbage_after_the_end_is_made_zero() {
    for gap in [56, 512, 5000] {
        let disk = disk_with_log(small());
        let mut model = Model::default();
        let (mut log, _) = open(&disk).unwrap();
        fill(&mut log, &mut model, 5, 100);
        drop(log);
        let end = end_of(&disk, 1);
        disk.with_bytes(&segment(1), |bytes| {
            for (at, byte) in bytes[end + gap..].iter_mut().take(3000).enumerate() {
                *byte = (at * 37 + 11) as u8 | 1;
            }
        })
        .unwrap();
        let (_, recovered) = open(&disk).unwrap();
        assert!(recovered.torn.is_some());
        assert_eq!(Recovered { torn: None, ..recovered }, model.recovered(), "gap {gap}");
        assert_eq!(end_of(&disk, 1), end, "gap {gap}");
    }
}

#[test]
fn garbage_where_the_next_group_begins_is_damage() {
    // No crash leaves that; it may have taken the place of the newest group.
    for gap in [0, 8, 40] {
        let disk = disk_with_log(small());
        let (mut log, _) = open(&disk).unwrap();
        fill(&mut log, &mut Model::default(), 5, 100);
        drop(log);
        let end = end_of(&disk, 1);
        disk.with_bytes(&segment(1), |bytes| bytes[end + gap..end + 600].fill(0x5a)).unwrap();
        let error = open(&disk).unwrap_err();
        assert!(matches!(error, LogError::Damaged { .. }), "gap {gap}: {error}");
    }
}

#[test]
fn groups_behind_a_torn_one_go_with_it() {
    let disk = disk_with_log(small());
    let mut model = Model::default();
    let (mut log, _) = open(&disk).unwrap();
    fill(&mut log, &mut model, 3, 100);
    let end = end_of(&disk, 1);
    for number in 4..8 {
        log.append(&group(number, number, 1, 600)).unwrap();
    }
    log.sync().unwrap();
    drop(log);
    let sector = end.next_multiple_of(512);
    disk.with_bytes(&segment(1), |bytes| bytes[sector..sector + 512].fill(0)).unwrap();
    let (_, recovered) = open(&disk).unwrap();
    assert!(recovered.torn.is_some());
    assert_eq!(Recovered { torn: None, ..recovered }, model.recovered());
}
