//! The processes that a command has started, as the kernel knows them. Where it does not tell, there
//! are none.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

/// A process, told from a later one of the same number by when it was started.
pub(super) struct Relative {
    pid: Pid,
    started: u64,
}

/// More are not looked for: something that starts so many is not stopped by going after each.
const MAX_RELATIVES: usize = 1000;

const LOOKED_EVERY: Duration = Duration::from_millis(10);

/// All who were started by `pid`, and by those.
pub(super) fn below(pid: u32) -> Vec<Relative> {
    let mut found: Vec<Relative> = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for child in children(parent) {
            if found.len() == MAX_RELATIVES {
                return found;
            }
            let pid = i32::try_from(child).ok().and_then(Pid::from_raw);
            if let (Some(pid), Some(started)) = (pid, started(child)) {
                found.push(Relative { pid, started });
                parents.push(child);
            }
        }
    }
    found
}

/// Returns when none of them is there any more.
pub(super) async fn gone(family: &[Relative]) {
    while family.iter().any(Relative::is_there) {
        sleep(LOOKED_EVERY).await;
    }
}

impl Relative {
    pub(super) fn signal(&self, signal: Signal) {
        if self.is_there() {
            // It may end in this moment.
            let _ = kill_process(self.pid, signal);
        }
    }

    fn is_there(&self) -> bool {
        started(self.pid.as_raw_nonzero().get().unsigned_abs()) == Some(self.started)
    }
}

fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| numbers(&list)).collect()
}

fn numbers(list: &str) -> Vec<u32> {
    list.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// When a process was started, in ticks since the machine was; `None` for one that has ended, even
/// if nobody has waited for it yet.
fn started(pid: u32) -> Option<u64> {
    // proc(5): the state is the third field, this the 22nd; the name before may hold anything.
    const AFTER_STATE: usize = 22 - 3;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let has_ended = matches!(fields.clone().next(), Some("Z" | "X") | None);
    if has_ended { None } else { fields.nth(AFTER_STATE)?.parse().ok() }
}
