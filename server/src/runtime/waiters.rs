//! Who waits for which answer. They wait here, in the shell, never in the heart.

use std::collections::{BTreeMap, HashMap};

use kvorum_core::node::Refusal;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::RequestError;
use crate::limits::{MAX_PENDING_BYTES, MAX_PENDING_REQUESTS};
use crate::stage::Outcome;

type Answer<T> = Result<T, RequestError>;

/// Writes under way, by request id. They stay counted until the node or the store has answered,
/// even if their client is gone, because until then they take memory.
pub(crate) struct Writes(Mutex<WritesState>);

#[derive(Default)]
struct WritesState {
    waiting: HashMap<u64, Waiting>,
    bytes: usize,
    stopped: bool,
}

struct Waiting {
    bytes: usize,
    sender: oneshot::Sender<Answer<Outcome>>,
}

impl Writes {
    pub(super) fn new() -> Writes {
        Writes(Mutex::default())
    }

    /// Waits for the answer to `id`, an entry of `bytes`, unless too much is under way.
    pub(super) fn register(
        &self,
        id: u64,
        bytes: usize,
    ) -> Answer<oneshot::Receiver<Answer<Outcome>>> {
        let mut state = self.0.lock();
        if state.stopped {
            return Err(RequestError::Stopped);
        }
        if state.waiting.len() >= MAX_PENDING_REQUESTS
            || (state.bytes > 0 && state.bytes + bytes > MAX_PENDING_BYTES)
        {
            return Err(RequestError::Refused(Refusal::TooManyRequests));
        }
        let (sender, receiver) = oneshot::channel();
        state.bytes += bytes;
        state.waiting.insert(id, Waiting { bytes, sender });
        Ok(receiver)
    }

    /// How many are under way.
    pub(crate) fn pending(&self) -> usize {
        self.0.lock().waiting.len()
    }

    /// Answers many at once; ids that nobody here waits for are other members' requests.
    pub(super) fn answer(&self, answers: impl Iterator<Item = (u64, Answer<Outcome>)>) {
        let mut found = Vec::new();
        {
            let mut state = self.0.lock();
            for (id, answer) in answers {
                if let Some(waiting) = state.waiting.remove(&id) {
                    state.bytes -= waiting.bytes;
                    found.push((waiting.sender, answer));
                }
            }
        }
        for (sender, answer) in found {
            // The client may have gone.
            let _ = sender.send(answer);
        }
    }

    /// Whoever still waits learns that the member stops; nobody can start to wait.
    pub(super) fn stop(&self) {
        let waiting = {
            let mut state = self.0.lock();
            state.stopped = true;
            std::mem::take(&mut state.waiting)
        };
        for (_, waiting) in waiting {
            let _ = waiting.sender.send(Err(RequestError::Stopped));
        }
    }
}

/// Linearizable reads under way: first they wait for the index they must see, then for that
/// index to be applied.
pub(crate) struct Reads(Mutex<ReadsState>);

#[derive(Default)]
struct ReadsState {
    asking: HashMap<u64, oneshot::Sender<Answer<()>>>,
    waiting: BTreeMap<u64, Vec<oneshot::Sender<Answer<()>>>>,
    waiting_count: usize,
    applied: u64,
    stopped: bool,
}

impl Reads {
    pub(super) fn new(applied: u64) -> Reads {
        Reads(Mutex::new(ReadsState { applied, ..ReadsState::default() }))
    }

    pub(super) fn register(&self, id: u64) -> Answer<oneshot::Receiver<Answer<()>>> {
        let mut state = self.0.lock();
        if state.stopped {
            return Err(RequestError::Stopped);
        }
        if state.asking.len() + state.waiting_count >= MAX_PENDING_REQUESTS {
            return Err(RequestError::Refused(Refusal::TooManyRequests));
        }
        let (sender, receiver) = oneshot::channel();
        state.asking.insert(id, sender);
        Ok(receiver)
    }

    /// These reads may be served once `index` is applied.
    pub(super) fn ready(&self, ids: &[u64], index: u64) {
        let mut state = self.0.lock();
        for id in ids {
            let Some(sender) = state.asking.remove(id) else { continue };
            if state.applied >= index {
                let _ = sender.send(Ok(()));
            } else {
                state.waiting.entry(index).or_default().push(sender);
                state.waiting_count += 1;
            }
        }
    }

    pub(super) fn refuse(&self, id: u64, refusal: Refusal) {
        if let Some(sender) = self.0.lock().asking.remove(&id) {
            let _ = sender.send(Err(RequestError::Refused(refusal)));
        }
    }

    /// Everything up to `index` has been applied and can be read.
    pub(super) fn advance(&self, index: u64) {
        let mut state = self.0.lock();
        state.applied = index;
        while let Some(entry) = state.waiting.first_entry() {
            if *entry.key() > index {
                break;
            }
            let senders = entry.remove();
            state.waiting_count -= senders.len();
            for sender in senders {
                let _ = sender.send(Ok(()));
            }
        }
    }

    pub(super) fn stop(&self) {
        let mut state = self.0.lock();
        state.stopped = true;
        state.waiting_count = 0;
        let waiting = std::mem::take(&mut state.waiting).into_values().flatten();
        let asking = std::mem::take(&mut state.asking).into_values();
        for sender in waiting.chain(asking) {
            let _ = sender.send(Err(RequestError::Stopped));
        }
    }
}

#[cfg(test)]
mod tests {
    use kvorum_core::store::Reply;

    use super::*;

    #[test]
    fn a_read_waits_for_its_index_and_then_for_the_store() {
        let reads = Reads::new(5);
        let mut early = reads.register(1).unwrap();
        let mut late = reads.register(2).unwrap();
        reads.ready(&[1], 5);
        reads.ready(&[2], 7);
        assert!(early.try_recv().unwrap().is_ok());
        reads.advance(6);
        assert!(late.try_recv().is_err());
        reads.advance(7);
        assert!(late.try_recv().unwrap().is_ok());
    }

    #[test]
    fn too_many_bytes_under_way_are_refused_until_some_are_answered() {
        let writes = Writes::new();
        let first = writes.register(1, MAX_PENDING_BYTES).unwrap();
        assert!(matches!(
            writes.register(2, 1),
            Err(RequestError::Refused(Refusal::TooManyRequests))
        ));
        drop(first);
        let outcome = Outcome { reply: Reply::Done, revision: 1, index: 1 };
        writes.answer([(1, Ok(outcome))].into_iter());
        assert!(writes.register(2, 1).is_ok());
    }

    #[test]
    fn a_stopping_member_tells_everyone_who_waits() {
        let (writes, reads) = (Writes::new(), Reads::new(0));
        let mut write = writes.register(1, 1).unwrap();
        let mut asking = reads.register(1).unwrap();
        let mut waiting = reads.register(2).unwrap();
        reads.ready(&[2], 9);
        writes.stop();
        reads.stop();
        assert!(matches!(write.try_recv().unwrap(), Err(RequestError::Stopped)));
        assert!(matches!(asking.try_recv().unwrap(), Err(RequestError::Stopped)));
        assert!(matches!(waiting.try_recv().unwrap(), Err(RequestError::Stopped)));
        assert!(matches!(writes.register(2, 1), Err(RequestError::Stopped)));
        assert!(matches!(reads.register(3), Err(RequestError::Stopped)));
    }
}
