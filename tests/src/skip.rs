//! Tests that need what this machine may not have.

use std::io::Write;

/// Says that the running test is skipped and why, or fails it when skipping is not allowed.
///
/// The line goes around the test runner's capture, so it shows for a test that passes. With
/// `KVORUM_NO_SKIP` set, as `.ci/run` sets it, nothing may be skipped.
pub fn skip(why: &str) {
    assert!(
        std::env::var_os("KVORUM_NO_SKIP").is_none(),
        "this test may not be skipped here, and would be: {why}"
    );
    let line = format!("skipped: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error can be written to");
}

/// Leaves the test, with a `skipped:` line, unless the value is there.
#[macro_export]
macro_rules! or_skip {
    ($needed:expr, $why:expr) => {
        match $needed {
            Some(there) => there,
            None => return $crate::skip::skip($why),
        }
    };
}
