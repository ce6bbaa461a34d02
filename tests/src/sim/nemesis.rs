//! What goes wrong: one strike after another, each of a class that the plan has, each mended after
//! a while.

use kvorum_core::node::Input;
use kvorum_server::storage::memory::{Effect, Errno, Fault, Op};

use super::member::Trouble;
use super::plan::FaultClass;
use super::random::Random;
use super::time::{MS, SECOND, Time};
use super::world::{Event, World};

pub(super) struct Nemesis {
    pub(super) random: Random,
    classes: Vec<FaultClass>,
    strikes: usize,
}

#[derive(Clone, Debug)]
pub(super) enum NemesisEvent {
    Strike,
    /// Cuts these ways, or restores them.
    Cut(Vec<(usize, usize)>),
    Uncut(Vec<(usize, usize)>),
    ClockRuns(usize),
    NetworkRuns,
    DiskMends(usize),
    PowerOff(Vec<usize>),
}

impl Nemesis {
    pub(super) fn new(random: Random, classes: Vec<FaultClass>) -> Nemesis {
        Nemesis { random, classes, strikes: 0 }
    }
}

impl World {
    pub(super) fn nemesis(&mut self, event: NemesisEvent) {
        let now = self.agenda.now();
        match event {
            NemesisEvent::Strike => {
                if !self.is_trouble() {
                    return;
                }
                self.strike();
                let gap = self.nemesis.random.skewed(self.plan.gap);
                self.agenda.after(gap, Event::Nemesis(NemesisEvent::Strike));
            }
            NemesisEvent::Cut(ways) => {
                self.trace.note(now, "cut", &[ways.len() as u64], || format!("{ways:?}"));
                if self.is_trouble() {
                    for (from, to) in ways {
                        self.cut(from, to);
                    }
                }
            }
            NemesisEvent::Uncut(ways) => {
                self.trace.note(now, "uncut", &[ways.len() as u64], || format!("{ways:?}"));
                for (from, to) in ways {
                    self.uncut(from, to);
                }
            }
            NemesisEvent::ClockRuns(member) => self.members[member].clock.run_at(100, now),
            NemesisEvent::NetworkRuns => self.network.slow = None,
            NemesisEvent::DiskMends(member) => self.mend_disk(member),
            NemesisEvent::PowerOff(members) => {
                if self.is_trouble() {
                    for member in members {
                        self.power_off(member);
                    }
                }
            }
        }
    }

    /// First each class once, then any of them.
    fn strike(&mut self) {
        let now = self.agenda.now();
        let nemesis = &mut self.nemesis;
        let classes = &nemesis.classes;
        let class = match classes.get(nemesis.strikes) {
            Some(class) => *class,
            None => *nemesis.random.pick(classes),
        };
        let target = nemesis.random.index(self.members.len());
        let struck = self.strike_with(class, target);
        // What found nobody to harm is tried again.
        if struck {
            self.nemesis.strikes += 1;
            self.figures.faults[class as usize] += 1;
        }
        let numbers = [class as u64, target as u64, u64::from(struck)];
        self.trace.note(now, "strike", &numbers, || format!("{class:?} at m{target}: {struck}"));
    }

    /// Says whether there was something to harm.
    fn strike_with(&mut self, class: FaultClass, target: usize) -> bool {
        let runs = self.members[target].life.is_some();
        match class {
            FaultClass::Crash if runs => self.power_off(target),
            FaultClass::CrashMany => return self.crash_many(),
            FaultClass::CrashAtIo if runs && self.members[target].trouble.is_none() => {
                self.crash_at_io(target);
            }
            FaultClass::Kill if runs => {
                self.die(target);
                let delay = self.nemesis.random.skewed((MS, 3 * SECOND));
                self.start_after(target, delay);
            }
            FaultClass::Pause if runs => {
                let pause = self.nemesis.random.skewed((50 * MS, 4 * SECOND));
                self.members[target].paused_until = self.agenda.now() + pause;
            }
            FaultClass::Clock => self.disturb_clock(target),
            FaultClass::Transfer => return self.transfer(target),
            FaultClass::Stall if runs => {
                let stall = self.nemesis.random.skewed((50 * MS, 4 * SECOND));
                self.members[target].stalled_until = self.agenda.now() + stall;
            }
            FaultClass::DiskError if runs && self.members[target].trouble.is_none() => {
                self.refuse_writes(target);
            }
            FaultClass::BitRot | FaultClass::Misdirected if runs => {
                return self.damage(class, target);
            }
            FaultClass::Partition => self.partition(),
            FaultClass::OneWay => self.one_way(),
            FaultClass::Partial => self.partial(),
            FaultClass::Flapping => self.flap(),
            FaultClass::Swizzle => self.swizzle(),
            FaultClass::Slow => {
                let most = self.nemesis.random.between((20, 400)) * MS;
                self.network.slow = Some((MS, most));
                self.after(Event::Nemesis(NemesisEvent::NetworkRuns), (200 * MS, 3 * SECOND));
            }
            _ => return false,
        }
        true
    }

    fn after(&mut self, event: Event, delay: (Time, Time)) {
        let delay = self.nemesis.random.skewed(delay);
        self.agenda.after(delay, event);
    }

    fn power_off(&mut self, target: usize) {
        self.lose_power(target);
        let delay = self.nemesis.random.skewed((10 * MS, 4 * SECOND));
        self.start_after(target, delay);
    }

    /// A minority, a majority or all, within a moment of each other, or after they were killed.
    fn crash_many(&mut self) -> bool {
        let count = self.members.len();
        let mut targets: Vec<usize> =
            (0..count).filter(|target| self.members[*target].life.is_some()).collect();
        if targets.is_empty() {
            return false;
        }
        self.nemesis.random.shuffle(&mut targets);
        if self.nemesis.random.chance(50) {
            targets.truncate(self.nemesis.random.index(targets.len()) + 1);
        }
        if self.nemesis.random.chance(30) {
            // First the processes: the next ones find what was written and never synced.
            for target in &targets {
                self.die(*target);
                let delay = self.nemesis.random.skewed((MS, 50 * MS));
                self.start_after(*target, delay);
            }
            self.after(Event::Nemesis(NemesisEvent::PowerOff(targets)), (50 * MS, 3 * SECOND));
            return true;
        }
        for target in targets {
            self.power_off(target);
        }
        true
    }

    /// At any operation of the log, of the backend, or of the next start.
    fn crash_at_io(&mut self, target: usize) {
        let after = self.nemesis.random.skewed((1, 300)) - 1;
        self.members[target].trouble = Some(Trouble::PowerLoss);
        if self.nemesis.random.chance(30) {
            self.die(target);
            self.start_after(target, MS);
        }
        self.members[target].disk.fail_after(after);
    }

    fn refuse_writes(&mut self, target: usize) {
        let after = self.nemesis.random.skewed((1, 100)) - 1;
        self.members[target].trouble = Some(Trouble::Refusing);
        self.refuse(target, after);
        self.after(Event::Nemesis(NemesisEvent::DiskMends(target)), (200 * MS, 4 * SECOND));
    }

    /// From the `after`-th operation on: a broken disk, a full one, or one that cannot be written;
    /// some writes get part of the way.
    pub(super) fn refuse(&mut self, target: usize, after: u64) {
        let (errno, ops) = *self.nemesis.random.pick(&[
            (Errno::Eio, &Op::CHANGES[..]),
            (Errno::Enospc, &Op::TAKE_SPACE[..]),
            (Errno::Erofs, &Op::NEED_WRITABLE[..]),
        ]);
        let effect = if self.nemesis.random.chance(30) {
            Effect::Short { sectors: self.nemesis.random.index(5), errno }
        } else {
            Effect::Fail(errno)
        };
        self.members[target].disk.inject(Fault::new(effect, ops).after(after));
    }

    fn disturb_clock(&mut self, target: usize) {
        let percent = *self.nemesis.random.pick(&[0, 50, 90, 110, 150]);
        let now = self.agenda.now();
        self.members[target].clock.run_at(percent, now);
        self.after(Event::Nemesis(NemesisEvent::ClockRuns(target)), (500 * MS, 8 * SECOND));
    }

    /// Whoever leads hands leadership to any other.
    fn transfer(&mut self, target: usize) -> bool {
        let leads =
            |member: &super::member::Member| member.life.as_ref().is_some_and(|life| life.leads());
        let Some(leader) = self.members.iter().position(leads) else { return false };
        if leader == target {
            return false;
        }
        let to = self.members[target].id;
        self.input(leader, Input::TransferLeader { to });
        true
    }

    fn cut_for(&mut self, ways: Vec<(usize, usize)>, delay: (Time, Time)) {
        self.nemesis(NemesisEvent::Cut(ways.clone()));
        self.after(Event::Nemesis(NemesisEvent::Uncut(ways)), delay);
    }

    fn partition(&mut self) {
        let count = self.members.len();
        let mut sides: Vec<usize> = (0..count).collect();
        self.nemesis.random.shuffle(&mut sides);
        let first = sides.split_off(self.nemesis.random.index(count - 1) + 1);
        let across = first.iter().flat_map(|a| sides.iter().flat_map(|b| both_ways(*a, *b)));
        let ways = across.collect();
        self.cut_for(ways, (100 * MS, 6 * SECOND));
    }

    fn one_way(&mut self) {
        let (from, to) = self.pair();
        let all = self.nemesis.random.chance(30);
        let others = (0..self.members.len()).filter(|other| *other != from && all);
        let mut ways: Vec<(usize, usize)> = others.map(|other| (from, other)).collect();
        if ways.is_empty() {
            ways.push((from, to));
        }
        self.cut_for(ways, (100 * MS, 6 * SECOND));
    }

    fn partial(&mut self) {
        let (a, b) = self.pair();
        let mut ways: Vec<(usize, usize)> = both_ways(a, b).collect();
        if self.members.len() > 3 {
            let (c, d) = self.pair();
            ways.extend(both_ways(c, d));
        }
        self.cut_for(ways, (100 * MS, 6 * SECOND));
    }

    fn flap(&mut self) {
        let (a, b) = self.pair();
        let ways: Vec<(usize, usize)> = both_ways(a, b).collect();
        let mut at = 0;
        for _ in 0..self.nemesis.random.between((3, 10)) {
            self.agenda.after(at, Event::Nemesis(NemesisEvent::Cut(ways.clone())));
            at += self.nemesis.random.skewed((20 * MS, 3 * SECOND));
            self.agenda.after(at, Event::Nemesis(NemesisEvent::Uncut(ways.clone())));
            at += self.nemesis.random.skewed((20 * MS, SECOND));
        }
    }

    /// Ways are cut one by one, and restored in another order.
    fn swizzle(&mut self) {
        let count = self.members.len();
        let pairs = (0..count).flat_map(|a| (0..count).map(move |b| (a, b)));
        let mut ways: Vec<(usize, usize)> = pairs.filter(|(a, b)| a != b).collect();
        self.nemesis.random.shuffle(&mut ways);
        ways.truncate(self.nemesis.random.index(ways.len()) + 1);
        let mut at = 0;
        for way in &ways {
            self.agenda.after(at, Event::Nemesis(NemesisEvent::Cut(vec![*way])));
            at += self.nemesis.random.skewed((MS, 500 * MS));
        }
        self.nemesis.random.shuffle(&mut ways);
        for way in ways {
            at += self.nemesis.random.skewed((MS, 500 * MS));
            self.agenda.after(at, Event::Nemesis(NemesisEvent::Uncut(vec![way])));
        }
    }

    fn pair(&mut self) -> (usize, usize) {
        let count = self.members.len();
        let a = self.nemesis.random.index(count);
        let b = (a + 1 + self.nemesis.random.index(count - 1)) % count;
        (a, b)
    }
}

fn both_ways(a: usize, b: usize) -> impl Iterator<Item = (usize, usize)> {
    [(a, b), (b, a)].into_iter()
}
