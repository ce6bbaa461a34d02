//! A tiny etcd whose every step can be taken back.
//!
//! The search tries operations and takes them back many times, and compares states by a hash; the
//! model of the property tests (`crate::model`) can do neither without being copied whole, and
//! looks at all keys for each question. So this is a second one, under the same `rules`, and the
//! self-tests hold the two against each other.
//!
//! Invariants: `log` is everything that happened, in order, and nothing in it ever changes but by
//! [`State::undo`]; `digest` is a function of the log and the leases alone.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use kvorum_proto::etcdserverpb::ResponseHeader;
use kvorum_proto::mvccpb::KeyValue;

use crate::rules::{self, Interest, Refusal, Span, Store, View};

/// One change of one key; a deletion leaves no key-value pair.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) revision: i64,
    pub(super) key: Bytes,
    pub(super) kv: Option<KeyValue>,
    pub(super) prev: Option<KeyValue>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) revision: i64,
    pub(super) compacted: i64,
    pub(super) log: Vec<Change>,
    /// Where in the log each key changed.
    keys: BTreeMap<Bytes, Vec<usize>>,
    /// The granted time to live, in seconds.
    leases: BTreeMap<i64, i64>,
    /// What each change of a lease replaced.
    lease_log: Vec<(i64, Option<i64>)>,
    /// Changes by the operation at hand: its next ones are of the next revision.
    writes: usize,
    digest: u64,
}

/// A point to come back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    revision: i64,
    compacted: i64,
    pub(super) log: usize,
    lease_log: usize,
    digest: u64,
}

impl Change {
    pub(super) fn is_wanted(&self, interest: &Interest) -> bool {
        interest.covers(&self.key, self.kv.is_some())
    }
}

impl State {
    pub(super) fn new() -> State {
        State {
            revision: 1,
            compacted: -1,
            log: Vec::new(),
            keys: BTreeMap::new(),
            leases: BTreeMap::new(),
            lease_log: Vec::new(),
            writes: 0,
            digest: 0,
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            revision: self.revision,
            compacted: self.compacted,
            log: self.log.len(),
            lease_log: self.lease_log.len(),
            digest: self.digest,
        }
    }

    pub(super) fn undo(&mut self, mark: &Mark) {
        while self.log.len() > mark.log {
            let change = self.log.pop().expect("it is longer");
            self.keys.get_mut(&change.key).expect("it changed").pop();
        }
        while self.lease_log.len() > mark.lease_log {
            let (id, before) = self.lease_log.pop().expect("it is longer");
            match before {
                Some(ttl) => drop(self.leases.insert(id, ttl)),
                None => drop(self.leases.remove(&id)),
            }
        }
        self.revision = mark.revision;
        self.compacted = mark.compacted;
        self.digest = mark.digest;
        self.writes = 0;
    }

    /// Whether anything happened since.
    pub(super) fn changed_since(&self, mark: &Mark) -> bool {
        (self.revision, self.compacted) != (mark.revision, mark.compacted)
            || self.lease_log.len() > mark.lease_log
    }

    /// Equal for equal states, and for no others that will ever meet.
    pub(super) fn digest(&self) -> u64 {
        self.digest.wrapping_add(digest(&("state", self.revision, self.compacted)))
    }

    pub(super) fn end_revision(&mut self) {
        self.revision = self.seen();
        self.writes = 0;
    }

    fn found(&self, changes: &[usize], revision: i64) -> Option<&KeyValue> {
        let mut changes = changes.iter().rev().map(|index| &self.log[*index]);
        changes.find(|change| change.revision <= revision)?.kv.as_ref()
    }

    pub(super) fn compact(&mut self, revision: i64) -> Result<(), Refusal> {
        rules::check_compaction(revision, self.view())?;
        self.compacted = revision;
        Ok(())
    }

    pub(super) fn lease(&self, id: i64) -> Option<i64> {
        self.leases.get(&id).copied()
    }

    pub(super) fn grant(&mut self, id: i64, ttl: i64) -> Result<(), Refusal> {
        if self.leases.contains_key(&id) {
            return Err(Refusal::LeaseExists);
        }
        self.set_lease(id, Some(ttl));
        Ok(())
    }

    /// Ends a lease, by its client's wish or because its time is over.
    pub(super) fn end_lease(&mut self, id: i64) -> Result<(), Refusal> {
        if !self.leases.contains_key(&id) {
            return Err(Refusal::NoLease);
        }
        self.set_lease(id, None);
        let now = self.seen();
        let held = self.keys.values().filter_map(|changes| self.found(changes, now));
        let attached = held.filter(|kv| kv.lease == id);
        let doomed: Vec<KeyValue> = attached.cloned().collect();
        for kv in doomed {
            self.write(kv.key.clone(), None, Some(kv));
        }
        Ok(())
    }

    fn set_lease(&mut self, id: i64, ttl: Option<i64>) {
        let before = match ttl {
            Some(ttl) => self.leases.insert(id, ttl),
            None => self.leases.remove(&id),
        };
        let share = |ttl: Option<i64>| ttl.map_or(0, |ttl| digest(&("lease", id, ttl)));
        self.digest = self.digest.wrapping_sub(share(before)).wrapping_add(share(ttl));
        self.lease_log.push((id, before));
    }
}

impl Store for State {
    fn view(&self) -> View {
        View { revision: self.revision, compacted: self.compacted }
    }

    fn seen(&self) -> i64 {
        self.revision + i64::from(self.writes > 0)
    }

    fn at(&self, key: &Bytes, revision: i64) -> Option<&KeyValue> {
        self.found(self.keys.get(key)?, revision)
    }

    fn select(&self, span: &Span, revision: i64) -> Vec<&KeyValue> {
        if let Some(key) = span.single() {
            return self.at(key, revision).into_iter().collect();
        }
        let held = self.keys.range::<Bytes, _>(span.bounds());
        held.filter_map(|(_, changes)| self.found(changes, revision)).collect()
    }

    fn has_lease(&self, id: i64) -> bool {
        self.leases.contains_key(&id)
    }

    fn write(&mut self, key: Bytes, kv: Option<KeyValue>, prev: Option<KeyValue>) {
        let revision = self.revision + 1;
        let left = kv.as_ref().map(|kv| (&kv.value, kv.lease));
        let share = digest(&(revision, self.writes, &key, left));
        self.digest = self.digest.wrapping_add(share);
        self.keys.entry(key.clone()).or_default().push(self.log.len());
        self.log.push(Change { revision, key, kv, prev });
        self.writes += 1;
    }

    /// The checker looks at headers apart from answers.
    fn header(&self, _revision: i64) -> Option<ResponseHeader> {
        None
    }
}

/// Of two different things it is the same so seldom that a search never meets it.
pub(super) fn digest(thing: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}
