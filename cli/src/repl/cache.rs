//! Live keys for completion, kept by a task of its own: a key press looks here and never waits
//! for the network.
//!
//! The editor says what has been typed; the task fetches what can follow it, one level of the key
//! tree, and remembers the answer. What is not known yet is simply not offered.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kvorum_client::{Connection, explore};
use tokio::sync::watch;

/// Answers remembered: more places than one visits between two looks at the cluster.
const ANSWERS_MAX: usize = 256;
/// Continuations asked for at once: more than a screenful, cheap for every server.
const CHILDREN_MAX: usize = 100;
/// What was asked for within this time is not asked for again.
const FRESH: Duration = Duration::from_secs(2);

/// What separates the levels of the key tree.
pub(super) const SEPARATOR: u8 = b'/';

/// The continuations of one typed text.
struct Answer {
    typed: Vec<u8>,
    /// Keys, and branches with their separator, in order.
    children: Vec<Vec<u8>>,
    at: Instant,
}

/// Known continuations, and the text wanted next.
#[derive(Clone)]
pub(super) struct KeyCache {
    /// Newest last.
    answers: Arc<Mutex<VecDeque<Answer>>>,
    wanted: watch::Sender<Vec<u8>>,
}

impl KeyCache {
    /// A cache filled by a task on the current runtime; the task ends with the last handle.
    pub(super) fn start(connection: Connection) -> Self {
        let (wanted, requests) = watch::channel(Vec::new());
        let answers = Arc::default();
        tokio::spawn(refresh(connection, requests, Arc::clone(&answers)));
        Self { answers, wanted }
    }

    /// What is known to follow `typed`; asks for it in the background.
    pub(super) fn continuations(&self, typed: &[u8]) -> Vec<Vec<u8>> {
        self.wanted.send_replace(typed.to_vec());
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        known(&answers, typed)
    }
}

/// The answer to the longest part of `typed` on the same level, as far as it fits.
fn known(answers: &VecDeque<Answer>, typed: &[u8]) -> Vec<Vec<u8>> {
    let same_level = |answer: &&Answer| {
        typed.strip_prefix(answer.typed.as_slice()).is_some_and(|rest| !rest.contains(&SEPARATOR))
    };
    let best = answers.iter().filter(same_level).max_by_key(|answer| answer.typed.len());
    let children = best.map(|answer| answer.children.as_slice()).unwrap_or_default();
    children.iter().filter(|child| child.starts_with(typed)).cloned().collect()
}

/// Fetches what follows the text that was asked for last.
async fn refresh(
    connection: Connection,
    mut requests: watch::Receiver<Vec<u8>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
) {
    while requests.changed().await.is_ok() {
        let typed = requests.borrow_and_update().clone();
        let fresh = |answer: &Answer| answer.typed == typed && answer.at.elapsed() < FRESH;
        if answers.lock().unwrap_or_else(PoisonError::into_inner).iter().any(fresh) {
            continue;
        }
        // A failure leaves what is known; the next key press asks again.
        let found = explore::complete(&connection, &typed, SEPARATOR, CHILDREN_MAX).await;
        if let Ok(children) = found {
            let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.retain(|answer| answer.typed != typed);
            if answers.len() == ANSWERS_MAX {
                answers.pop_front();
            }
            answers.push_back(Answer { typed, children, at: Instant::now() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, known};
    use std::time::Instant;

    fn answer(typed: &str, children: &[&str]) -> Answer {
        let children = children.iter().map(|child| child.as_bytes().to_vec()).collect();
        Answer { typed: typed.into(), children, at: Instant::now() }
    }

    #[test]
    fn an_answer_serves_what_is_typed_after_it_on_the_same_level() {
        let answers = [answer("/a", &["/app/", "/apple"]), answer("/app/", &["/app/1"])].into();
        assert_eq!(known(&answers, b"/app"), [b"/app/".to_vec(), b"/apple".to_vec()]);
        assert_eq!(known(&answers, b"/app/"), [b"/app/1".to_vec()]);
        assert_eq!(known(&answers, b"/app/2"), [] as [Vec<u8>; 0]);
        assert_eq!(known(&answers, b"/apple/x"), [] as [Vec<u8>; 0], "another level");
    }
}
