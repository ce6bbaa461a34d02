//! Finds the watches that a change concerns.
//!
//! Watches that ask for the same (same keys, same options) form a group and share what is found
//! for them: a thousand watches of one key cost one look-up and one batch.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::intervals::Intervals;
use super::keys::Keys;
use super::reply::{StreamId, WatchId};
use crate::store::Version;

/// What of a change a watch wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) no_put: bool,
    pub(super) no_delete: bool,
    pub(super) prev_kv: bool,
}

impl Options {
    pub(super) fn want(self, version: &Version) -> bool {
        if version.is_deletion() { !self.no_delete } else { !self.no_put }
    }
}

pub(super) type Member = (StreamId, WatchId);

pub(super) type GroupId = u64;

#[derive(Debug)]
pub(super) struct Group {
    pub(super) options: Options,
    pub(super) members: BTreeSet<Member>,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    single: BTreeMap<Bytes, Vec<GroupId>>,
    spans: Intervals<Vec<GroupId>>,
    groups: BTreeMap<GroupId, Group>,
    last_group: GroupId,
    members: usize,
}

impl Index {
    pub(super) fn group(&self, id: GroupId) -> &Group {
        &self.groups[&id]
    }

    pub(super) fn group_if_there(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(&id)
    }

    pub(super) fn members(&self) -> impl Iterator<Item = Member> + '_ {
        self.groups.values().flat_map(|group| group.members.iter().copied())
    }

    /// How many members there are.
    pub(super) fn len(&self) -> usize {
        self.members
    }

    /// The groups that watch the key, whatever their options.
    pub(super) fn watching(&self, key: &[u8], found: &mut Vec<GroupId>) {
        found.clear();
        if let Some(groups) = self.single.get(key) {
            found.extend(groups);
        }
        self.spans.around(key, &mut |groups| found.extend(groups));
    }

    pub(super) fn add(&mut self, keys: &Keys, options: Options, member: Member) {
        if let Some(id) = self.find(keys, options) {
            let group = self.groups.get_mut(&id).expect("a listed group exists");
            self.members += usize::from(group.members.insert(member));
            return;
        }
        self.members += 1;
        self.last_group += 1;
        let id = self.last_group;
        self.groups.insert(id, Group { options, members: BTreeSet::from([member]) });
        match keys {
            Keys::One(key) => self.single.entry(key.clone()).or_default().push(id),
            Keys::Span(span) => match self.spans.get_mut(span) {
                Some(groups) => groups.push(id),
                None => self.spans.insert(span.clone(), vec![id]),
            },
        }
    }

    pub(super) fn remove(&mut self, keys: &Keys, options: Options, member: Member) {
        let Some(id) = self.find(keys, options) else { return };
        let group = self.groups.get_mut(&id).expect("a listed group exists");
        self.members -= usize::from(group.members.remove(&member));
        if !group.members.is_empty() {
            return;
        }
        self.groups.remove(&id);
        match keys {
            Keys::One(key) => {
                let groups = self.single.get_mut(key).expect("the group was listed here");
                groups.retain(|other| *other != id);
                if groups.is_empty() {
                    self.single.remove(key);
                }
            }
            Keys::Span(span) => {
                let groups = self.spans.get_mut(span).expect("the group was listed here");
                groups.retain(|other| *other != id);
                if groups.is_empty() {
                    self.spans.remove(span);
                }
            }
        }
    }

    fn find(&self, keys: &Keys, options: Options) -> Option<GroupId> {
        let listed = match keys {
            Keys::One(key) => self.single.get(key),
            Keys::Span(span) => self.spans.get(span),
        };
        listed?.iter().copied().find(|id| self.groups[id].options == options)
    }
}
