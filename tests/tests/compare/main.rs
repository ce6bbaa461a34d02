//! Our command line under the name `etcdctl` beside Debian's `etcdctl`, against Debian's `etcd`:
//! the same invocations, the same standard output and exit code.
//!
//! Two clusters of etcd go through the same history, one driven by each program; what changes a
//! cluster for all that follows has a scene, and so a cluster, of its own. What cannot be the
//! same (IDs, ports, times, sizes) is masked. Where etcd 3.6 differs from Debian's 3.4, we do as
//! 3.6: each such case names a row of `tests/differences.md`, and the row's two transcripts pin
//! both forms. Any other difference fails.
//!
//! `KVORUM_UPDATE=1` writes the transcripts anew; read them before you keep them.

mod cases;
mod differences;
mod flags;
mod long;
mod mask;
mod programs;
mod promoted;
mod restored;
mod secure;
mod side;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kvorum_tests::or_skip;
use kvorum_tests::program::NO_ETCD;

use crate::cases::{Case, Scene};
use crate::differences::Differences;
use crate::programs::Programs;
use crate::side::{Outcome, Side};

/// Fewer would be a mistake in the cases.
const FEWEST_CASES: usize = 600;

#[test]
fn our_etcdctl_prints_and_exits_as_debians_does() {
    let programs = or_skip!(Programs::find(), NO_ETCD);
    let mut differences = Differences::read();
    let mut complaints = String::new();
    // The same line twice is one invocation.
    let mut compared = BTreeSet::new();
    let scenes = cases::scenes();
    let played = play_all(&scenes, &programs);
    for (case, (expected, actual)) in
        scenes.iter().zip(played).flat_map(|(scene, outcomes)| scene.cases.iter().zip(outcomes))
    {
        compared.insert(case.title());
        if let Some(complaint) = judge(case, &expected, &actual, &mut differences) {
            let _ = writeln!(complaints, "{}\n{complaint}", case.title());
        }
    }
    complaints.push_str(&differences.check());
    assert!(complaints.is_empty(), "{complaints}");
    assert!(compared.len() >= FEWEST_CASES, "only {} invocations are compared", compared.len());
}

/// Plays all scenes, which share nothing, and one of which waits a minute for etcdctl's own
/// measurements: the first.
fn play_all(scenes: &[Scene], programs: &Programs) -> Vec<Vec<(Outcome, Outcome)>> {
    // Each has two clusters, and a machine that is too busy changes their leaders.
    const AT_ONCE: usize = 2;
    let next = AtomicUsize::new(0);
    let played: Vec<OnceLock<_>> = scenes.iter().map(|_| OnceLock::new()).collect();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(scene), Some(place)) = (scenes.get(at), played.get(at)) else {
                        break;
                    };
                    place.get_or_init(|| play(scene, programs));
                }
            });
        }
    });
    played.into_iter().map(|place| place.into_inner().expect("no case panics")).collect()
}

/// What Debian's etcdctl and ours come to in every case.
fn play(scene: &Scene, programs: &Programs) -> Vec<(Outcome, Outcome)> {
    let Programs { etcd, theirs, ours } = programs;
    let mut theirs = Side::start(etcd, theirs.clone(), scene);
    let mut ours = Side::start(etcd, ours.clone(), scene);
    let both = |case| {
        // Side by side: most of their time is waiting.
        thread::scope(|scope| {
            let expected = scope.spawn(|| theirs.run(case));
            let actual = ours.run(case);
            (expected.join().expect("no case panics"), actual)
        })
    };
    scene.cases.iter().map(both).collect()
}

fn judge(
    case: &Case,
    expected: &Outcome,
    actual: &Outcome,
    differences: &mut Differences,
) -> Option<String> {
    let both = || format!("etcdctl 3.4:\n{expected}ours:\n{actual}");
    if !(expected.is_orderly() && actual.is_orderly()) {
        return Some(both());
    }
    let Some(row) = case.row else {
        return (expected != actual).then(both);
    };
    if expected == actual {
        return Some(format!("no difference, although the row {row} says so\n{actual}"));
    }
    differences.show(row, &case.title(), expected, actual)
}
