//! A keyspace for tests: it counts how often it is asked, and fails when it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures::{StreamExt, stream};
use kvorum_proto::etcdserverpb::{RangeRequest, RangeResponse, ResponseHeader};
use kvorum_proto::mvccpb::KeyValue;
use tonic::Code;

use super::keyspace::{Chunks, Keyspace};
use crate::failure::Failure;

#[derive(Clone)]
pub(super) struct TestKeys {
    state: Arc<Mutex<State>>,
    streams: bool,
}

struct State {
    keys: BTreeSet<Bytes>,
    revision: i64,
    asked: usize,
    failures: BTreeMap<usize, Failure>,
    growth: BTreeMap<usize, i64>,
    /// Before this question, all keys are deleted.
    emptied_at: Option<usize>,
}

/// Keys of a streamed chunk.
const CHUNK: usize = 5000;

impl TestKeys {
    pub(super) const REVISION: i64 = 7;
    pub(super) const VALUE_BYTES: usize = 5;

    pub(super) fn new(keys: impl IntoIterator<Item = String>) -> Self {
        let keys = keys.into_iter().map(Bytes::from).collect();
        let state = State {
            keys,
            revision: Self::REVISION,
            asked: 0,
            failures: BTreeMap::new(),
            growth: BTreeMap::new(),
            emptied_at: None,
        };
        Self { state: Arc::new(Mutex::new(state)), streams: false }
    }

    pub(super) fn with_streams(self, streams: bool) -> Self {
        Self { streams, ..self }
    }

    /// How many requests, and how many chunks of streams, were asked for.
    pub(super) fn asked(&self) -> usize {
        self.state().asked
    }

    /// The question of this number, counted from 1, fails.
    pub(super) fn fail_at(&self, number: usize, failure: Failure) {
        self.state().failures.insert(number, failure);
    }

    /// Before the question after this one, the cluster writes so many times.
    pub(super) fn grow_at(&self, number: usize, by: i64) {
        self.state().growth.insert(number, by);
    }

    /// Before the question of this number, all keys are deleted.
    pub(super) fn empty_at(&self, number: usize) {
        self.state().emptied_at = Some(number);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn answer(&mut self, request: &RangeRequest) -> Result<RangeResponse, Failure> {
        self.asked += 1;
        if self.emptied_at == Some(self.asked) {
            self.keys.clear();
        }
        let growth = self.growth.remove(&self.asked).unwrap_or(0);
        let header = ResponseHeader { revision: self.revision, ..ResponseHeader::default() };
        self.revision += growth;
        if let Some(failure) = self.failures.remove(&self.asked) {
            return Err(failure);
        }
        let within = |key: &&Bytes| match &request.range_end[..] {
            [] => **key == request.key,
            [0] => **key >= request.key,
            end => **key >= request.key && key[..] < *end,
        };
        let found: Vec<_> = self.keys.iter().filter(within).cloned().collect();
        let limit = if request.limit == 0 { usize::MAX } else { request.limit as usize };
        let value = if request.keys_only { 0 } else { TestKeys::VALUE_BYTES };
        let value = Bytes::from(vec![b'v'; value]);
        let kv = |key: &Bytes| KeyValue {
            key: key.clone(),
            value: value.clone(),
            ..KeyValue::default()
        };
        Ok(RangeResponse {
            header: Some(header),
            kvs: found.iter().take(limit).map(kv).collect(),
            more: found.len() > limit,
            count: found.len() as i64,
        })
    }
}

impl Keyspace for TestKeys {
    async fn range(&self, request: RangeRequest, _: usize) -> Result<RangeResponse, Failure> {
        self.state().answer(&request)
    }

    async fn stream(&self, request: RangeRequest) -> Result<Chunks, Failure> {
        if !self.streams {
            let message = "unknown method RangeStream for service etcdserverpb.KV".into();
            return Err(Failure::Refused { code: Code::Unimplemented, message });
        }
        let chunks = stream::unfold((self.clone(), Some(request)), |(keys, rest)| async move {
            let mut request = rest?;
            request.limit = CHUNK as i64;
            let answer = keys.state().answer(&request);
            let last = answer.as_ref().ok().and_then(|page| page.kvs.last()).map(|kv| &kv.key);
            let more = answer.as_ref().is_ok_and(|page| page.more);
            let rest = last.filter(|_| more).map(|last| RangeRequest {
                key: kvorum_proto::key_range::successor(last),
                ..request
            });
            Some((answer, (keys, rest)))
        });
        Ok(chunks.boxed())
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.unwrap().block_on(future)
}
