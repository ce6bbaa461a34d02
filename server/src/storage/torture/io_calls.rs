//! Each I/O call of a life fails, once.

use super::*;
use crate::storage::backend::BackendError;
use crate::storage::boot::BootError;
use crate::storage::dir::DirError;
use crate::storage::memory::{Effect, Errno, Fault, Op, Operation};
use crate::storage::snapshot::SnapshotError;
use crate::storage::wal::LogError;

const PUTS: u64 = 90;
const CALLS: usize = 500;

/// The error says that the disk failed, and where.
fn names_the_file(error: &StorageError) -> bool {
    let is_fault = matches!(
        error,
        StorageError::Dir(DirError::Unusable { .. })
            | StorageError::Log(LogError::Io { .. })
            | StorageError::Backend(BackendError::Io { .. })
            | StorageError::Snapshot(SnapshotError::Io { .. })
            | StorageError::Boot(BootError::Unsettled { .. })
    );
    is_fault && error.to_string().contains(DATA)
}

/// The calls of a life in which nothing fails.
fn healthy_calls() -> Vec<Operation> {
    let mut rig = Rig::new();
    rig.disk.record();
    rig.live_well(PUTS, "nothing fails");
    rig.disk.take_record()
}

/// No file whose sync failed is synced again.
fn expect_no_retry(record: &[Operation], what: &str) {
    for (at, call) in record.iter().enumerate() {
        if call.failed && matches!(call.op, Op::Sync | Op::SyncDir) {
            let again = |later: &&Operation| later.op == call.op && later.path == call.path;
            let again = record[at + 1..].iter().find(again);
            assert!(again.is_none(), "{what}: {:?} was synced again", call.path);
        }
    }
}

/// Whether the call reads one of the two pages that each have the newest vote.
fn is_of_a_vote(call: &Operation) -> bool {
    call.op == Op::Read && call.path.as_ref().is_some_and(|path| path.ends_with("log/vote"))
}

/// Lets one call of a first life fail; what was acknowledged is there in the second and, because
/// nobody may rely on what only the cache holds, after a loss of power in the third.
fn fail_one(at: usize, effect: Effect, death: Death, table: &mut Table) {
    let what = format!("call {at}, {effect:?}, then {death:?}");
    let fault = match &effect {
        Effect::Fail(Errno::Eio) => "EIO",
        Effect::Fail(_) => "ENOSPC",
        _ => "a short write, then EIO",
    };
    let mut rig = Rig::new();
    rig.disk.record();
    rig.disk.inject(Fault::new(effect, &Op::ALL).once_after(at as u64));
    match rig.live(PUTS) {
        End::Refused(error) => {
            assert!(names_the_file(&error), "{what}: {error}");
            table.count(fault, "stopped, and named the file");
        }
        End::Well => {
            let record = rig.disk.take_record();
            let failed = record.iter().find(|call| call.failed);
            assert!(
                failed.is_some_and(is_of_a_vote),
                "{what}: nobody noticed that {failed:?} failed"
            );
            table.count(fault, "went on: the other page has the vote");
            rig.disk.record();
        }
        end => panic!("{what}: {end:?}"),
    }
    expect_no_retry(&rig.disk.take_record(), &what);
    death.strike(&rig.disk);
    rig.live_well(2, &what);
    Death::Power.strike(&rig.disk);
    rig.live_well(1, &what);
}

#[test]
fn the_failure_of_any_of_the_first_calls_stops_the_member_and_loses_nothing() {
    let calls = healthy_calls();
    assert!(calls.len() > CALLS, "{} calls", calls.len());
    let mut table = Table::default();
    for (at, call) in calls.iter().enumerate().take(CALLS) {
        let deaths = [Death::Process, Death::Power, Death::TornPower];
        let deaths: Vec<Death> = deaths.into_iter().skip(at % 3).step_by(stride(3)).collect();
        for death in deaths {
            fail_one(at, Effect::Fail(Errno::Eio), death, &mut table);
            if Op::TAKE_SPACE.contains(&call.op) {
                fail_one(at, Effect::Fail(Errno::Enospc), death, &mut table);
            }
            if call.op == Op::Write {
                let effect = Effect::Short { sectors: at % 4, errno: Errno::Eio };
                fail_one(at, effect, death, &mut table);
            }
        }
    }
    table.print();
}

#[test]
fn a_failed_sync_is_not_believed_by_the_next_process() {
    let calls = healthy_calls();
    for (at, call) in calls.iter().enumerate() {
        if call.op == Op::Sync {
            fail_one(at, Effect::Fail(Errno::Eio), Death::Process, &mut Table::default());
        }
    }
}

#[test]
fn a_disk_that_is_full_stops_the_member_and_it_goes_on_when_there_is_room() {
    let mut rig = Rig::new();
    rig.live_well(PUTS, "with room");
    let used = rig.disk.allocated_bytes();
    for capacity in (0..used).step_by(4096 * stride(5)) {
        let what = format!("{capacity} bytes of {used}");
        let mut rig = Rig::new();
        rig.disk.set_capacity(Some(capacity));
        let End::Refused(error) = rig.live(PUTS) else { panic!("{what}: it did not matter") };
        assert!(names_the_file(&error), "{what}: {error}");
        assert!(error.to_string().contains("full"), "{what}: {error}");
        for death in [Death::Process, Death::Power] {
            let mut rig = rig.copy();
            death.strike(&rig.disk);
            let End::Refused(error) = rig.live(PUTS) else { panic!("{what}: it did not matter") };
            assert!(names_the_file(&error), "{what}: {error}");
            rig.disk.set_capacity(None);
            rig.live_well(PUTS, &what);
        }
    }
}

#[test]
fn a_disk_that_cannot_be_written_is_refused() {
    let mut rig = Rig::new();
    rig.live_well(10, "nothing fails");
    for ops in [&Op::NEED_WRITABLE[..], &[Op::Write]] {
        rig.disk.inject(Fault::new(Effect::Fail(Errno::Erofs), ops));
        let End::Refused(error) = rig.live(1) else { panic!("it started") };
        assert!(names_the_file(&error) && error.to_string().contains("read-only"), "{error}");
        rig.disk.heal();
        rig.live_well(1, "healed");
    }
}
