//! The log read from its beginning, frame by frame, and what it amounts to.

use bytes::Bytes;
use raft_proto::eraftpb::{Entry, HardState};

use super::LogError;
use super::format::{Position, SEGMENT_HEADER, SegmentHeader, decode_group, frame_start};
use super::index::LogIndex;
use super::scan::{Flaw, Frame, Rest, Window};
use super::segment::Segment;
use super::vote::Vote;

/// How it is known what the log begins after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Nothing was ever released, or a base record says it.
    Certain,
    /// The header of a segment says it, whose predecessors were released.
    Header,
    /// Not at all: entries were replaced from before that segment on. A crash came before all
    /// segments were removed that were released; the log begins with a later one.
    Unknown,
}

/// The state of the log as far as it has been read.
pub(super) struct Replay {
    pub(super) index: LogIndex,
    pub(super) beginning: Beginning,
    pub(super) hard_state: HardState,
    keep_after: u64,
    pub(super) tail: Vec<Entry>,
    pub(super) chain: u32,
    pub(super) end: usize,
    pub(super) saw_cut: bool,
}

impl Replay {
    pub(super) fn new(first: &SegmentHeader, keep_after: u64) -> Replay {
        Replay {
            index: LogIndex::new(first.previous),
            beginning: if first.number == 1 { Beginning::Certain } else { Beginning::Header },
            hard_state: first.hard_state.clone(),
            keep_after,
            tail: Vec::new(),
            chain: 0,
            end: 0,
            saw_cut: false,
        }
    }

    /// Reads a segment. All of it must be there if another, whose header is `next`, follows.
    pub(super) fn segment(
        &mut self,
        segment: &Segment,
        next: Option<&SegmentHeader>,
    ) -> Result<(), LogError> {
        self.begin(segment)?;
        self.frames(segment, next)
    }

    /// Goes on to a segment; if it does not follow, what was read before stays as it was.
    pub(super) fn begin(&mut self, segment: &Segment) -> Result<(), LogError> {
        if self.beginning == Beginning::Unknown {
            self.index.restart(segment.header.previous);
            self.beginning = Beginning::Header;
        }
        if segment.header.previous != self.index.last() {
            let what = "the segment does not continue the one before".to_owned();
            return Err(self.damaged(segment, 0, what));
        }
        self.index.begin(&segment.header);
        self.hard_state = segment.header.hard_state.clone();
        self.chain = segment.header.first_chain();
        self.end = SEGMENT_HEADER;
        self.saw_cut = false;
        Ok(())
    }

    pub(super) fn frames(
        &mut self,
        segment: &Segment,
        next: Option<&SegmentHeader>,
    ) -> Result<(), LogError> {
        let mut window = Window::new(segment);
        let flaw = loop {
            match window.frame(self.end, Some(self.chain))? {
                Ok(frame) if frame.header.is_cut() => {
                    self.saw_cut = true;
                    break None;
                }
                Ok(frame) => self.frame(segment, &frame)?,
                Err(flaw) => break Some(flaw),
            }
        };
        if let Some(next) = next {
            // The successor proves that every frame was seen, whatever became of the cut.
            let end = Position::new(segment.header.number, self.end);
            if next.continues == end && next.chain == self.chain {
                return Ok(());
            }
            let what = match flaw {
                Some(Flaw::Damaged(what)) => what,
                _ => "groups are missing before the next segment".to_owned(),
            };
            return Err(self.damaged(segment, self.end, what));
        }
        match flaw {
            Some(Flaw::Damaged(what)) => Err(self.damaged(segment, self.end, what)),
            _ => Ok(()),
        }
    }

    fn frame(&mut self, segment: &Segment, frame: &Frame<'_>) -> Result<(), LogError> {
        let payload = Bytes::copy_from_slice(frame.payload);
        let at = frame.header.position;
        let Some(group) = decode_group(&frame.header, &payload) else {
            let what = "a group does not hold what its header says".to_owned();
            return Err(self.damaged(segment, at.offset(), what));
        };
        if let Some(hard_state) = group.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(base) = group.base {
            if self.hard_state.commit < base.0 {
                let what = format!("the log begins anew after entry {}, not committed", base.0);
                return Err(self.damaged(segment, at.offset(), what));
            }
            self.index.rebase(base);
            self.tail.clear();
            self.beginning = Beginning::Certain;
        }
        for entry in group.entries {
            if !self.entry(at, entry) {
                let what = "entries of a group do not continue those before".to_owned();
                return Err(self.damaged(segment, at.offset(), what));
            }
        }
        self.index.grow(frame.end - at.offset());
        self.chain = frame.crc;
        self.end = frame.end;
        Ok(())
    }

    /// Takes an entry of the frame at `at`, unless it cannot come here.
    fn entry(&mut self, at: Position, entry: Entry) -> bool {
        if self.beginning == Beginning::Header && entry.index <= self.index.base().0 {
            self.index.replace_below(entry.index);
            self.tail.clear();
            self.beginning = Beginning::Unknown;
        }
        if self.beginning == Beginning::Unknown {
            return true;
        }
        if !self.index.accepts(entry.index, entry.term) {
            return false;
        }
        self.index.push(entry.index, entry.term, at);
        let kept = self.tail.partition_point(|kept| kept.index < entry.index);
        self.tail.truncate(kept);
        if entry.index > self.keep_after {
            self.tail.push(entry);
        }
        true
    }

    pub(super) fn check_beginning(&self, segment: &Segment) -> Result<(), LogError> {
        if self.beginning != Beginning::Unknown {
            return Ok(());
        }
        let what = "it replaces entries that older segments hold, and those are missing";
        Err(self.damaged(segment, 0, what.to_owned()))
    }

    /// Whether a segment without a cut may get one: its successor holds nothing yet.
    pub(super) fn check_fresh(&self, segment: &Segment, next: &Segment) -> Result<(), LogError> {
        let first = Window::new(next).frame(SEGMENT_HEADER, None)?.err();
        if let Some(Flaw::Blank | Flaw::Unfinished) = first {
            return Ok(());
        }
        let what = "the end of the segment is overwritten".to_owned();
        Err(self.damaged(segment, frame_start(self.end), what))
    }

    /// Whether what lies past the last good frame of the log may go.
    pub(super) fn check_rest(&self, segment: &Segment, rest: &Rest) -> Result<(), LogError> {
        if !rest.was_durable {
            return Ok(());
        }
        let what = "a group that had been made durable is gone".to_owned();
        Err(self.damaged(segment, frame_start(self.end), what))
    }

    /// Whether the newest vote that this member gave is in the log.
    pub(super) fn check_vote(&self, segment: &Segment, vote: Option<Vote>) -> Result<(), LogError> {
        if vote <= Some(Vote::of(&self.hard_state)) {
            return Ok(());
        }
        let what = "the newest vote had been made durable and is gone".to_owned();
        Err(self.damaged(segment, frame_start(self.end), what))
    }

    pub(super) fn damaged(&self, segment: &Segment, offset: usize, what: String) -> LogError {
        LogError::Damaged {
            path: segment.path.clone(),
            offset: offset as u64,
            index: self.index.last().0,
            what,
        }
    }
}
