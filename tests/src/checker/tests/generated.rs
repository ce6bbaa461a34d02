//! Generated histories: legal ones pass, ones with one thing wrong do not.

use super::generator::{Dice, Shape, generate};
use super::mutation::Mutation;
use crate::checker::check;

const SMALL: Shape =
    Shape { clients: 4, operations: 80, watches: 3, keys: 5, unknown: 8, ground: false };

/// A seventh of all outcomes is unknown.
const UNCERTAIN: Shape = Shape { clients: 8, operations: 160, unknown: 15, ..SMALL };

fn legal(seeds: std::ops::Range<u64>, shape: Shape) {
    for seed in seeds {
        let violations = check(&generate(seed, shape));
        assert!(violations.is_empty(), "seed {seed}: {violations:?}");
    }
}

#[test]
fn what_a_correct_cluster_does_is_legal() {
    legal(0..600, SMALL);
    legal(600..1200, Shape { ground: true, ..SMALL });
}

#[test]
fn it_is_legal_however_little_is_known() {
    legal(2000..2100, UNCERTAIN);
    legal(2100..2200, Shape { watches: 0, ..UNCERTAIN });
    legal(2200..2300, Shape { ground: true, ..UNCERTAIN });
}

/// Its steps stand for the time it takes: a few milliseconds for thousands.
#[test]
fn a_long_history_takes_about_a_step_for_each_operation() {
    let long = Shape { clients: 5, operations: 2000, watches: 50, keys: 50, unknown: 3, ..SMALL };
    for (seed, ground) in [(1, true), (2, true), (3, false), (4, false)] {
        let mut history = generate(seed, Shape { ground, ..long });
        history.budget = 2 * history.operations.len();
        let violations = check(&history);
        assert!(violations.is_empty(), "seed {seed}: {violations:?}");
    }
}

/// What is changed may be legal still: another revision for a read whose keys nobody wrote
/// meanwhile. So not all have to be found out, but nearly all.
#[test]
fn a_history_with_one_thing_wrong_is_found_out() {
    for mutation in Mutation::ALL {
        let (mut tried, mut found) = (0, 0);
        for seed in 0..100 {
            let mut history = generate(seed, Shape { ground: seed % 2 == 0, ..SMALL });
            if mutation.apply(&mut history, &mut Dice::new(seed)) {
                tried += 1;
                found += usize::from(!check(&history).is_empty());
            }
        }
        assert!(tried >= 20, "{mutation:?} was tried {tried} times only");
        let enough = tried * mutation.found_percent();
        assert!(found * 100 >= enough, "{mutation:?} was found out {found} times of {tried}");
    }
}
