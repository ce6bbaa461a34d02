//! Who may still read history that compaction gave up.
//!
//! A root taken before a compaction goes on answering for the revisions it knew. Its index is its
//! own, but values given up from memory are read back from the backend, so what a sweep removes
//! there must have no reader left. Time is divided into eras: each compaction ends one. Every root
//! holds the pin of its era, and a sweep goes only as far as the compactions whose eras before
//! have no pin left. A holder that never lets go so delays the sweep, not the member.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

/// Keeps everything readable that was readable when it was taken.
#[derive(Clone, Debug, Default)]
pub struct Pin {
    era: Arc<()>,
    /// The same in all eras of a store.
    store: Arc<()>,
}

impl Pin {
    /// Whether nobody else holds a pin of this store: none of its roots is left, nor is the store.
    pub fn is_last_of_store(&self) -> bool {
        Arc::strong_count(&self.store) == 1
    }
}

/// A pin is not part of what an answer says.
impl PartialEq for Pin {
    fn eq(&self, _: &Pin) -> bool {
        true
    }
}

/// The eras that may have readers.
pub(super) struct Eras {
    /// What may be swept, nobody being left who could read it.
    swept_upto: i64,
    /// Ended eras, oldest first, each with the compaction that ended it. A held root lets this
    /// grow by 16 bytes for every compaction; roots have an age limit, so it stays short.
    ended: VecDeque<(Weak<()>, i64)>,
}

impl Eras {
    pub(super) fn new(compacted: i64) -> Self {
        Eras { swept_upto: compacted, ended: VecDeque::new() }
    }

    /// A compaction at `revision` ends the era of `pin`.
    pub(super) fn end(&mut self, pin: &mut Pin, revision: i64) {
        let ended = std::mem::take(&mut pin.era);
        self.ended.push_back((Arc::downgrade(&ended), revision));
    }

    /// The newest compaction that may be swept.
    pub(super) fn may_sweep(&mut self) -> i64 {
        while let Some((era, compaction)) = self.ended.front() {
            if era.strong_count() > 0 {
                break;
            }
            self.swept_upto = *compaction;
            self.ended.pop_front();
        }
        self.swept_upto
    }
}
