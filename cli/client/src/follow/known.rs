//! What somebody has been told of a range, and what to tell when some of it was missed. Pure.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::pb;
use crate::queue::is_deletion;

/// How much is remembered. Values are not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub keys: usize,
    /// Of the keys' names together.
    pub bytes: usize,
}

/// What a difference tells of keys that are there no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletions {
    /// Every one.
    Told,
    /// Of the keys that are remembered; there were more of them than are.
    InPart,
    /// None: nothing was known. Every key that is there is told in place of a difference, so what
    /// is not among them is gone.
    Unknown,
}

/// The keys that somebody knows to be there, each with its revision, as of [`Known::told`].
#[derive(Debug)]
pub(super) struct Known {
    limits: Limits,
    keys: BTreeMap<Vec<u8>, i64>,
    bytes: usize,
    deletions: Deletions,
    told: i64,
}

/// A list of the range that is being compared with what is known.
#[derive(Debug)]
pub(super) struct Comparison {
    /// Keys up to this one have been compared.
    last: Option<Vec<u8>>,
    /// What was told before the list.
    told: i64,
    /// Keys that were never told are.
    everything: bool,
    all_fit: bool,
}

impl Known {
    pub(super) fn nothing(limits: Limits) -> Self {
        let (keys, bytes, deletions) = (BTreeMap::new(), 0, Deletions::Unknown);
        Self { limits, keys, bytes, deletions, told: 0 }
    }

    /// Every change up to this revision has been told.
    pub(super) fn told(&self) -> i64 {
        self.told
    }

    pub(super) fn tell_up_to(&mut self, revision: i64) {
        self.told = self.told.max(revision);
    }

    /// What a difference could tell of deletions.
    pub(super) fn deletions(&self) -> Deletions {
        self.deletions
    }

    /// All that is there is to be learned. If there is nothing, that is known, too.
    pub(super) fn begin_to_learn(&mut self) {
        self.deletions = Deletions::Told;
    }

    /// Whether another key could not be remembered.
    pub(super) fn is_full(&self) -> bool {
        self.keys.len() >= self.limits.keys || self.bytes >= self.limits.bytes
    }

    /// A key that is there.
    pub(super) fn learn(&mut self, key: &[u8], mod_revision: i64) {
        if !self.remember(key, mod_revision) {
            self.deletions = Deletions::InPart;
        }
    }

    /// A change that was told.
    pub(super) fn change(&mut self, event: &pb::Event) {
        let Some(kv) = &event.kv else { return };
        if is_deletion(event) {
            self.forget(&kv.key);
        } else if !self.remember(&kv.key, kv.mod_revision) && self.deletions == Deletions::Told {
            self.deletions = Deletions::InPart;
        }
        self.tell_up_to(kv.mod_revision);
    }

    /// Begins to compare with a list: its pages are to follow, in the order of keys, and then its
    /// end.
    pub(super) fn compare(&self) -> Comparison {
        let everything = self.deletions == Deletions::Unknown;
        Comparison { last: None, told: self.told, everything, all_fit: true }
    }

    fn remember(&mut self, key: &[u8], mod_revision: i64) -> bool {
        if let Some(known) = self.keys.get_mut(key) {
            *known = mod_revision;
            return true;
        }
        if self.is_full() {
            return false;
        }
        self.bytes += key.len();
        self.keys.insert(key.to_vec(), mod_revision);
        true
    }

    fn forget(&mut self, key: &[u8]) -> Option<i64> {
        let known = self.keys.remove(key)?;
        self.bytes -= key.len();
        Some(known)
    }

    /// Forgets the keys between the two, and tells that they are gone.
    fn gone(&mut self, after: Option<&[u8]>, before: Option<&[u8]>) -> Vec<pb::Event> {
        let bounds: (Bound<&[u8]>, Bound<&[u8]>) = (
            after.map_or(Bound::Unbounded, Bound::Excluded),
            before.map_or(Bound::Unbounded, Bound::Excluded),
        );
        let gone: Vec<Vec<u8>> =
            self.keys.range::<[u8], _>(bounds).map(|(key, _)| key.clone()).collect();
        for key in &gone {
            self.forget(key);
        }
        gone.into_iter().map(deleted).collect()
    }
}

impl Comparison {
    /// What has to be told because of some more keys of the list.
    pub(super) fn page(&mut self, known: &mut Known, kvs: Vec<pb::KeyValue>) -> Vec<pb::Event> {
        let mut events = Vec::new();
        for kv in kvs {
            events.extend(known.gone(self.last.as_deref(), Some(&kv.key)));
            self.last = Some(kv.key.clone());
            let before = known.keys.get(&kv.key).copied();
            self.all_fit &= known.remember(&kv.key, kv.mod_revision);
            let is_new = match before {
                Some(revision) => revision != kv.mod_revision,
                None => self.everything || kv.mod_revision > self.told,
            };
            if is_new {
                events.push(pb::Event { r#type: 0, kv: Some(kv), prev_kv: None });
            }
        }
        events
    }

    /// What has to be told at the end of the list, which was of `revision` at least.
    pub(super) fn end(self, known: &mut Known, revision: i64) -> Vec<pb::Event> {
        let events = known.gone(self.last.as_deref(), None);
        known.deletions = if self.all_fit { Deletions::Told } else { Deletions::InPart };
        known.tell_up_to(revision);
        events
    }
}

/// When it was deleted is what nobody knows any more.
fn deleted(key: Vec<u8>) -> pb::Event {
    let kv = pb::KeyValue { key, ..pb::KeyValue::default() };
    pb::Event { r#type: pb::EVENT_DELETE, kv: Some(kv), prev_kv: None }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{Deletions, Known, Limits};
    use crate::pb;

    const ALL: Limits = Limits { keys: usize::MAX, bytes: usize::MAX };

    type State = BTreeMap<Vec<u8>, (i64, Vec<u8>)>;

    fn kv(key: &[u8], mod_revision: i64, value: &[u8]) -> pb::KeyValue {
        let (key, value) = (key.to_vec(), value.to_vec());
        pb::KeyValue { key, value, mod_revision, ..pb::KeyValue::default() }
    }

    fn put(key: &[u8], mod_revision: i64) -> pb::Event {
        let value = mod_revision.to_string();
        pb::Event { kv: Some(kv(key, mod_revision, value.as_bytes())), ..pb::Event::default() }
    }

    fn delete(key: &[u8], mod_revision: i64) -> pb::Event {
        let kind = pb::EVENT_DELETE;
        pb::Event { r#type: kind, kv: Some(kv(key, mod_revision, b"")), prev_kv: None }
    }

    fn apply(state: &mut State, event: &pb::Event) {
        let kv = event.kv.clone().unwrap();
        if event.r#type == pb::EVENT_DELETE {
            state.remove(&kv.key);
        } else {
            state.insert(kv.key, (kv.mod_revision, kv.value));
        }
    }

    /// A keyspace with all its history.
    #[derive(Debug, Default)]
    struct History(Vec<pb::Event>);

    impl History {
        /// Of one change for each revision, from revision 2 on as etcd's first is.
        fn of(changes: &[(u8, bool)]) -> Self {
            let (mut state, mut events) = (State::new(), vec![]);
            for (number, is_put) in changes {
                let (key, revision) = (vec![b'k', *number], events.len() as i64 + 2);
                // A delete of what is not there is no change.
                let event = if *is_put || !state.contains_key(&key) {
                    put(&key, revision)
                } else {
                    delete(&key, revision)
                };
                apply(&mut state, &event);
                events.push(event);
            }
            Self(events)
        }

        fn revision(&self) -> i64 {
            self.0.len() as i64 + 1
        }

        fn between(&self, from: i64, to: i64) -> impl Iterator<Item = &pb::Event> {
            let within = move |event: &&pb::Event| {
                (from..=to).contains(&event.kv.as_ref().unwrap().mod_revision)
            };
            self.0.iter().filter(within)
        }

        fn at(&self, revision: i64) -> State {
            let mut state = State::new();
            self.between(0, revision).for_each(|event| apply(&mut state, event));
            state
        }
    }

    fn list(state: &State) -> Vec<pb::KeyValue> {
        state.iter().map(|(key, (revision, value))| kv(key, *revision, value)).collect()
    }

    /// What comes of it to have heard everything up to `heard`, nothing up to `listed`, and
    /// everything from then on.
    fn told_by_events(
        history: &History,
        (heard, listed): (i64, i64),
        (page, limits): (usize, Limits),
    ) -> (State, Deletions) {
        let mut known = Known::nothing(limits);
        known.begin_to_learn();
        let mut state = State::new();
        for event in history.between(0, heard) {
            known.change(event);
            apply(&mut state, event);
        }
        let mut comparison = known.compare();
        for page in list(&history.at(listed)).chunks(page) {
            let events = comparison.page(&mut known, page.to_vec());
            for event in &events {
                apply(&mut state, event);
            }
        }
        let deletions = known.deletions();
        comparison.end(&mut known, listed).iter().for_each(|event| apply(&mut state, event));
        assert_eq!(known.told(), listed.max(heard));
        for event in history.between(listed + 1, i64::MAX) {
            known.change(event);
            apply(&mut state, event);
        }
        (state, deletions)
    }

    proptest! {
        #[test]
        fn events_and_lists_come_to_the_same_state_wherever_a_compaction_falls(
            changes in prop::collection::vec((0u8..6, any::<bool>()), 0..60),
            heard in 0usize..60,
            missed in 0usize..60,
            page in 1usize..5,
        ) {
            let history = History::of(&changes);
            let heard = (heard as i64).min(history.revision());
            let listed = (heard + missed as i64).min(history.revision());
            let (state, deletions) = told_by_events(&history, (heard, listed), (page, ALL));
            prop_assert_eq!(state, history.at(i64::MAX));
            prop_assert_eq!(deletions, Deletions::Told);
        }

        #[test]
        fn with_little_memory_only_deletions_go_untold_and_it_is_known(
            changes in prop::collection::vec((0u8..6, any::<bool>()), 0..60),
            heard in 0usize..60,
            missed in 0usize..60,
            keys in 0usize..6,
        ) {
            let history = History::of(&changes);
            let heard = (heard as i64).min(history.revision());
            let listed = (heard + missed as i64).min(history.revision());
            let limits = Limits { keys, bytes: usize::MAX };
            let (mut state, deletions) = told_by_events(&history, (heard, listed), (2, limits));
            let now = history.at(i64::MAX);
            if deletions == Deletions::InPart {
                state.retain(|key, _| now.contains_key(key));
            }
            prop_assert_eq!(state, now);
        }
    }

    #[test]
    fn a_difference_has_what_changed_and_nothing_else() {
        let mut known = Known::nothing(ALL);
        known.begin_to_learn();
        for (key, revision) in [(b"a", 2), (b"b", 3), (b"c", 4)] {
            known.change(&put(key, revision));
        }
        let mut comparison = known.compare();
        let list = [kv(b"a", 2, b""), kv(b"c", 7, b""), kv(b"d", 6, b"")];
        let mut events = comparison.page(&mut known, list[..2].to_vec());
        events.extend(comparison.page(&mut known, list[2..].to_vec()));
        events.extend(comparison.end(&mut known, 8));
        let told: Vec<_> = events
            .iter()
            .map(|event| (event.r#type, event.kv.clone().unwrap()))
            .map(|(kind, kv)| (kind, String::from_utf8(kv.key).unwrap(), kv.mod_revision))
            .collect();
        let expected = [(1, "b", 0), (0, "c", 7), (0, "d", 6)];
        assert_eq!(told, expected.map(|(kind, key, at)| (kind, key.to_owned(), at)));
        assert_eq!((known.told(), known.deletions()), (8, Deletions::Told));
    }

    #[test]
    fn who_knew_nothing_is_told_everything() {
        let mut known = Known::nothing(ALL);
        known.tell_up_to(99);
        assert_eq!(known.deletions(), Deletions::Unknown);
        let mut comparison = known.compare();
        let events = comparison.page(&mut known, vec![kv(b"a", 2, b""), kv(b"b", 101, b"")]);
        assert_eq!(events.len(), 2);
        assert_eq!(comparison.end(&mut known, 120), []);
        assert_eq!(known.deletions(), Deletions::Told);
    }

    #[test]
    fn long_names_are_remembered_up_to_a_number_of_bytes() {
        let mut known = Known::nothing(Limits { keys: 10, bytes: 4 });
        known.begin_to_learn();
        known.learn(b"abcd", 2);
        assert_eq!(known.deletions(), Deletions::Told);
        known.learn(b"e", 3);
        assert_eq!((known.is_full(), known.deletions()), (true, Deletions::InPart));
        known.change(&delete(b"abcd", 4));
        known.change(&put(b"e", 5));
        assert!(!known.is_full());
        assert_eq!(known.deletions(), Deletions::InPart, "some others were never remembered");
    }
}
