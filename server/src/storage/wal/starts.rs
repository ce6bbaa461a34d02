//! With which segment the log could begin, so that those before it can go.
//!
//! A segment's header says where the log ended when the segment was begun; a log that begins with
//! it has that as its base. This holds only until a later group replaces entries at or below that
//! index: then such a log would hold entries whose predecessors it knows nothing of. A base record
//! makes everything before it void, so the segment that holds the newest one can always be first.

use super::format::SegmentHeader;

#[derive(Clone, Debug)]
struct Start {
    number: u32,
    /// Index and term of the log's last entry when the segment was begun.
    previous: (u64, u64),
    /// No entry at or below `previous` was replaced since.
    sound: bool,
}

/// The segments of the log, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Starts {
    list: Vec<Start>,
    /// The segment that holds the newest base record.
    rebased: Option<u32>,
}

/// Segments that hold nothing needed, oldest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Void {
    pub(super) numbers: Vec<u32>,
    /// What the log begins after without them, if not after what it did before.
    pub(super) base: Option<(u64, u64)>,
}

impl Starts {
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    pub(super) fn begin(&mut self, header: &SegmentHeader) {
        let SegmentHeader { number, previous, .. } = *header;
        self.list.push(Start { number, previous, sound: true });
    }

    /// Entries from `index` on are replaced.
    pub(super) fn replace(&mut self, index: u64) {
        for start in &mut self.list {
            start.sound &= start.previous.0 < index;
        }
    }

    /// The newest segment holds a base record.
    pub(super) fn rebase(&mut self) {
        self.rebased = self.list.last().map(|start| start.number);
    }

    /// What is not needed by a log that begins after `upto` at the latest.
    pub(super) fn void(&self, upto: u64) -> Void {
        for (at, start) in self.list.iter().enumerate().rev() {
            let rebased = self.rebased == Some(start.number);
            if rebased || start.sound && start.previous.0 <= upto {
                let numbers = self.list[..at].iter().map(|start| start.number).collect();
                return Void { numbers, base: (!rebased).then_some(start.previous) };
            }
        }
        Void::default()
    }

    /// Forgets segments that were removed; answers the first that is left.
    pub(super) fn release(&mut self, void: &Void) -> Option<u32> {
        self.list.drain(..void.numbers.len());
        self.list.first().map(|start| start.number)
    }
}
