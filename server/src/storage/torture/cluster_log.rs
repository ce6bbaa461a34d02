//! Damage to the log of a member of a cluster.
//!
//! It has everything, or goes on and says that it has not, or refuses. A log whose end is gone as
//! if it had never been written is not to be told from one that ends there, unless the store is
//! ahead; everything before that it must miss.

use super::*;
use crate::storage::disk::Disk;

const PUTS: u64 = 80;
const WHOLE: &str = "everything is there";
const INCOMPLETE: &str = "goes on, incomplete";

/// A member of three, with puts, and a commit after every sixth; it stopped in order.
fn cluster_member() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let dir = open_dir(&disk).expect("a disk without faults");
    let ids = [0xa1, 0xa2, 0xa3];
    let members = ids.iter().map(|id| MemberRecord { id: *id, ..MemberRecord::default() });
    let conf_state = ConfState::from((ids.to_vec(), vec![]));
    bootstrap(&dir, OURS, members.collect(), conf_state, options()).expect("a new member");
    let mut member = Member::start(&dir).expect("it starts");
    for at in 0..PUTS {
        member.put().expect("a disk without faults");
        if at % 6 == 5 {
            member.commit().expect("a disk without faults");
        }
    }
    member.booted.log.mark().expect("a disk without faults");
    drop(member);
    disk
}

/// Starts on a damaged disk, and again after a loss of power.
fn outcome(disk: &MemoryDisk, what: &str) -> &'static str {
    let first = start(disk, what);
    Death::Power.strike(disk);
    assert_eq!(start(disk, what), first, "{what}: the second start");
    first
}

fn start(disk: &MemoryDisk, what: &str) -> &'static str {
    let started = catch_unwind(AssertUnwindSafe(|| Member::start(&open_dir(disk)?)));
    let member = match started.unwrap_or_else(|_| panic!("{what}: it panicked")) {
        Ok(member) => member,
        Err(error) => {
            let message = error.to_string();
            assert!(message.contains(DATA), "{what}: {message}");
            return REFUSED;
        }
    };
    let reached = holds_puts(&member.booted.store);
    let (booted, last) = (&member.booted, member.booted.log.last().0);
    assert_eq!(reached, Some(last), "{what}: all that is in the log is right");
    // It gives no vote twice, whatever it has lost.
    let HardState { term, vote, .. } = booted.consensus.hard_state;
    assert_eq!(Vote { term, vote }, vote_at(PUTS), "{what}");
    let Some(lost) = booted.consensus.incomplete else {
        assert_eq!(last, PUTS, "{what}: something is lost in silence");
        return WHOLE;
    };
    // Of damage behind the last entry nobody can say what it was.
    assert!((1..=PUTS + 1).contains(&lost), "{what}: {lost}");
    INCOMPLETE
}

#[test]
fn a_member_of_a_cluster_never_loses_a_part_of_its_log_in_silence() {
    let whole = cluster_member();
    let files = whole.files().into_iter().filter(|path| path.starts_with(log_path()));
    let files: Vec<PathBuf> = files.collect();
    assert!(files.len() > 2);
    let mut table = Table::default();
    for path in &files {
        let bytes = whole.with_bytes(path, |bytes| bytes.clone()).expect("it is there");
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
        let mut damage = |name, at: usize, change: &dyn Fn(&mut Vec<u8>)| {
            let disk = whole.copy();
            disk.with_bytes(path, change).expect("it is there");
            let outcome = outcome(&disk, &format!("{name} {at} of {}", path.display()));
            table.count(name, outcome);
        };
        for at in (0..end).step_by(stride(29)) {
            damage("a flipped bit of the log", at, &|bytes| bytes[at] ^= 1 << (at % 8));
        }
        for at in (0..end).step_by(512) {
            let sector = at..(at + 512).min(bytes.len());
            damage("a zeroed sector of the log", at, &|bytes| bytes[sector.clone()].fill(0));
            damage("garbage in a sector of the log", at, &|bytes| bytes[sector.clone()].fill(0xb7));
            damage("a segment cut short", at, &|bytes| bytes.truncate(at));
        }
        let disk = whole.copy();
        disk.remove_file(path).expect("it is there");
        let outcome = outcome(&disk, &format!("{} is missing", path.display()));
        table.count("a segment that is missing", outcome);
    }
    assert!(table.of("a flipped bit of the log", INCOMPLETE) > 10);
    assert!(table.of("a zeroed sector of the log", INCOMPLETE) > 5);
    table.print();
}
