//! Many seeds: each on its own, a failing one told with its message.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};
use std::thread;

use super::report::Figures;
use super::{Run, run};

/// A seed that does not hold, and what it says.
#[derive(Clone, Debug)]
pub struct Failure {
    pub seed: u64,
    pub message: String,
}

/// What came of many seeds.
#[derive(Debug, Default)]
pub struct Campaign {
    pub figures: Figures,
    pub failures: Vec<Failure>,
}

/// Of a failure's message: what differs comes first, and the trace has the rest.
const MOST_TOLD: usize = 3000;

thread_local! {
    /// A run is under way on this thread.
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    /// What the last panic of a run said, and where.
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Panics inside runs are kept instead of printed; all others go where they went before.
pub fn keep_panics() {
    static KEPT: Once = Once::new();
    KEPT.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !RUNNING.get() {
                return before(info);
            }
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            let text = text.unwrap_or("without a message");
            let short: String = text.chars().take(MOST_TOLD).collect();
            let place = info.location();
            let place = place.map(|place| format!(" ({}:{})", place.file(), place.line()));
            LAST_PANIC.with_borrow_mut(|last| *last = Some(short + &place.unwrap_or_default()));
        }));
    });
}

/// Runs one seed; a panic is its failure.
pub fn attempt(seed: u64, readable: Option<Box<dyn Write>>) -> Result<Run, Failure> {
    RUNNING.set(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(seed, readable)));
    RUNNING.set(false);
    outcome.map_err(|_| {
        let message = LAST_PANIC.with_borrow_mut(Option::take);
        Failure { seed, message: message.unwrap_or_else(|| "without a message".to_owned()) }
    })
}

/// Runs seeds from `from` on, on several threads, until `stop` says so before one begins; each
/// failure is told as soon as it is found.
pub fn campaign(
    from: u64,
    threads: usize,
    stop: impl Fn(u64) -> bool + Sync,
    tell: impl Fn(&Failure) + Sync,
) -> Campaign {
    let next = AtomicU64::new(from);
    let sum = Mutex::new(Campaign::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if stop(seed) {
                return;
            }
            let outcome = attempt(seed, None);
            if let Err(failure) = &outcome {
                tell(failure);
            }
            let mut sum = sum.lock().expect("nobody panics holding it");
            match outcome {
                Ok(run) => sum.figures.add(&run.figures),
                Err(failure) => sum.failures.push(failure),
            }
        }
    };
    thread::scope(|scope| (0..threads.max(1)).for_each(|_| drop(scope.spawn(work))));
    sum.into_inner().expect("nobody panics holding it")
}
