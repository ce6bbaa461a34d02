//! Reading a range of keys, at any revision that has not been compacted.

use std::cmp::Ordering;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use kvorum_proto::etcdserverpb::RangeRequest;
use kvorum_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use kvorum_proto::key_range::KeyRange;

use super::{ByValue, RangeReply, Root, Value, Version};
use crate::error::StoreError;

impl Root {
    /// Serves a range request with all of its options.
    ///
    /// As in etcd, `count` is the number of keys in the whole range, whatever limit and filters
    /// say, and a limit is applied after filtering and sorting. But a target without an order
    /// sorts, ascending, only what the limit let through and the one key after it.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeReply, StoreError> {
        let range = KeyRange::new(request.key.clone(), request.range_end.clone());
        let at = self.readable(request.revision)?;
        if request.count_only {
            let count = self.count(&range, at);
            return Ok(RangeReply { count, ..RangeReply::default() });
        }
        let most = most(request);
        let found = self.existing(&range, at).filter(|version| passes(request, version));
        let versions: Vec<_> = found.take(most).cloned().collect();
        let found_all = versions.len() < most && !is_filtered(request);
        let count = if found_all { versions.len() as i64 } else { self.count(&range, at) };
        Ok(RangeReply { count, ..self.reply(request, versions) })
    }

    /// The first keys of a range, as many as the request's limit says, without looking at the rest
    /// of it: `count` is 0. For requests without filters and orders.
    pub fn page(&self, request: &RangeRequest) -> Result<RangeReply, StoreError> {
        if request.count_only {
            return Ok(RangeReply::default());
        }
        let range = KeyRange::new(request.key.clone(), request.range_end.clone());
        let at = self.readable(request.revision)?;
        let versions = self.existing(&range, at).take(most(request)).cloned().collect();
        Ok(self.reply(request, versions))
    }

    /// Sorts what was found and cuts it.
    fn reply(&self, request: &RangeRequest, versions: Vec<Arc<Version>>) -> RangeReply {
        let (order, limit) = (Order::of(request), limit(request));
        let stored = versions.iter().any(|version| version.value == Value::Stored);
        let by_value = order.target == SortTarget::Value && order.direction.is_some();
        let mut reply = RangeReply {
            versions,
            keys_only: request.keys_only,
            pin: (stored && (by_value || !request.keys_only)).then(|| self.pin.clone()),
            ..RangeReply::default()
        };
        match order.direction {
            Some(descending) if by_value && stored => {
                reply.by_value = Some(ByValue { descending, limit });
            }
            Some(descending) => {
                reply.versions.sort_by(|a, b| {
                    let ascending = compare(order.target, a, b);
                    if descending { ascending.reverse() } else { ascending }
                });
                reply.truncate(limit);
            }
            None => reply.truncate(limit),
        }
        reply
    }

    /// The revision that a read at `revision` means: none given is the current one.
    pub(super) fn readable(&self, revision: i64) -> Result<i64, StoreError> {
        if revision > self.revision {
            return Err(StoreError::FutureRevision);
        }
        let at = if revision <= 0 { self.revision } else { revision };
        if at < self.compacted { Err(StoreError::Compacted) } else { Ok(at) }
    }

    /// Every key of the range that exists now, in key order.
    pub(super) fn live<'a>(
        &'a self,
        range: &'a KeyRange,
    ) -> impl Iterator<Item = &'a Arc<Version>> + 'a {
        self.existing(range, self.revision)
    }

    /// Every key of the range that existed at revision `at`, in key order.
    fn existing<'a>(
        &'a self,
        range: &'a KeyRange,
        at: i64,
    ) -> impl Iterator<Item = &'a Arc<Version>> + 'a {
        let single = range.as_single().and_then(|key| self.keys.get(key));
        let many = span(range).map(|(from, to)| {
            if at == self.revision {
                self.keys.range_counted(from, to)
            } else {
                self.keys.range(from, to)
            }
        });
        let newest = single.into_iter().chain(many.into_iter().flatten());
        newest.filter_map(move |newest| self.valid_at(newest, at))
    }

    /// O(log n) at the current revision.
    pub(super) fn count(&self, range: &KeyRange, at: i64) -> i64 {
        match span(range) {
            Some((from, to)) if at == self.revision => self.keys.count(from, to) as i64,
            _ => self.existing(range, at).count() as i64,
        }
    }
}

/// The range as the index takes it; `None` if it holds at most one key.
fn span(range: &KeyRange) -> Option<(&[u8], Option<&[u8]>)> {
    let from = range.start();
    match range.end_bound() {
        Bound::Excluded(end) => (!range.is_empty()).then_some((from, Some(end))),
        Bound::Unbounded => Some((from, None)),
        Bound::Included(_) => None,
    }
}

struct Order {
    target: SortTarget,
    /// Whether to sort at all, and if so, downwards.
    direction: Option<bool>,
    /// Whether sorting needs the whole range: the request names an order, not only a target.
    needs_all: bool,
}

impl Order {
    /// Unknown orders and targets, which the edge refuses, count as none.
    fn of(request: &RangeRequest) -> Self {
        let order = SortOrder::try_from(request.sort_order).unwrap_or(SortOrder::None);
        let target = SortTarget::try_from(request.sort_target).unwrap_or(SortTarget::Key);
        let direction = match (order, target) {
            (SortOrder::None | SortOrder::Ascend, SortTarget::Key) => None,
            (SortOrder::None | SortOrder::Ascend, _) => Some(false),
            (SortOrder::Descend, _) => Some(true),
        };
        Order { target, direction, needs_all: direction.is_some() && order != SortOrder::None }
    }
}

fn limit(request: &RangeRequest) -> Option<usize> {
    usize::try_from(request.limit).ok().filter(|limit| *limit > 0)
}

/// How many versions have to be found: one more than the limit says that there are more.
fn most(request: &RangeRequest) -> usize {
    limit(request)
        .filter(|_| !needs_all(request))
        .map_or(usize::MAX, |limit| limit.saturating_add(1))
}

/// Whether the limit cuts only what was sorted.
pub(super) fn needs_all(request: &RangeRequest) -> bool {
    let order = Order::of(request);
    order.needs_all || (order.direction.is_some() && is_filtered(request))
}

pub(super) fn is_filtered(request: &RangeRequest) -> bool {
    request.min_mod_revision != 0
        || request.max_mod_revision != 0
        || request.min_create_revision != 0
        || request.max_create_revision != 0
}

fn passes(request: &RangeRequest, version: &Version) -> bool {
    let within = |value, min, max| (min == 0 || value >= min) && (max == 0 || value <= max);
    within(version.at.main, request.min_mod_revision, request.max_mod_revision)
        && within(version.create_revision, request.min_create_revision, request.max_create_revision)
}

fn compare(target: SortTarget, a: &Version, b: &Version) -> Ordering {
    match target {
        SortTarget::Key => a.key.cmp(&b.key),
        SortTarget::Version => a.version.cmp(&b.version),
        SortTarget::Create => a.create_revision.cmp(&b.create_revision),
        SortTarget::Mod => a.at.main.cmp(&b.at.main),
        SortTarget::Value => a.value.resident().cmp(&b.value.resident()),
    }
}

#[cfg(test)]
mod tests {
    use kvorum_proto::etcdserverpb::{InternalRaftRequest, PutRequest};
    use raft_proto::eraftpb::ConfState;

    use super::*;
    use crate::store::Store;

    #[test]
    fn a_page_is_a_range_that_is_not_counted() {
        let mut store = Store::bootstrap(Vec::new(), ConfState::default());
        for index in 1..=20 {
            let put = PutRequest { key: format!("k{index:02}").into(), ..PutRequest::default() };
            let entry = InternalRaftRequest { put: Some(put), ..InternalRaftRequest::default() };
            store.apply(index, 1, &entry).reply.expect("a put is done");
        }
        let root = store.root();
        let all =
            RangeRequest { key: "k".into(), range_end: "l".into(), ..RangeRequest::default() };
        for (revision, keys) in [(0, 20), (11, 10)] {
            for limit in [0, 1, keys - 1, keys, 50] {
                let request = RangeRequest { revision, limit, ..all.clone() };
                let range = root.range(&request).expect("it can be read");
                assert_eq!(range.count, keys);
                let page = root.page(&request).expect("it can be read");
                assert_eq!(page, RangeReply { count: 0, ..range });
            }
        }
    }
}
