//! From facts to findings. Pure: the same facts always give the same findings, in the same order.

mod agreement;
mod membership;
mod storage;
mod surroundings;
#[cfg(test)]
mod tests;

use super::facts::Facts;
use super::finding::{Check, Finding, Severity};

/// All findings, check by check; a check that found nothing wrong says so in one line.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    for check in [
        membership::addresses,
        membership::leader,
        membership::members,
        agreement::lag,
        agreement::versions,
        storage::alarms,
        storage::quota,
        storage::fragmentation,
        agreement::hashes,
        surroundings::disk,
        surroundings::clock,
        surroundings::certificates,
    ] {
        check(facts, &mut found);
    }
    found
}

fn finding(severity: Severity, check: Check, sentence: impl Into<String>) -> Finding {
    Finding::new(severity, check, sentence)
}

/// `1.5 GiB`
fn size(bytes: i64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if amount < 1024.0 {
            break;
        }
        amount /= 1024.0;
        unit = larger;
    }
    format!("{amount:.1} {unit}")
}

fn percent(part: i64, whole: i64) -> i64 {
    (part as f64 * 100.0 / whole as f64) as i64
}
