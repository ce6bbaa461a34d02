//! The store's part: committed entries become the next state.

use std::sync::Arc;

use kvorum_core::auth::TokenNews;
use kvorum_core::divergence::{MARK_EVERY, Mark};
use kvorum_core::error::StoreError;
use kvorum_core::lessor::LeaseNews;
use kvorum_core::store::{Position, Reply, Root, Store};
use kvorum_proto::etcdserverpb::InternalRaftRequest;
use prost::Message;
use raft_proto::eraftpb::{Entry, EntryType};
use thiserror::Error;

use super::Delta;

/// What became of a write.
#[derive(Debug)]
pub struct Outcome {
    pub reply: Reply,
    /// The store's revision after it.
    pub revision: i64,
    /// Where it stands in the log.
    pub index: u64,
}

/// Why an entry cannot be applied: the member must stop before it.
#[derive(Debug, Error)]
pub enum ApplyError {
    #[error("entry {index} changes the members, which this version cannot: upgrade this member")]
    Members { index: u64 },
    #[error("entry {index} of the log cannot be read: {source}")]
    Decode { index: u64, source: prost::DecodeError },
    #[error("cannot apply entry {index}: {source}")]
    Store { index: u64, source: StoreError },
}

/// What came of a batch of entries. Whoever publishes it lets the state be seen first, then
/// answers those who waited for it, then hands on what it changed.
pub struct Batch {
    /// The state after the last entry.
    pub root: Arc<Root>,
    /// The states right before the compactions among the entries, for watches that have not
    /// seen them to their end.
    pub before_compactions: Vec<Arc<Root>>,
    /// By request id.
    pub answers: Vec<(u64, Result<Outcome, StoreError>)>,
    pub leases: LeaseNews,
    /// What becomes of tokens, in order.
    pub tokens: Vec<TokenNews>,
    /// What the state was at the indexes at which all members note it.
    pub marks: Vec<Mark>,
    pub delta: Delta,
}

/// The writer's side of the store.
pub struct ApplyStage {
    store: Store,
}

impl ApplyStage {
    pub fn new(store: Store) -> ApplyStage {
        ApplyStage { store }
    }

    /// Applies entries, in order; there is at least one.
    pub fn apply(&mut self, entries: &[Entry]) -> Result<Batch, ApplyError> {
        let mut answers = Vec::with_capacity(entries.len());
        let mut changes = Vec::with_capacity(entries.len());
        let mut leases = LeaseNews::default();
        let mut tokens = Vec::new();
        let mut before_compactions = Vec::new();
        let mut marks = Vec::new();
        for entry in entries {
            // The state before an entry is the one after the entry before.
            if entry.index % MARK_EVERY == 1 && self.store.root().index() > 0 {
                marks.push(self.mark());
            }
            let Some(request) = decode(entry)? else {
                self.store.skip(entry.index, entry.term);
                continue;
            };
            let before = request.compaction.map(|_| Arc::new(self.store.root()));
            let applied = self.store.apply(entry.index, entry.term, &request);
            let answer = match applied.reply {
                Ok(reply) => {
                    before_compactions.extend(before);
                    leases.note(&request, &reply);
                    Ok(Outcome { reply, revision: applied.revision, index: entry.index })
                }
                Err(error) if error.is_deterministic() => Err(error),
                Err(source) => return Err(ApplyError::Store { index: entry.index, source }),
            };
            answers.push((applied.request_id, answer));
            tokens.extend(applied.tokens);
            changes.extend(applied.changes);
        }
        let root = Arc::new(self.store.root());
        let delta = Delta::new(changes, &self.store);
        Ok(Batch { root, before_compactions, answers, leases, tokens, marks, delta })
    }

    fn mark(&self) -> Mark {
        let root = self.store.root();
        Mark { index: root.index(), hash: root.state_hash() }
    }

    /// Goes on with another state, further on than this one.
    pub fn replace(&mut self, store: Store) {
        self.store = store;
    }

    /// How far it has come.
    pub fn position(&self) -> Position {
        self.store.position()
    }

    /// The backend has everything up to this revision.
    pub fn durable(&mut self, revision: i64) {
        self.store.durable(revision);
    }

    /// One step of physical compaction: what it changed, if anything, and whether there is more
    /// to do now.
    pub fn sweep(&mut self, budget: usize) -> (Option<Delta>, bool) {
        let (changes, more) = self.store.sweep(budget);
        let delta = (!changes.is_empty()).then(|| Delta::new(changes, &self.store));
        (delta, more)
    }

    /// Whether history that compactions gave up is still there.
    pub fn is_swept(&self) -> bool {
        self.store.is_swept()
    }

    /// The state now.
    pub fn root(&self) -> Root {
        self.store.root()
    }
}

/// The request in an entry; none in those that raft makes itself.
fn decode(entry: &Entry) -> Result<Option<InternalRaftRequest>, ApplyError> {
    let index = entry.index;
    if entry.get_entry_type() != EntryType::EntryNormal {
        return Err(ApplyError::Members { index });
    }
    if entry.data.is_empty() {
        return Ok(None);
    }
    InternalRaftRequest::decode(entry.data.clone())
        .map(Some)
        .map_err(|source| ApplyError::Decode { index, source })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use kvorum_proto::etcdserverpb::{CompactionRequest, PutRequest};
    use raft_proto::eraftpb::ConfState;

    use super::*;

    #[test]
    fn the_state_before_a_compaction_is_kept_unless_it_is_refused() {
        let mut stage = ApplyStage::new(Store::bootstrap(Vec::new(), ConfState::default()));
        let put = PutRequest { key: "k".into(), ..PutRequest::default() };
        let compact = |revision| InternalRaftRequest {
            compaction: Some(CompactionRequest { revision, physical: false }),
            ..InternalRaftRequest::default()
        };
        let requests = [
            InternalRaftRequest { put: Some(put), ..InternalRaftRequest::default() },
            compact(99),
            compact(2),
            compact(2),
        ];
        let entries = (1..).zip(requests).map(|(index, request)| Entry {
            index,
            term: 1,
            data: request.encode_to_vec().into(),
            ..Entry::default()
        });
        let batch = stage.apply(&entries.collect::<Vec<_>>()).unwrap();
        let refused = batch.answers.iter().filter(|(_, answer)| answer.is_err()).count();
        assert_eq!((refused, batch.before_compactions.len()), (2, 1));
        assert_eq!(batch.before_compactions[0].index(), 2);
    }
}
