//! Writes of the log that the disk acknowledges and does not perform, or performs elsewhere.
//!
//! One member alone cannot know that its newest writes never happened: nothing on its disk says
//! so. Everything before them it must miss.

use super::*;
use crate::storage::memory::{Effect, Fault, Op, Operation};

/// Not a multiple of six: the newest puts are in the log alone.
const PUTS: u64 = 32;
const RIGHT: &str = "right";
const NEWEST_GONE: &str = "the newest put is gone, unseen";

/// A life on a copy of `base`, with a fault at one of the log's operations, then a loss of power
/// and another start. Answers the outcome.
fn fault_in_life(base: &Rig, fault: Fault, what: &str) -> &'static str {
    let mut rig = base.copy();
    rig.disk.inject(fault);
    match rig.live(PUTS) {
        End::Well | End::Refused(_) => {}
        end => panic!("{what}: {end:?}"),
    }
    Death::Power.strike(&rig.disk);
    match rig.live(0) {
        End::Well => RIGHT,
        End::Refused(error) => {
            let message = error.to_string();
            assert!(
                message.contains(DATA) || message.contains("the log ends"),
                "{what}: {message}"
            );
            REFUSED
        }
        End::Wrong(Some(reached)) if reached + 1 == rig.acknowledged => NEWEST_GONE,
        end => panic!("{what}: {end:?}, and {} were acknowledged", rig.acknowledged),
    }
}

fn of_log(record: &[Operation], op: Op) -> u64 {
    let of_log = |call: &&Operation| {
        call.op == op && call.path.as_ref().is_some_and(|path| path.starts_with(log_path()))
    };
    record.iter().filter(of_log).count() as u64
}

#[test]
fn a_write_of_the_log_that_did_not_happen_is_missed_unless_it_was_the_newest() {
    let mut base = Rig::new();
    base.live_well(40, "nothing fails");
    let mut healthy = base.copy();
    healthy.disk.record();
    healthy.live_well(PUTS, "nothing fails");
    let record = healthy.disk.take_record();
    let log = log_path();
    let segments: Vec<PathBuf> =
        base.disk.files().into_iter().filter(|path| path.starts_with(&log)).collect();
    assert!(segments.len() > 1);
    let elsewhere = |file: &Path, offset| Effect::Misdirect { file: Some(file.to_owned()), offset };
    let effects = [
        ("a lost write of the log", Op::Write, Effect::Lose),
        ("a lost sync of the log", Op::Sync, Effect::Lose),
        ("a write of the log over its beginning", Op::Write, elsewhere(&segments[0], 0)),
        ("a write of the log over another group", Op::Write, elsewhere(&segments[0], 1000)),
        ("a write of the log in the store", Op::Write, elsewhere(&store_path(), 64)),
    ];
    let mut table = Table::default();
    for (name, op, effect) in effects {
        let count = of_log(&record, op);
        for at in 0..count {
            let what = format!("{name}: {at} of {count}");
            let fault = Fault::new(effect.clone(), &[op]).under(&log).once_after(at);
            let outcome = fault_in_life(&base, fault, &what);
            assert!(outcome != NEWEST_GONE || at + 1 == count, "{what}");
            table.count(name, outcome);
        }
    }
    assert!(table.of("a lost write of the log", REFUSED) > 0);
    assert_eq!(table.of("a write of the log over its beginning", RIGHT), 0);
    table.print();
}
