//! How it is known that a watch which began in the past has told everything up to a revision.
//!
//! A server is asked how far the watch is. Up to 3.4.24 and 3.5.7 it answers with the newest
//! revision, whatever it has still to send (etcd's issue 15220). What can be relied on there is how
//! it reads the past for its watches (`server/storage/mvcc/watchable_store.go`): in passes over
//! everything from the oldest revision that any of them waits for, and of each pass a watch gets
//! what concerns it, up to a number of revisions. Who gets fewer has got all. Who gets nothing, or
//! exactly so many, opens another watch, from the last revision on, of all keys: when that gets its
//! event, a pass has been made in which the first one had its turn.

use std::time::Duration;

use tokio::time::Instant;

use crate::connection::Connection;
use crate::failure::Failure;
use crate::range::KeyRange;
use crate::request::Watch;
use crate::watch::{WatchItem, WatchStream};

#[derive(Debug, PartialEq)]
pub(super) enum Proof {
    /// The server tells how far it is.
    Progress,
    /// It claims too much.
    Passes(Passes),
}

#[derive(Debug)]
pub(super) struct Passes {
    /// Revisions in the part that came last, as far as it came.
    revisions: usize,
    last_revision: i64,
    /// When something was heard last.
    heard: Instant,
    probe: Probe,
}

#[derive(Debug)]
enum Probe {
    None,
    Open(Box<Opened>),
    /// It has got its event.
    Passed(Instant),
    /// This user may not watch all keys.
    Denied,
}

/// The other watch.
struct Opened(WatchStream);

/// Of one pass, a watch gets so many revisions at most.
const PASS_REVISIONS: usize = 1000;

/// The two watches have streams of their own: what was sent before may come a little after.
const AFTER_PROBE: Duration = Duration::from_millis(500);

/// Before another watch is opened.
const QUIET: Duration = Duration::from_millis(200);

/// What does for a proof where there can be none; a pass over a million revisions takes about as
/// long.
const SILENCE: Duration = Duration::from_secs(10);

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened")
    }
}

impl PartialEq for Passes {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Proof {
    pub(super) fn of(version: &str) -> Self {
        if tells_progress_truly(version) {
            return Self::Progress;
        }
        Self::Passes(Passes {
            revisions: 0,
            last_revision: 0,
            heard: Instant::now(),
            probe: Probe::None,
        })
    }

    /// Whether the end was not only guessed from a long silence.
    pub(super) fn is_proven(&self) -> bool {
        !matches!(self, Self::Passes(Passes { probe: Probe::Denied, .. }))
    }

    /// The watch was opened again: what was known of passes is over.
    pub(super) fn begin_anew(&mut self) {
        if let Self::Passes(passes) = self {
            passes.revisions = 0;
            passes.heard = Instant::now();
            if !matches!(passes.probe, Probe::Denied) {
                passes.probe = Probe::None;
            }
        }
    }

    /// Events have come, at these revisions in their order. Answers whether they are the last ones.
    pub(super) fn heard(&mut self, revisions: impl Iterator<Item = i64>, goes_on: bool) -> bool {
        let Self::Passes(passes) = self else { return false };
        passes.heard = Instant::now();
        if !matches!(passes.probe, Probe::Denied) {
            passes.probe = Probe::None;
        }
        for revision in revisions {
            passes.revisions += usize::from(revision > passes.last_revision);
            passes.last_revision = revision;
        }
        if goes_on {
            return false;
        }
        std::mem::take(&mut passes.revisions) < PASS_REVISIONS
    }

    /// Returns when the other watch has got its event, or will get none (`false`); never if there is
    /// no such watch.
    pub(super) async fn passed(&mut self) -> bool {
        let Self::Passes(Passes { probe: Probe::Open(probe), .. }) = self else {
            return std::future::pending().await;
        };
        loop {
            match probe.0.next().await {
                Some(WatchItem::Events(_)) => return true,
                Some(WatchItem::Ended(_) | WatchItem::Failed(_)) | None => return false,
                // The first one is told the same.
                Some(_) => {}
            }
        }
    }

    /// What [`Self::passed`] has answered.
    pub(super) fn pass(&mut self, passed: bool) {
        if let Self::Passes(passes) = self {
            passes.probe = if passed { Probe::Passed(Instant::now()) } else { Probe::Denied };
        }
    }

    /// Nothing has come for a while. Answers whether nothing will, of what happened up to `end`.
    pub(super) async fn wait(
        &mut self,
        connection: &Connection,
        end: i64,
    ) -> Result<bool, Failure> {
        let Self::Passes(passes) = self else { return Ok(false) };
        match &passes.probe {
            Probe::None if passes.heard.elapsed() >= QUIET => {
                let range = KeyRange::prefix("");
                let watch = Watch { range, start_revision: end, ..Watch::default() };
                passes.probe = match connection.watch(watch).await {
                    Ok(watch) => Probe::Open(Box::new(Opened(watch))),
                    Err(failure) if failure.is_connection() => return Err(failure),
                    Err(_) => Probe::Denied,
                };
                Ok(false)
            }
            Probe::None | Probe::Open(_) => Ok(false),
            Probe::Passed(at) => Ok(at.elapsed() >= AFTER_PROBE),
            Probe::Denied => Ok(passes.heard.elapsed() >= SILENCE),
        }
    }
}

fn tells_progress_truly(version: &str) -> bool {
    let mut parts = version.split(['.', '-']).map(|part| part.parse::<u64>().unwrap_or_default());
    let mut next = || parts.next().unwrap_or_default();
    let (major, minor, patch) = (next(), next(), next());
    match (major, minor) {
        (3, ..=3) => false,
        (3, 4) => patch >= 25,
        (3, 5) => patch >= 8,
        _ => major >= 3,
    }
}

#[cfg(test)]
mod tests {
    use super::{PASS_REVISIONS, Proof, tells_progress_truly};

    #[test]
    fn old_servers_claim_to_be_at_the_end_too_early() {
        for (version, truly) in [
            ("3.4.23", false),
            ("3.4.25", true),
            ("3.5.7", false),
            ("3.5.8", true),
            ("3.6.0-rc.1", true),
            ("", false),
        ] {
            assert_eq!(tells_progress_truly(version), truly, "{version}");
        }
    }

    #[tokio::test]
    async fn who_gets_fewer_revisions_than_a_pass_has_room_for_has_got_all() {
        let last = PASS_REVISIONS as i64;
        let mut proof = Proof::of("3.4.23");
        assert!(!proof.heard(1..=last, false), "there may be more");
        assert!(!proof.heard(last..=last + 1, true), "a part of a part");
        assert!(proof.heard(last + 2..last + 9, false));
        let mut one = Proof::of("3.4.23");
        assert!(one.heard([5, 5, 5].into_iter(), false));
    }
}
