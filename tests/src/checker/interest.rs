//! What a watch wants to be told.

use bytes::Bytes;
use kvorum_proto::etcdserverpb::WatchCreateRequest;
use kvorum_proto::etcdserverpb::watch_create_request::FilterType;

use super::span::Span;
use super::state::Change;

#[derive(Clone, Copy, Debug)]
pub(super) struct Interest<'a> {
    span: Span<'a>,
    puts: bool,
    deletes: bool,
}

impl<'a> Interest<'a> {
    pub(super) fn new(request: &'a WatchCreateRequest) -> Interest<'a> {
        let without = |filter: FilterType| request.filters.contains(&filter.into());
        Interest {
            span: Span::new(&request.key, &request.range_end),
            puts: !without(FilterType::Noput),
            deletes: !without(FilterType::Nodelete),
        }
    }

    pub(super) fn wants(&self, change: &Change) -> bool {
        self.covers(&change.key, change.kv.is_some())
    }

    pub(super) fn covers(&self, key: &Bytes, put: bool) -> bool {
        let kind = if put { self.puts } else { self.deletes };
        kind && self.span.holds(key)
    }
}
