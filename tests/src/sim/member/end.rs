//! The ends of a life: power is lost, the process dies, or its disk refuses.

use super::{Place, Trouble};
use crate::sim::time::{MS, SECOND};
use crate::sim::world::World;

impl World {
    /// The machine loses power. Of what was not synced, the seed decides what survives.
    pub(in crate::sim) fn lose_power(&mut self, member: usize) {
        let mode = self.random.below(4);
        let percent = self.random.below(100);
        let mut random = self.random.fork();
        self.members[member].disk.crash(|| match mode {
            0 => false,
            1 => true,
            _ => random.chance(percent),
        });
        self.members[member].trouble = None;
        self.members[member].stalled_until = 0;
        self.end(member, "loses power");
    }

    /// The process dies; what it wrote stays in the machine's memory.
    pub(in crate::sim) fn die(&mut self, member: usize) {
        self.end(member, "dies");
    }

    /// A stage met an error of the disk: the member stops, as production does.
    pub(super) fn disk_failed(&mut self, place: Place, reason: &str) {
        let now = self.agenda.now();
        let member = place.member;
        self.trace.note(now, "fault", &[member as u64], || format!("m{member} stops: {reason}"));
        let Some(trouble) = self.members[member].trouble else {
            panic!("m{member} stops, and nobody harmed it: {reason}")
        };
        let delay = self.random.between((100 * MS, 3 * SECOND));
        match trouble {
            Trouble::PowerLoss => {
                self.figures.note("crashes in an operation");
                self.lose_power(member);
            }
            Trouble::Refusing => {
                self.figures.note("stops by a fault");
                self.die(member);
                if self.random.chance(50) {
                    self.mend_disk(member);
                }
            }
        }
        self.start_after(member, delay);
    }

    /// A value that an answer needs was not read back.
    pub(in crate::sim) fn not_read_back(&mut self, place: Place, reason: &str) {
        let harmed = self.members[place.member].trouble.is_some();
        assert!(harmed, "m{} cannot read a value back: {reason}", place.member);
    }

    /// The disk does again what it is told.
    pub(in crate::sim) fn mend_disk(&mut self, member: usize) {
        self.members[member].trouble = None;
        self.members[member].disk.heal();
    }

    fn end(&mut self, member: usize, how: &'static str) {
        let now = self.agenda.now();
        let life = self.members[member].life.take();
        let number = life.as_ref().map_or(0, |life| life.number);
        self.trace.note(now, "end", &[member as u64, number], || format!("m{member} {how}"));
        // Nothing of it writes any more, not even while it is taken apart.
        let trouble = self.members[member].trouble;
        self.members[member].disk.kill();
        drop(life);
        self.forget_incoming(member);
        if trouble == Some(Trouble::Refusing) {
            self.refuse(member, 0);
        }
        self.members[member].paused_until = 0;
        // Its process begins anew, and so does its clock.
        let percent = self.members[member].clock.run_rate();
        self.members[member].clock = super::Clock::at_start(now, percent);
        self.connections_lost(member);
    }
}
