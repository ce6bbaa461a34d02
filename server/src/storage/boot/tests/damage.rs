//! A damaged log: a member of a cluster goes on with what is good of it, a single one is refused.

use super::*;

const PUTS: u64 = 60;

/// A member of a cluster of `size` with puts, of which the store has the first `stored`; its log
/// has several segments.
fn member_of(size: u64, stored: u64) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let dir = open_dir(&disk);
    let ids: Vec<u64> = (0..size).map(|at| 0xa1 + at).collect();
    let members = ids.iter().map(|id| Member { id: *id, ..Member::default() }).collect();
    let options = Options { segment_bytes: 4096 };
    bootstrap(&dir, OURS, members, ConfState::from((ids, vec![])), options).unwrap();
    let booted = boot(&dir, options).unwrap();
    let mut running = Running { booted, changes: Vec::new(), number: 0 };
    for at in 1..=PUTS {
        running.put().unwrap();
        if at == stored {
            running.commit().unwrap();
        }
    }
    assert!(running.booted.log.segments() > 2);
    drop(running);
    disk
}

fn log_file(number: u32) -> PathBuf {
    PathBuf::from(format!("/data/kvorum/log/{number:08x}.log"))
}

fn flip(disk: &MemoryDisk, number: u32, byte: usize) {
    disk.with_bytes(&log_file(number), |bytes| bytes[byte] ^= 1).unwrap();
}

/// Every byte of every file but the lock.
fn bytes(disk: &MemoryDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let files = disk.files().into_iter().filter(|path| !path.ends_with("kvorum.lock"));
    files
        .map(|path| (path.clone(), disk.with_bytes(&path, |bytes| bytes.clone()).unwrap()))
        .collect()
}

fn start(disk: &MemoryDisk) -> Result<Booted, StorageError> {
    boot(&open_dir(disk), Options { segment_bytes: 4096 })
}

/// What must hold of a member that goes on with less than it had.
#[track_caller]
fn check_incomplete(booted: &Booted, stored: u64) {
    let Boot { hard_state, applied, base, last, incomplete, tail, .. } = &booted.consensus;
    assert!(incomplete.is_some_and(|lost| lost >= *last && lost <= PUTS), "{incomplete:?}");
    assert_eq!((hard_state.term, hard_state.vote), (1, 0xa1));
    assert_eq!(*applied, (stored, u64::from(stored > 0)));
    assert!(base.0 <= stored && stored <= *last && hard_state.commit <= *last);
    assert_eq!(tail.len() as u64, last - stored);
    expect_puts(&booted.store, stored);
}

#[test]
fn a_member_of_a_cluster_goes_on_with_what_is_good_of_its_log() {
    for stored in [0, 10, 55] {
        let disk = member_of(3, stored);
        flip(&disk, 2, 2000);
        let booted = start(&disk).unwrap();
        check_incomplete(&booted, stored);
        let said = booted.salvaged.as_ref().unwrap().to_string();
        let place = "/data/kvorum/log/00000002.log at byte ";
        assert!(said.starts_with(place), "{said}");
        assert!(said.contains(" or more are lost; the damaged files are kept as "), "{said}");
        assert!(said.contains("/data/kvorum/log/00000002.log.damaged"), "{said}");
        let last = booted.consensus.last;
        // Where the store is ahead, the log begins anew.
        let anew = booted.consensus.base == (stored, 1);
        assert_eq!((anew, last == stored), (stored == 55, stored == 55));
        drop(booted);
        // It is as it was at the next start, which has nothing to say.
        let again = start(&disk).unwrap();
        assert!(again.salvaged.is_none());
        assert_eq!(again.consensus.last, last);
        check_incomplete(&again, stored);
    }
}

#[test]
fn a_log_that_has_got_back_everything_is_complete() {
    let disk = member_of(3, 10);
    flip(&disk, 1, 2000);
    let booted = start(&disk).unwrap();
    let mut running = Running { booted, changes: Vec::new(), number: 0 };
    while running.booted.log.last().0 < PUTS {
        let index = running.booted.log.last().0 + 1;
        running.booted.log.append(&group(index, index)).unwrap();
    }
    running.booted.log.sync().unwrap();
    drop(running);
    assert!(start(&disk).unwrap().consensus.incomplete.is_some());
    start(&disk).unwrap().log.complete().unwrap();
    let booted = start(&disk).unwrap();
    assert_eq!((booted.consensus.incomplete, booted.consensus.last), (None, PUTS));
}

#[test]
fn a_missing_segment_is_damage_like_any() {
    let disk = member_of(3, 10);
    disk.remove_file(&log_file(2)).unwrap();
    let booted = start(&disk).unwrap();
    check_incomplete(&booted, 10);
    let said = booted.salvaged.unwrap().to_string();
    assert!(said.starts_with("/data/kvorum/log/00000002.log is missing; entries "), "{said}");
}

#[test]
fn a_single_member_refuses_and_stays_as_it_is() {
    for stored in [0, 55] {
        let disk = member_of(1, stored);
        let changes: [&dyn Fn(&MemoryDisk); 3] =
            [&|disk| flip(disk, 2, 2000), &|disk| flip(disk, 2, 40), &|disk| {
                disk.remove_file(&log_file(2)).unwrap();
            }];
        for change in changes {
            let disk = disk.copy();
            change(&disk);
            let before = bytes(&disk);
            let Err(error) = start(&disk) else { panic!("it started") };
            let message = error.to_string();
            assert!(message.contains("00000002.log"), "{message}");
            assert!(message.contains("from a backup"), "{message}");
            assert!(bytes(&disk) == before, "a byte of the directory changed");
        }
    }
}

#[test]
fn without_a_beginning_a_store_or_a_known_format_nobody_goes_on() {
    let disk = member_of(3, 10);
    let store = PathBuf::from("/data/kvorum/store.redb");
    let changes: [&dyn Fn(&MemoryDisk); 4] = [
        // The first segment's own header.
        &|disk| flip(disk, 1, 50),
        // Its format, with the checksum that goes with it.
        &|disk| {
            let header = |bytes: &mut Vec<u8>| {
                bytes[8] = 9;
                let crc = crc32fast::hash(&bytes[..108]);
                bytes[108..112].copy_from_slice(&crc.to_le_bytes());
            };
            disk.with_bytes(&log_file(1), header).unwrap();
        },
        // The store says who else votes.
        &|disk| {
            flip(disk, 2, 2000);
            disk.with_bytes(&store, |bytes| bytes.fill(7)).unwrap();
        },
        // A log of another member, damaged too.
        &|disk| {
            let header = |bytes: &mut Vec<u8>| {
                bytes[24] ^= 1;
                let crc = crc32fast::hash(&bytes[..108]);
                bytes[108..112].copy_from_slice(&crc.to_le_bytes());
            };
            disk.with_bytes(&log_file(1), header).unwrap();
            flip(disk, 2, 2000);
        },
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let disk = disk.copy();
        change(&disk);
        let before = bytes(&disk);
        assert!(start(&disk).is_err(), "change {at}");
        assert!(bytes(&disk) == before, "change {at}");
    }
}

#[test]
fn a_salvage_that_was_interrupted_is_finished_by_the_next_start() {
    for (stored, number, byte) in [(10, 2, 2000), (55, 1, 2000), (55, 2, 40)] {
        let damaged = member_of(3, stored);
        flip(&damaged, number, byte);
        let expected = start(&damaged.copy()).unwrap().consensus;
        for (after, outcome) in (0..).flat_map(|after| (0..3).map(move |outcome| (after, outcome)))
        {
            let what = format!("stored {stored} segment {number} operation {after} {outcome}");
            let disk = damaged.copy();
            disk.fail_after(after);
            let done = start(&disk).map(drop).is_ok();
            let mut random = StdRng::seed_from_u64(after);
            disk.crash(|| outcome == 1 || outcome == 2 && random.random_bool(0.5));
            let booted = start(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
            check_incomplete(&booted, stored);
            assert!(booted.consensus == expected, "{what}: {:?}", booted.consensus);
            if done && outcome == 2 {
                assert!(after > 10);
                break;
            }
        }
    }
}

#[test]
fn a_second_damage_is_taken_like_the_first() {
    let disk = member_of(3, 10);
    flip(&disk, 3, 1000);
    let first = start(&disk).unwrap().consensus;
    flip(&disk, 2, 1000);
    let booted = start(&disk).unwrap();
    check_incomplete(&booted, 10);
    assert!(booted.consensus.last < first.last);
    assert_eq!(booted.consensus.incomplete, first.incomplete);
    assert!(booted.salvaged.is_some());
}
