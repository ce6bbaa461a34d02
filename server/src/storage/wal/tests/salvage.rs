//! What is good of a damaged log is kept, what is not stays in sight, and the log says that it is
//! incomplete for as long as it is.

use super::*;

/// Groups of one entry each; every tenth has a new term and another vote.
fn filled(groups: u64) -> (MemoryDisk, Model) {
    let disk = disk_with_log(small());
    let mut model = Model::default();
    let (mut log, _) = open(&disk).unwrap();
    for index in 1..=groups {
        let term = 1 + index / 10;
        let hard_state = HardState { term, vote: 1 + term % 3, commit: index - 1 };
        let entries = vec![entry(index, term, 1000)];
        let group = Group { number: index, base: None, entries, hard_state: Some(hard_state) };
        log.append(&group).unwrap();
        log.sync().unwrap();
        model.append(&group);
    }
    (disk, model)
}

fn salvage(disk: &MemoryDisk) -> Result<Option<Salvage>, LogError> {
    Log::salvage(disk, Path::new(DIR), OURS, small())
}

/// What the log must say when it was salvaged and holds entries up to `last`.
fn expected(model: &Model, last: u64) -> Recovered {
    let mut kept = model.clone();
    kept.entries.truncate(last as usize);
    kept.hard_state.commit = last.saturating_sub(1);
    kept.recovered()
}

fn flip(disk: &MemoryDisk, number: u32, byte: usize) {
    disk.with_bytes(&segment(number), |bytes| bytes[byte] ^= 1).unwrap();
}

#[test]
fn a_log_without_damage_is_left_alone() {
    let (disk, model) = filled(79);
    let operations = disk.operations();
    assert!(salvage(&disk).unwrap().is_none());
    assert_eq!(disk.operations(), operations);
    // Nor is a torn end damage.
    let end = end_of(&disk, 3);
    disk.with_bytes(&segment(3), |bytes| bytes[end - 20..].fill(0)).unwrap();
    assert!(salvage(&disk).unwrap().is_none());
    assert_eq!(open(&disk).unwrap().1.last.0, model.last().0 - 1);
}

#[test]
fn everything_before_the_damage_is_kept_and_everything_behind_it_is_known() {
    let (whole, model) = filled(79);
    assert!(whole.kind(&segment(4)).unwrap().is_none());
    for number in 1..=3 {
        // All but the header of the very first segment, without which nothing is known.
        let from = if number == 1 { 512 } else { 0 };
        for byte in (from..end_of(&whole, number)).step_by(173) {
            let disk = whole.copy();
            flip(&disk, number, byte);
            let what = format!("byte {byte} of segment {number}");
            let Err(damage) = open(&disk.copy()) else { continue };
            let salvaged = salvage(&disk).unwrap().unwrap_or_else(|| panic!("{what}"));
            assert_eq!(salvaged.damage.to_string(), damage.to_string(), "{what}");
            let (mut log, recovered) = open(&disk).unwrap_or_else(|e| panic!("{what}: {e}"));
            let LogError::Damaged { index, .. } = damage else { panic!("{damage}") };
            assert_eq!((recovered.last.0, salvaged.last), (index, recovered.last), "{what}");
            assert_eq!(recovered.incomplete, Some(salvaged.lost), "{what}");
            assert_eq!(salvaged.lost, model.last().0, "{what}");
            let known = Recovered { incomplete: None, ..recovered };
            assert!(known == expected(&model, index), "{what}: {:?}", known.last);

            // It goes on, says that it is incomplete, and at last that it is complete.
            let rest = model.entries[index as usize..].to_vec();
            let hard_state = Some(model.hard_state.clone());
            log.append(&Group { number: 1, base: None, entries: rest, hard_state }).unwrap();
            log.sync().unwrap();
            drop(log);
            let (mut log, recovered) = open(&disk).unwrap();
            assert_eq!(recovered.incomplete, Some(model.last().0), "{what}");
            log.complete().unwrap();
            drop(log);
            disk.crash(|| false);
            assert_eq!(open(&disk).unwrap().1, model.recovered(), "{what}");
        }
    }
}

#[test]
fn what_is_set_aside_has_every_byte_of_what_was_there() {
    let (disk, _) = filled(79);
    flip(&disk, 1, 20_000);
    let all = |disk: &MemoryDisk, suffix: &str| -> Vec<Vec<u8>> {
        let path = |n: u32| PathBuf::from(format!("{DIR}/{n:08x}.log{suffix}"));
        (1..=3).map(|n| disk.with_bytes(&path(n), |bytes| bytes.clone()).unwrap()).collect()
    };
    let before = all(&disk, "");
    let salvaged = salvage(&disk).unwrap().unwrap();
    assert_eq!(salvaged.aside.len(), 3);
    assert_eq!(all(&disk, ".damaged"), before);
}

#[test]
fn a_missing_segment_costs_what_lies_behind_it() {
    let (disk, model) = filled(79);
    disk.remove_file(&segment(2)).unwrap();
    let salvaged = salvage(&disk).unwrap().unwrap();
    assert!(matches!(salvaged.damage, LogError::Missing { .. }));
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!((recovered.incomplete, salvaged.lost), (Some(79), 79));
    let known = Recovered { incomplete: None, ..recovered };
    assert_eq!(known, expected(&model, salvaged.last.0));
}

#[test]
fn a_log_without_a_beginning_is_not_salvaged() {
    let (disk, _) = filled(79);
    flip(&disk, 1, 50);
    let operations = disk.operations();
    assert!(matches!(salvage(&disk), Err(LogError::Damaged { offset: 0, .. })));
    assert_eq!(disk.operations(), operations);
}

#[test]
fn the_log_stays_refused_or_incomplete_whenever_the_salvage_is_interrupted() {
    let (whole, model) = filled(139);
    for (number, byte) in [(1, 20_000), (2, 40), (2, 30_000), (4, 3000), (5, 9000)] {
        let damaged = whole.copy();
        flip(&damaged, number, byte);
        let LogError::Damaged { index, .. } = open(&damaged.copy()).unwrap_err() else { panic!() };
        for (after, all) in (0..30).flat_map(|after| [(after, false), (after, true)]) {
            let what = format!("segment {number}, after {after}, {all}");
            let disk = damaged.copy();
            disk.fail_after(after);
            let done = salvage(&disk).is_ok();
            disk.crash(|| all);
            match open(&disk.copy()) {
                Ok((_, recovered)) => assert!(recovered.incomplete.is_some(), "{what}"),
                Err(error) => assert!(!done, "{what}: {error}"),
            }
            if let Some(salvaged) = salvage(&disk).unwrap() {
                assert_eq!(salvaged.last.0, index, "{what}");
            }
            let (_, recovered) = open(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(recovered.incomplete, Some(139), "{what}");
            let known = Recovered { incomplete: None, ..recovered };
            assert!(known == expected(&model, index), "{what}: {:?}", known.last);
        }
    }
}
