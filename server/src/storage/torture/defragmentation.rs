//! A member that dies at every call of a defragmentation, while it goes on committing.

use super::*;
use crate::storage::defragment::Defragmentation;

/// Puts before it begins.
const PUTS: u64 = 40;
/// A few records, so that commits come between.
const STEP_BYTES: usize = 2000;

impl Rig {
    /// Defragments, with a put and a commit after each step, and goes on afterwards.
    fn defragment(&mut self) -> Result<(), StorageError> {
        let dir = open_dir(&self.disk)?;
        let mut member = Member::start(&dir)?;
        let mut copying = Defragmentation::begin(dir.member(), &member.booted.backend)?;
        while !copying.step(&member.booted.backend, STEP_BYTES)? {
            self.acknowledged = member.put()?;
            let changes = member.changes.clone();
            member.commit()?;
            copying.follow(&changes)?;
        }
        // What is applied and not committed belongs to neither file.
        self.acknowledged = member.put()?;
        member.booted.backend = copying.finish()?;
        member.commit()?;
        self.acknowledged = member.put()?;
        member.commit()?;
        self.disk.kill();
        Ok(())
    }
}

#[test]
fn whoever_dies_in_a_defragmentation_has_the_old_file_or_the_new_one() {
    let mut rig = Rig::new();
    rig.live_well(PUTS, "before");
    let mut whole = rig.copy();
    let before = whole.disk.operations();
    whole.defragment().expect("nothing fails");
    let calls = whole.disk.operations() - before;
    assert!(calls > 60, "{calls} calls");
    whole.live_well(6, "after a whole one");
    for at in 0..calls {
        for death in Death::ALL.into_iter().skip(at as usize % 4).step_by(stride(4)) {
            let what = format!("call {at} of {calls}, then {death:?}");
            let mut rig = rig.copy();
            rig.disk.fail_after(at);
            assert!(rig.defragment().is_err(), "{what}: it did not matter");
            death.strike(&rig.disk);
            rig.live_well(6, &what);
            let copy = rig.disk.files().into_iter().find(|path| path.ends_with("store.new"));
            assert_eq!(copy, None, "{what}");
            rig.disk.crash(|| false);
            rig.live_well(1, &what);
        }
    }
}
