//! Back through the life of one key.
//!
//! A key tells at which revision it was changed last, and reading it right before that tells the
//! change before. One request for each would take as many round trips as there are changes, so that
//! several revisions are asked for at once, as far apart as changes have been; what they skip is
//! seen by the key's version, and asked for again.

use super::{ASKED_AT_ONCE, read_each};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::pb;
use crate::request::Get;

/// How far a walk came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// The revision at which this life of the key began.
    pub created: i64,
    pub end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything since the key was created was told.
    Creation,
    /// What was before is no longer kept.
    Compacted,
    /// Whoever asked had enough.
    Unwanted,
}

/// The key as it was at `revision` (0: now), and then each change before that, the newest first,
/// until its creation. `each` gets every one, without its value, and says whether to go on.
///
/// `None`: the key is not there at that revision.
pub async fn walk(
    connection: &Connection,
    key: &[u8],
    revision: i64,
    mut each: impl FnMut(pb::KeyValue) -> bool,
) -> Result<Option<Walked>, Failure> {
    let now = Get { revision, keys_only: true, ..Get::key(key) };
    let Some(first) = connection.get(now).await?.kvs.pop() else { return Ok(None) };
    let created = first.create_revision;
    let mut stride = Stride::new(&first);
    let mut goes_on = each(first);
    loop {
        let end = if stride.is_done() { Some(End::Creation) } else { None };
        if let Some(end) = end.or((!goes_on).then_some(End::Unwanted)) {
            return Ok(Some(Walked { created, end }));
        }
        let gets = stride.asked().into_iter().map(|revision| {
            let get = Get::key(key);
            Get { revision, keys_only: true, ..get }
        });
        match read_each(connection, gets.collect()).await {
            Ok(found) => {
                let next = stride.take(found.into_iter().flatten().collect());
                if next.is_empty() {
                    // A compaction that the answers do not tell of: the key is older than its life.
                    return Ok(Some(Walked { created, end: End::Compacted }));
                }
                for kv in next {
                    goes_on = goes_on && each(kv);
                }
            }
            Err(failure) if failure.is_compacted() => {
                if !stride.shorten() {
                    return Ok(Some(Walked { created, end: End::Compacted }));
                }
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Where the next questions go.
struct Stride {
    created: i64,
    /// Of what was told last.
    modified: i64,
    version: i64,
    /// Revisions between two questions.
    step: i64,
    questions: usize,
}

impl Stride {
    fn new(kv: &pb::KeyValue) -> Self {
        let (created, modified, version) = (kv.create_revision, kv.mod_revision, kv.version);
        Self { created, modified, version, step: 1, questions: ASKED_AT_ONCE }
    }

    fn is_done(&self) -> bool {
        self.modified <= self.created
    }

    /// The revisions to ask for, the newest first. The first one is that before the last change, so
    /// that something new is always found.
    fn asked(&self) -> Vec<i64> {
        let asked = (0..self.questions as i64).map(|at| self.modified - 1 - at * self.step);
        asked.take_while(|revision| *revision >= self.created).collect()
    }

    /// What was found without a gap, the newest first; learns how far apart changes are.
    fn take(&mut self, found: Vec<pb::KeyValue>) -> Vec<pb::KeyValue> {
        let (from, mut next) = (self.modified, Vec::new());
        for kv in found {
            if kv.version == self.version - 1 {
                (self.modified, self.version) = (kv.mod_revision, kv.version);
                next.push(kv);
            }
        }
        // Four questions for each change find most of them, however irregular they are.
        if let Ok(changes) = i64::try_from(next.len())
            && changes > 0
        {
            self.step = ((from - self.modified) / changes / 4).max(1);
        }
        next
    }

    /// Asks for less that is old; `false` if only the very next is left to ask for.
    fn shorten(&mut self) -> bool {
        let can = self.questions > 1;
        self.questions = (self.questions / 2).max(1);
        can
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Stride;
    use crate::pb;

    /// A key that was changed at these revisions, and when it is asked about.
    fn at(changes: &[i64], revision: i64) -> Option<pb::KeyValue> {
        let version = changes.iter().filter(|change| **change <= revision).count();
        let modified = *changes.get(version.checked_sub(1)?)?;
        Some(pb::KeyValue {
            create_revision: changes[0],
            mod_revision: modified,
            version: version as i64,
            ..pb::KeyValue::default()
        })
    }

    fn walked(changes: &[i64]) -> (Vec<i64>, usize) {
        let newest = at(changes, i64::MAX).unwrap();
        let mut stride = Stride::new(&newest);
        let (mut told, mut requests) = (vec![newest.mod_revision], 0);
        while !stride.is_done() {
            requests += 1;
            let found = stride.asked().into_iter().filter_map(|revision| at(changes, revision));
            let next = stride.take(found.collect());
            assert!(!next.is_empty(), "every request finds something");
            told.extend(next.iter().map(|kv| kv.mod_revision));
        }
        (told, requests)
    }

    proptest! {
        #[test]
        fn every_change_is_told_once_the_newest_first(
            gaps in proptest::collection::vec(1i64..1000, 1..300),
        ) {
            let changes: Vec<i64> = gaps
                .iter()
                .scan(1, |at, gap| { *at += gap; Some(*at) })
                .collect();
            let (told, requests) = walked(&changes);
            let expected: Vec<i64> = changes.iter().rev().copied().collect();
            prop_assert_eq!(told, expected);
            prop_assert!(requests <= changes.len() / 2 + 4, "{} requests", requests);
        }
    }

    #[test]
    fn a_thousand_changes_in_a_row_take_few_requests() {
        let changes: Vec<i64> = (2..1002).collect();
        assert!(walked(&changes).1 <= 17);
    }

    #[test]
    fn near_what_is_compacted_less_is_asked_at_a_time() {
        let newest = at(&[2, 40], 99).unwrap();
        let mut stride = Stride::new(&newest);
        while stride.shorten() {}
        assert_eq!(stride.asked(), [39]);
    }
}
