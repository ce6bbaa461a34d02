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
        let order = Order::of(request);
        let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0);
        let fetched = match limit {
            Some(limit) if !is_filtered(request) && !order.needs_all => limit.saturating_add(1),
            _ => usize::MAX,
        };
        let (mut versions, count) = self.select(&range, at, fetched);
        if is_filtered(request) {
            versions.retain(|version| passes(request, version));
        }
        let stored = versions.iter().any(|version| version.value == Value::Stored);
        let by_value = order.target == SortTarget::Value && order.direction.is_some();
        let mut reply = RangeReply {
            versions,
            keys_only: request.keys_only,
            count,
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
        Ok(reply)
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
        let single = range.as_single().and_then(|key| self.keys.get(key));
        let many = span(range).map(|(from, to)| self.keys.range(from, to));
        let newest = single.into_iter().chain(many.into_iter().flatten());
        newest.filter(|version| !version.is_deletion())
    }

    /// The first `limit` keys of the range at revision `at`, and how many there are in all.
    fn select(&self, range: &KeyRange, at: i64, limit: usize) -> (Vec<Arc<Version>>, i64) {
        if let Some(key) = range.as_single() {
            let version = self.keys.get(key).and_then(|newest| self.valid_at(newest, at));
            return (version.into_iter().cloned().collect(), i64::from(version.is_some()));
        }
        let Some((from, to)) = span(range) else { return (Vec::new(), 0) };
        let newest = self.keys.range(from, to);
        if at == self.revision {
            let live = newest.filter(|version| !version.is_deletion());
            return (live.take(limit).cloned().collect(), self.count(range, at));
        }
        let (mut versions, mut count) = (Vec::new(), 0);
        for version in newest.filter_map(|newest| self.valid_at(newest, at)) {
            count += 1;
            if versions.len() < limit {
                versions.push(version.clone());
            }
        }
        (versions, count)
    }

    /// O(log n) at the current revision.
    fn count(&self, range: &KeyRange, at: i64) -> i64 {
        match span(range) {
            Some((from, to)) if at == self.revision => self.keys.count(from, to) as i64,
            _ if range.is_empty() => 0,
            _ => self.select(range, at, 0).1,
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

fn is_filtered(request: &RangeRequest) -> bool {
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
