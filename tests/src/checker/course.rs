//! What a key-value pair says about the revisions before it.
//!
//! A pair tells when its key was created and how often it was put since. So between the two
//! there is no deletion, the version only grows, and there are revisions enough for it to grow
//! as far as it did. And it tells that nothing happened to the key until it was seen. So a write
//! of unknown outcome is known not to lead there long before it comes to that.

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};

use bytes::Bytes;
use kvorum_proto::mvccpb::KeyValue;

use super::display;
use super::state::Change;
use super::step::Step;

/// A pair that someone was told.
#[derive(Clone, Copy)]
pub(super) struct Seen<'s> {
    pub(super) kv: &'s KeyValue,
    /// It was still so at this revision.
    pub(super) until: i64,
    pub(super) by: Witness<'s>,
}

#[derive(Clone, Copy)]
pub(super) enum Witness<'s> {
    Reader(&'s Step<'s>),
    Members,
    Watch,
}

impl Display for Seen<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let shown = display::kv(self.kv);
        match self.by {
            Witness::Reader(step) => write!(f, "{step} answered {shown}"),
            Witness::Members => write!(f, "the members hold {shown}"),
            Witness::Watch => write!(f, "a watch was told {shown}"),
        }
    }
}

/// By key, what was seen of it, in order of revisions.
#[derive(Default)]
pub(super) struct Courses<'s> {
    by_key: HashMap<&'s Bytes, Vec<Seen<'s>>>,
}

impl<'s> Courses<'s> {
    /// Of everything that was seen, in order of revisions.
    pub(super) fn of(seen: impl Iterator<Item = Seen<'s>>) -> Courses<'s> {
        let mut courses = Courses::default();
        for seen in seen {
            let course = courses.by_key.entry(&seen.kv.key).or_default();
            match course.last_mut().filter(|last| last.kv.mod_revision == seen.kv.mod_revision) {
                Some(last) if last.until < seen.until => *last = seen,
                Some(_) => {}
                None => course.push(seen),
            }
        }
        courses
    }

    /// What was seen that cannot come to be after this change.
    pub(super) fn contradicts(&self, change: &Change) -> Option<Seen<'s>> {
        let course = self.by_key.get(&change.key)?;
        let past = course.partition_point(|seen| seen.kv.mod_revision <= change.revision);
        let next = *course.get(past)?;
        let later = next.kv;
        if later.create_revision > change.revision {
            return None;
        }
        let leads = change.kv.as_ref().is_some_and(|kv| {
            let puts = later.version - kv.version;
            kv.create_revision == later.create_revision
                && (1..=later.mod_revision - change.revision).contains(&puts)
        });
        (!leads).then_some(next)
    }

    /// What was seen later as it had been before this change.
    pub(super) fn replaced(&self, change: &Change) -> Option<Seen<'s>> {
        let course = self.by_key.get(&change.key)?;
        let past = course.partition_point(|seen| seen.kv.mod_revision < change.revision);
        let before = *course.get(past.checked_sub(1)?)?;
        (change.revision <= before.until).then_some(before)
    }
}
