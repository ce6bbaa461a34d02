//! The first start ends at each of its I/O calls.

use super::*;
use crate::storage::memory::{Effect, Fault, Op};

const PUTS: u64 = 7;

#[test]
fn a_first_start_that_ends_at_any_call_is_followed_by_one_that_works() {
    let mut rig = Rig::new();
    rig.disk.record();
    rig.live_well(PUTS, "nothing fails");
    let calls = rig.disk.take_record().len();
    let mut table = Table::default();
    for at in 0..=calls {
        for death in Death::ALL {
            let what = format!("ended at call {at} of {calls} by {death:?}");
            let mut rig = Rig::new();
            rig.disk.inject(Fault::new(Effect::Die, &Op::ALL).after(at as u64));
            match rig.live(PUTS) {
                End::Refused(_) => assert!(at < calls, "{what}"),
                End::Well => assert_eq!(at, calls, "{what}"),
                end => panic!("{what}: {end:?}"),
            }
            let promised = rig.acknowledged;
            death.strike(&rig.disk);
            rig.live_well(PUTS, &what);
            Death::Power.strike(&rig.disk);
            rig.live_well(1, &what);
            table.count(
                match death {
                    Death::Process => "a killed process in the first start",
                    _ => "a loss of power in the first start",
                },
                if promised > 0 { "all that was acknowledged" } else { "a new start" },
            );
        }
    }
    table.print();
}
