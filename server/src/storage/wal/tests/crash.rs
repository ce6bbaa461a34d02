//! After a crash at any moment the log opens, holds all that was synced and, of the rest, whole
//! groups in their order.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::model::next_group;
use super::*;

const LIVES: u64 = 6;

/// One log through several lives. `states[i]` is the model after i groups.
fn live_and_crash(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let disk = disk_with_log(small());
    let mut model = Model::default();
    for life in 0..LIVES {
        let opened = open(&disk).unwrap_or_else(|error| panic!("seed {seed} life {life}: {error}"));
        let (mut log, recovered) = opened;
        assert_eq!(
            Recovered { torn: None, ..recovered },
            model.recovered(),
            "seed {seed} life {life}"
        );
        if random.random_bool(0.3) {
            disk.fail_after(random.random_range(0..40));
        }
        let mut states = vec![model.clone()];
        let mut synced = 0;
        for number in 1..random.random_range(2..60_u64) {
            let sizes: Vec<usize> = (0..random.random_range(0..4_u32))
                .map(|_| {
                    let most = if random.random_bool(0.2) { 9000 } else { 300 };
                    random.random_range(0..most)
                })
                .collect();
            let back = if random.random_bool(0.1) { random.random_range(0..9) } else { 0 };
            let group = next_group(&model, number, back, &sizes, random.random_bool(0.3));
            model.append(&group);
            states.push(model.clone());
            if log.append(&group).is_err() {
                break;
            }
            if random.random_bool(0.4) {
                let Ok(persisted) = log.sync() else { break };
                assert_eq!(persisted.number(), number);
                synced = number as usize;
            }
            if random.random_bool(0.1) && log.mark().is_err() {
                break;
            }
        }
        let survival = random.random_range(0.0..1.0);
        disk.crash(|| random.random_bool(survival));
        drop(log);

        let copy = disk.copy();
        let (_, recovered) =
            open(&copy).unwrap_or_else(|error| panic!("seed {seed} life {life}: {error}"));
        let found = Recovered { torn: None, ..recovered };
        let survived = (synced..states.len()).find(|at| states[*at].recovered() == found);
        let Some(survived) = survived else {
            panic!("seed {seed} life {life}: {synced} groups synced, found {:?}", found.last);
        };
        model = states.swap_remove(survived);
    }
}

#[test]
fn what_was_synced_survives_any_crash() {
    for seed in 0..200 {
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
            fill(&mut log, &mut model, 50, 1000);
            drop(log);
            assert_eq!(open(&disk).unwrap().1, model.recovered(), "after {after}");
            // Wherever the crash came, a lost last segment is noticed from now on.
            let last = (1..9).take_while(|n| disk.kind(&segment(*n)).unwrap().is_some()).count();
            disk.remove_file(&segment(last as u32)).unwrap();
            assert!(matches!(open(&disk), Err(LogError::Missing { .. })), "after {after}");
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
