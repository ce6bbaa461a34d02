//! Where the log is cut.
//!
//! It keeps the entries after what the backend has stored, since a restart needs them, and
//! some before, since a peer a little behind catches up faster by entries than by a snapshot. It
//! is cut in pieces of `snapshot_count`, as etcd does, and never past what is applied and durable
//! here: raft looks at everything behind that at any time.

use super::{Effect, Effects, Node};
use crate::planted::{self, Bug};

/// A peer that is being sent a snapshot must find the log behind it, or it would need the next
/// one at once, for ever. But a transfer may be slow or stuck and the disk is not endless, so
/// the log grows for transfers to at most so many times the usual: a million entries by default,
/// which is more than most snapshots, so another snapshot then costs no more than they do. Entries
/// may be large: `Limits::transfer_bytes` bounds the same in bytes.
const KEPT_FOR_TRANSFERS: u64 = 100;

impl Node {
    /// The backend holds everything up to `index`.
    pub(super) fn stored(&mut self, index: u64, out: &mut Effects) {
        self.stored = self.stored.max(index);
        self.compact(out);
    }

    /// Cuts the log if there is enough to cut.
    pub(super) fn compact(&mut self, out: &mut Effects) {
        let stored = if planted::is(Bug::CutPastStored) { u64::MAX } else { self.stored };
        let stored = stored.min(self.ready.applied()).min(self.raw.raft.raft_log.persisted);
        let count = self.config.snapshot_count.max(1);
        let needless = stored.saturating_sub(self.config.catch_up_entries);
        let base = self.raw.store().base();
        if needless.saturating_sub(base) < count {
            return;
        }
        let most = count.saturating_mul(KEPT_FOR_TRANSFERS);
        let kept = self.kept_for_transfers().unwrap_or(u64::MAX);
        let index = needless.min(kept.max(needless.saturating_sub(most)));
        if index.saturating_sub(base) < count {
            return;
        }
        self.raw.mut_store().compact(index);
        out.push(Effect::Compact { index });
        self.drop_cut_states(out);
    }
}
