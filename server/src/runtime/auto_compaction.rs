//! History given up without being asked, by the leader, as etcd 3.6's `v3compactor` does it.
//!
//! Every member notes the revisions as time goes by, so that whoever leads next goes on where the
//! leader before was. [`Schedule`] is pure: it is told the time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use kvorum_core::auth::Principal;
use kvorum_core::error::StoreError;
use kvorum_proto::etcdserverpb::{CompactionRequest, InternalRaftRequest};
use tokio::time::sleep;

use super::{Handle, RequestError};
use crate::config::AutoCompaction;

/// A longer time is looked at as often, and compacted as often, as one hour is; etcd's figure.
const LONGEST_PERIOD: Duration = Duration::from_secs(3600);

/// How many looks there are in a period; etcd's figure.
const LOOKS: u32 = 10;

/// A time so short that more looks would be load without use.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);

/// How often a number of revisions is looked at; etcd's figure.
const REVISION_LOOK: Duration = Duration::from_secs(5 * 60);

/// Compacts as long as the member runs and leads.
pub(super) async fn run(handle: Handle, wanted: AutoCompaction) {
    let started = Instant::now();
    let Some(mut schedule) = Schedule::new(wanted) else { return };
    loop {
        schedule.note(handle.root().revision());
        sleep(schedule.interval).await;
        let now = started.elapsed();
        let newest = handle.root().revision();
        let Some(revision) = schedule.due(now, newest).filter(|_| handle.is_leader()) else {
            continue;
        };
        tracing::info!(revision, "starting auto compaction");
        let compaction = Some(CompactionRequest { revision, physical: false });
        let entry = InternalRaftRequest { compaction, ..InternalRaftRequest::default() };
        match handle.write(entry, &Principal::Member).await {
            Ok(_) | Err(RequestError::Store(StoreError::Compacted)) => {
                schedule.done(started.elapsed(), revision);
                let took_ms = started.elapsed().saturating_sub(now).as_millis() as u64;
                tracing::info!(revision, took_ms, "completed auto compaction");
            }
            Err(RequestError::Stopped) => return,
            Err(error) => {
                tracing::warn!(revision, error = %error, "failed auto compaction; tried again");
            }
        }
    }
}

/// What is to be compacted when.
struct Schedule {
    wanted: AutoCompaction,
    /// Between two looks.
    interval: Duration,
    /// What was the newest revision at the last looks, over the time that is to be kept; the
    /// oldest first.
    revisions: VecDeque<i64>,
    most_revisions: usize,
    /// No compaction comes sooner after the one before.
    pause: Duration,
    compacted_at: Duration,
    compacted: i64,
}

impl Schedule {
    fn new(wanted: AutoCompaction) -> Option<Schedule> {
        let (interval, period) = match wanted {
            AutoCompaction::Off => return None,
            AutoCompaction::Periodic(period) => {
                ((period.min(LONGEST_PERIOD) / LOOKS).max(SHORTEST_LOOK), period)
            }
            AutoCompaction::Revision(_) => (REVISION_LOOK, Duration::ZERO),
        };
        let looks = period.as_nanos() / interval.as_nanos();
        Some(Schedule {
            wanted,
            interval,
            revisions: VecDeque::new(),
            most_revisions: usize::try_from(looks).unwrap_or(usize::MAX).saturating_add(1),
            // The first compaction waits for a whole period to be over.
            pause: period,
            compacted_at: Duration::ZERO,
            compacted: 0,
        })
    }

    /// Notes the newest revision, before the wait for the next look.
    fn note(&mut self, revision: i64) {
        if let AutoCompaction::Periodic(_) = self.wanted {
            self.revisions.push_back(revision);
            if self.revisions.len() > self.most_revisions {
                self.revisions.pop_front();
            }
        }
    }

    /// What is to be compacted `now`, counted from the start, if anything.
    fn due(&mut self, now: Duration, newest: i64) -> Option<i64> {
        let revision = match self.wanted {
            AutoCompaction::Off => return None,
            AutoCompaction::Periodic(_) => {
                let waits = now.saturating_sub(self.compacted_at) < self.pause;
                self.revisions.front().copied().filter(|_| !waits)?
            }
            AutoCompaction::Revision(kept) => newest.saturating_sub(kept),
        };
        (revision > 0 && revision != self.compacted).then_some(revision)
    }

    fn done(&mut self, now: Duration, revision: i64) {
        self.compacted = revision;
        self.compacted_at = now;
        self.pause = self.pause.min(LONGEST_PERIOD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// What a leader compacts, and in which minute, where every look finds ten revisions more.
    fn course(wanted: AutoCompaction, minutes: u32) -> Vec<(u32, i64)> {
        let mut schedule = Schedule::new(wanted).expect("it is on");
        let looks = (minutes * MINUTE).as_nanos() / schedule.interval.as_nanos();
        let mut course = Vec::new();
        for look in 1..=looks as u32 {
            schedule.note(10 * i64::from(look));
            let now = look * schedule.interval;
            if let Some(revision) = schedule.due(now, 10 * i64::from(look)) {
                schedule.done(now, revision);
                course.push(((now.as_secs() / 60) as u32, revision));
            }
        }
        course
    }

    #[test]
    fn an_hour_is_looked_at_every_six_minutes_and_compacted_every_hour() {
        let wanted = AutoCompaction::Periodic(60 * MINUTE);
        // Looks are at 0, 6, 12, … minutes, the first notes revision 10.
        assert_eq!(course(wanted, 180), [(60, 10), (120, 100), (180, 200)]);
    }

    #[test]
    fn a_day_is_compacted_every_hour_once_it_is_over() {
        let wanted = AutoCompaction::Periodic(24 * 60 * MINUTE);
        let hours = [(24 * 60, 10), (25 * 60, 100), (26 * 60, 200)];
        assert_eq!(course(wanted, 26 * 60), hours);
    }

    #[test]
    fn nothing_is_compacted_twice() {
        let mut schedule = Schedule::new(AutoCompaction::Periodic(10 * MINUTE)).expect("it is on");
        for look in 1..=100 {
            schedule.note(7);
            let due = schedule.due(look * schedule.interval, 7);
            assert_eq!(due, (look == 10).then_some(7), "{look}");
            due.inspect(|revision| schedule.done(look * schedule.interval, *revision));
        }
    }

    #[test]
    fn a_failure_is_tried_again_at_the_next_look() {
        let mut schedule = Schedule::new(AutoCompaction::Periodic(10 * MINUTE)).expect("it is on");
        (1..=10).for_each(|revision| schedule.note(revision));
        assert_eq!(schedule.due(10 * MINUTE, 10), Some(1));
        schedule.note(11);
        assert_eq!(schedule.due(11 * MINUTE, 11), Some(1));
    }

    #[test]
    fn a_number_of_revisions_is_kept_from_the_newest() {
        let wanted = AutoCompaction::Revision(15);
        assert_eq!(course(wanted, 20), [(10, 5), (15, 15), (20, 25)]);
    }

    #[test]
    fn the_shortest_times_are_no_burden() {
        let wanted = AutoCompaction::Periodic(Duration::from_nanos(1));
        let schedule = Schedule::new(wanted).expect("it is on");
        assert_eq!(schedule.interval, SHORTEST_LOOK);
        assert_eq!(schedule.most_revisions, 1);
    }
}
