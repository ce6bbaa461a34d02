//! After a crash at any moment, recovery included, the log opens, holds all that was synced or
//! was there when it was opened, and, of the rest, whole groups in their order.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::model::next_group;
use super::*;

const LIVES: u64 = 6;

/// What the disk may hold.
struct Possible {
    /// Names the case, should it fail.
    what: String,
    /// The model after each group that is not yet durable; the first has all that must be there.
    states: Vec<Model>,
    /// What was released at most: a log that begins later has lost something.
    released: u64,
}

impl Possible {
    fn new(what: String, model: Model) -> Possible {
        Possible { what, states: vec![model], released: 0 }
    }

    fn newest(&self) -> &Model {
        self.states.last().unwrap()
    }

    /// What the log itself holds.
    fn held(&self, log: &Log) -> Model {
        self.newest().from(log.base()).unwrap()
    }

    fn append(&mut self, log: &mut Log, group: &Group) -> Result<(), LogError> {
        let mut model = self.newest().clone();
        model.append(group);
        self.states.push(model);
        log.append(group)
    }

    fn sync(&mut self, log: &mut Log) -> Result<(), LogError> {
        log.sync()?;
        self.states.drain(..self.states.len() - 1);
        Ok(())
    }

    fn release(&mut self, log: &mut Log, upto: u64) -> Result<(), LogError> {
        self.released = self.released.max(upto);
        if log.release(upto)? > 0 {
            self.states.drain(..self.states.len() - 1);
        }
        Ok(())
    }

    /// Opens the log, unless an error of the disk prevents it. What it holds then, it must keep.
    fn open(&mut self, disk: &MemoryDisk) -> Option<Log> {
        let (log, recovered) = match open(disk) {
            Ok(opened) => opened,
            Err(LogError::Io { .. }) => return None,
            Err(error) => panic!("{}: {error}", self.what),
        };
        let found = Recovered { torn: None, ..recovered };
        let same = |state: &Model| {
            let released = state.base == found.base || found.base.0 <= self.released;
            released && state.from(found.base).is_some_and(|state| state.recovered() == found)
        };
        let Some(at) = self.states.iter().position(same) else {
            let (least, most) = (self.states[0].last(), self.newest().last());
            panic!("{}: from {least:?} to {most:?} and found {:?}", self.what, found.last);
        };
        self.states = vec![self.states.swap_remove(at)];
        Some(log)
    }
}

/// Power is lost, or only the process dies: then what was written is there, durable or not.
fn stop(disk: &MemoryDisk, random: &mut StdRng) {
    disk.heal();
    if random.random_bool(0.7) {
        let survival = random.random_range(0.0..1.0);
        disk.crash(|| random.random_bool(survival));
    }
}

/// One log through several lives.
fn live_and_crash(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let disk = disk_with_log(small());
    let mut possible = Possible::new(format!("seed {seed}"), Model::default());
    for _ in 0..LIVES {
        while random.random_bool(0.3) {
            disk.fail_after(random.random_range(0..6));
            drop(possible.open(&disk));
            stop(&disk, &mut random);
        }
        let mut log = possible.open(&disk).unwrap();
        if random.random_bool(0.3) {
            disk.fail_after(random.random_range(0..40));
        }
        for number in 1..random.random_range(2..60_u64) {
            let sizes: Vec<usize> = (0..random.random_range(0..4_u32))
                .map(|_| {
                    let most = if random.random_bool(0.2) { 9000 } else { 300 };
                    random.random_range(0..most)
                })
                .collect();
            let back = if random.random_bool(0.1) { random.random_range(0..9) } else { 0 };
            let newer = random.random_bool(0.3);
            let held = possible.held(&log);
            let group = if random.random_bool(0.03) {
                let (last, term) = held.last();
                let index = random.random_range(1.max(last.saturating_sub(5))..last + 20);
                base_group(number, (index, term + 1), random.random_range(0..3), 100)
            } else {
                next_group(&held, number, back, &sizes, newer)
            };
            let upto = random.random_range(0..=held.last().0);
            if possible.append(&mut log, &group).is_err()
                || random.random_bool(0.4) && possible.sync(&mut log).is_err()
                || random.random_bool(0.1) && log.mark().is_err()
                || random.random_bool(0.1) && possible.release(&mut log, upto).is_err()
            {
                break;
            }
        }
        drop(log);
        stop(&disk, &mut random);
    }
    possible.open(&disk).unwrap();
}

#[test]
fn what_was_synced_survives_any_crash() {
    // `KVORUM_FUZZ_RUNS` is for long searches.
    let runs = std::env::var("KVORUM_FUZZ_RUNS").ok().and_then(|runs| runs.parse().ok());
    for seed in 0..runs.unwrap_or(200) {
        live_and_crash(seed);
    }
}

#[test]
fn a_crash_at_any_moment_of_a_cut_is_survived() {
    for after in 0..40 {
        for all in [false, true] {
            let disk = disk_with_log(small());
            let mut model = Model::default();
            let (mut log, _) = open(&disk).unwrap();
            // Nearly full: the next group needs a new segment.
            while end_of(&disk, 1) < 30_000 {
                fill(&mut log, &mut model, 1, 1000);
            }
            disk.fail_after(after);
            let next = group(99, model.last().0 + 1, 1, 4000);
            let synced = log.append(&next).and_then(|()| log.sync()).is_ok();
            disk.crash(|| all);
            let (mut log, recovered) = open(&disk).unwrap();
            if synced || recovered.last.0 == next.entries[0].index {
                model.append(&next);
            }
            assert_eq!(Recovered { torn: None, ..recovered }, model.recovered(), "after {after}");
            // Wherever the crash came, the loss of a new segment is noticed from now on.
            if disk.kind(&segment(2)).unwrap().is_some() {
                expect_missed(&disk, 2, &format!("after {after}"));
            }
            fill(&mut log, &mut model, 50, 1000);
            drop(log);
            assert_eq!(open(&disk).unwrap().1, model.recovered(), "after {after}");
            let last = (1..9).take_while(|n| disk.kind(&segment(*n)).unwrap().is_some()).count();
            expect_missed(&disk, last as u32, &format!("after {after}"));
        }
    }
}

/// Without the last segment the log does not open.
fn expect_missed(disk: &MemoryDisk, last: u32, what: &str) {
    let copy = disk.copy();
    copy.remove_file(&segment(last)).unwrap();
    assert!(matches!(open(&copy), Err(LogError::Missing { .. })), "{what}: segment {last}");
}

#[test]
fn a_process_that_dies_in_a_cut_leaves_nothing_that_a_later_crash_may_take() {
    // The first process dies at some operation of a cut, power is lost at some of the second's.
    for (died, lost) in (0..12).flat_map(|died| (0..10).map(move |lost| (died, lost))) {
        let disk = disk_with_log(small());
        let mut model = Model::default();
        let (mut log, _) = open(&disk).unwrap();
        // Nearly full: the next group needs a new segment.
        fill(&mut log, &mut model, 1, 30_000);
        let mut possible = Possible::new(format!("died {died} lost {lost}"), model);
        disk.fail_after(died);
        let next = group(2, 2, 1, 4000);
        let _ = possible.append(&mut log, &next).and_then(|()| possible.sync(&mut log));
        drop(log);
        disk.heal();
        disk.fail_after(lost);
        if let Some(mut log) = possible.open(&disk) {
            let next = group(1, possible.newest().last().0 + 1, 1, 100);
            let _ = possible.append(&mut log, &next).and_then(|()| possible.sync(&mut log));
        }
        disk.crash(|| false);
        possible.open(&disk).unwrap();
        if disk.kind(&segment(2)).unwrap().is_some() {
            expect_missed(&disk, 2, &possible.what);
        }
    }
}

#[test]
fn dropping_the_log_without_closing_it_loses_nothing() {
    let disk = disk_with_log(small());
    let mut model = Model::default();
    let (mut log, _) = open(&disk).unwrap();
    fill(&mut log, &mut model, 10, 100);
    std::mem::forget(log);
    assert_eq!(open(&disk).unwrap().1, model.recovered());
}
