//! What no crash leaves is damage: the log is refused, with the place, and nothing is lost
//! silently.

use super::*;

const GROUPS: u64 = 220;

fn filled(groups: u64, bytes: usize, options: Options) -> (MemoryDisk, Model) {
    let disk = disk_with_log(options);
    let mut model = Model::default();
    let (mut log, _) = open_small(&disk, 0, options).unwrap();
    fill(&mut log, &mut model, groups, bytes);
    (disk, model)
}

fn damaged(disk: &MemoryDisk) -> String {
    match open(disk) {
        Err(error @ (LogError::Damaged { .. } | LogError::Missing { .. })) => error.to_string(),
        Err(error) => panic!("another error: {error}"),
        Ok((_, recovered)) => panic!("opened: {:?} {:?}", recovered.last, recovered.torn),
    }
}

/// Flips bits one by one; the log must either hold everything or be refused. Answers how many
/// flips did no harm.
fn flip_each(
    disk: &MemoryDisk,
    model: &Model,
    number: u32,
    bits: impl Iterator<Item = usize>,
) -> u64 {
    let original = disk.with_bytes(&segment(number), |bytes| bytes.clone()).unwrap();
    let expected = model.recovered();
    let mut harmless = 0;
    for bit in bits {
        disk.with_bytes(&segment(number), |bytes| {
            bytes.clone_from(&original);
            bytes[bit / 8] ^= 1 << (bit % 8);
        })
        .unwrap();
        match open(disk) {
            Ok((_, recovered)) => {
                let same = Recovered { torn: None, ..recovered } == expected;
                assert!(same, "bit {} of byte {}: something was lost", bit % 8, bit / 8);
                harmless += 1;
            }
            Err(LogError::Damaged { .. } | LogError::Format { .. }) => {}
            Err(error) => panic!("bit {} of byte {}: {error}", bit % 8, bit / 8),
        }
    }
    disk.with_bytes(&segment(number), |bytes| bytes.clone_from(&original)).unwrap();
    harmless
}

#[test]
fn a_flipped_bit_anywhere_never_loses_a_synced_group() {
    let (disk, model) = filled(GROUPS, 20, small());
    let size = disk.with_bytes(&segment(1), |bytes| bytes.len()).unwrap();
    let end = end_of(&disk, 1);
    // Every third byte with one of its bits, which over so many groups is every byte and bit of a
    // group, and every bit of the header and of the newest groups.
    let all = (0..size).step_by(3).map(|byte| byte * 8 + (byte * 5 + byte / 8) % 8);
    let ends = (0..96 * 8).chain((end - 200) * 8..(end + 16) * 8);
    let harmless = flip_each(&disk, &model, 1, all.chain(ends));
    assert!(harmless > 0, "flips behind the end do no harm");
}

#[test]
fn a_flipped_bit_in_zeros_that_were_written_is_no_torn_write() {
    let disk = disk_with_log(small());
    let mut model = Model::default();
    let (mut log, _) = open(&disk).unwrap();
    fill(&mut log, &mut model, 3, 50);
    let from = end_of(&disk, 1);
    // Sectors of nothing but zeros, and one with a single bit set.
    let mut last = group(4, 4, 1, 0);
    let mut data = vec![0; 4096];
    data[2000] = 4;
    last.entries[0].data = Bytes::from(data);
    log.append(&last).unwrap();
    log.sync().unwrap();
    model.append(&last);
    let to = end_of(&disk, 1);
    let one_each = (from..to).map(|byte| byte * 8 + byte % 8);
    let lone = disk.with_bytes(&segment(1), |bytes| {
        (from + 600..to - 600).find(|at| bytes[*at] != 0).map(|at| at * 8 + 2)
    });
    flip_each(&disk, &model, 1, one_each.chain(lone.unwrap()));
}

#[test]
fn a_flipped_bit_in_a_finished_segment_is_found() {
    let (disk, model) = filled(40, 1000, small());
    let end = end_of(&disk, 1);
    let harmless = flip_each(&disk, &model, 1, (0..end).step_by(5).map(|byte| byte * 8 + 3));
    // Only bytes that say nothing: between header and first group, and before aligned groups.
    assert!(harmless * 10 < end as u64, "{harmless} of {end}");
}

#[test]
fn a_group_that_later_ones_call_durable_may_not_vanish() {
    let (disk, _) = filled(6, 600, small());
    let end = end_of(&disk, 1);
    // The sector in which the last group but one begins.
    let sector = (end - 2 * 600) / 512 * 512;
    disk.with_bytes(&segment(1), |bytes| bytes[sector..sector + 512].fill(0)).unwrap();
    let message = damaged(&disk);
    assert!(message.contains("00000001.log at byte"), "{message}");
    assert!(message.contains("after entry"), "{message}");
}

#[test]
fn a_marked_newest_group_may_not_vanish() {
    let disk = disk_with_log(small());
    let mut model = Model::default();
    let (mut log, _) = open(&disk).unwrap();
    fill(&mut log, &mut model, 3, 1500);
    let end = end_of(&disk, 1);
    log.mark().unwrap();
    log.mark().unwrap();
    drop(log);
    assert_eq!(open(&disk).unwrap().1, model.recovered());
    let sector = (end - 1000) / 512 * 512;
    disk.with_bytes(&segment(1), |bytes| bytes[sector..sector + 512].fill(0)).unwrap();
    damaged(&disk);
}

#[test]
fn a_missing_segment_is_named() {
    for missing in [2, 3] {
        let (disk, _) = filled(80, 1000, small());
        assert!(disk.kind(&segment(4)).unwrap().is_none());
        disk.remove_file(&segment(missing)).unwrap();
        let message = damaged(&disk);
        assert!(message.contains(&format!("0000000{missing}.log is missing")), "{message}");
    }
    let (disk, model) = filled(80, 1000, small());
    disk.remove_file(&segment(1)).unwrap();
    // Without its beginning it is a log that begins later; boot compares that with the store.
    let base = open(&disk).unwrap().1.base;
    assert!(base.0 > 1 && base.0 < model.last().0);
}

#[test]
fn a_group_in_another_ones_place_is_found() {
    let (disk, _) = filled(20, 100, small());
    let original = disk.with_bytes(&segment(1), |bytes| bytes.clone()).unwrap();
    // The fourth and the twelfth sector; groups that begin in either have valid checksums.
    disk.with_bytes(&segment(1), |bytes| {
        let wrong = original[3 * 512..5 * 512].to_vec();
        bytes[6 * 512..8 * 512].copy_from_slice(&wrong);
    })
    .unwrap();
    damaged(&disk);

    // A group copied exactly over another of the same size.
    let starts: Vec<usize> = (512..original.len() - 8)
        .step_by(8)
        .filter(|at| original[*at..at + 4] == original[512..516])
        .collect();
    disk.with_bytes(&segment(1), |bytes| {
        bytes.clone_from(&original);
        let wrong = original[starts[3]..starts[4]].to_vec();
        bytes[starts[7]..starts[7] + wrong.len()].copy_from_slice(&wrong);
    })
    .unwrap();
    let message = damaged(&disk);
    assert!(message.contains("the group here belongs at byte"), "{message}");
}

#[test]
fn a_group_of_another_history_is_found() {
    // Two logs that part after the third group: each group of one has its place in the other.
    let (disk, _) = filled(3, 100, small());
    let fork = disk.copy();
    for (disk, commit) in [(&disk, 1), (&fork, 2)] {
        let (mut log, _) = open(disk).unwrap();
        for number in 4..8 {
            let hard_state = HardState { term: 1, vote: 7, commit };
            log.append(&Group { hard_state: Some(hard_state), ..group(number, number, 1, 100) })
                .unwrap();
            log.sync().unwrap();
        }
    }
    let frames = super::torture::frames(&fork, 1);
    let (from, to) = frames[frames.len() - 2];
    let theirs = fork.with_bytes(&segment(1), |bytes| bytes[from..to].to_vec()).unwrap();
    disk.with_bytes(&segment(1), |bytes| bytes[from..to].copy_from_slice(&theirs)).unwrap();
    let message = damaged(&disk);
    assert!(message.contains("does not continue the one before"), "{message}");
}

#[test]
fn a_segment_under_another_name_is_found() {
    let (disk, _) = filled(80, 1000, small());
    let second = disk.with_bytes(&segment(2), |bytes| bytes.clone()).unwrap();
    disk.with_bytes(&segment(3), |bytes| bytes.clone_from(&second)).unwrap();
    let message = damaged(&disk);
    assert!(message.contains("segment 00000002 under another name"), "{message}");
}

#[test]
fn the_log_of_another_member_is_refused() {
    let (disk, _) = filled(3, 100, small());
    let theirs = Identity { member_id: 0xb2, ..OURS };
    let opened = Log::open(Arc::new(disk), Path::new(DIR), theirs, 0, small());
    let message = opened.unwrap_err().to_string();
    assert!(message.contains("member a1 of cluster c1"), "{message}");
    assert!(message.contains("member b2 of cluster c1"), "{message}");
}

#[test]
fn a_shortened_file_is_refused() {
    let (disk, _) = filled(20, 100, small());
    let end = end_of(&disk, 1);
    for size in [0, 100, 512, end - 100, end, end + 100] {
        let copy = disk.copy();
        copy.with_bytes(&segment(1), |bytes| bytes.truncate(size)).unwrap();
        damaged(&copy);
    }
}

#[test]
fn an_empty_directory_is_no_log() {
    let disk = MemoryDisk::new();
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let message = damaged(&disk);
    assert!(message.contains("00000001.log is missing"), "{message}");
}
