//! Opening a log that exists: everything in it is read once and judged.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use kvorum_core::node::TermRun;
use raft_proto::eraftpb::{Entry, HardState};

use super::LogError;
use super::format::{
    Content, Position, SEGMENT_HEADER, SegmentHeader, decode_group, encode_frame, frame_start,
};
use super::index::LogIndex;
use super::scan::{Flaw, Frame, Window, look_behind};
use super::segment::{Segment, list_segments, segment_path};
use crate::identity::Identity;
use crate::storage::disk::Disk;

/// What an opened log holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    pub hard_state: HardState,
    /// Index and term of the entry before the first one held.
    pub base: (u64, u64),
    /// Index and term of the last entry; the base's if there is none.
    pub last: (u64, u64),
    /// The terms of all entries held.
    pub runs: Vec<TermRun>,
    /// The entries after the index that the caller asked for.
    pub tail: Vec<Entry>,
    /// What a crash left unfinished and was cut off, in words.
    pub torn: Option<String>,
}

/// Everything the log's writer goes on from.
pub(super) struct Opened {
    pub(super) recovered: Recovered,
    pub(super) index: LogIndex,
    pub(super) numbers: Vec<u32>,
    pub(super) active: Segment,
    pub(super) end: usize,
    pub(super) chain: u32,
}

/// Reads the log in `dir` of the member `identity`; entries after `keep_after` are kept.
pub(super) fn open(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    identity: Identity,
    keep_after: u64,
) -> Result<Opened, LogError> {
    let numbers = list_segments(&**disk, dir)?;
    // What was read may not be durable yet: the process before may have died before its sync.
    // Raft will act on it as if it were; and a cut must not be durable before its successor is.
    disk.sync_dir(dir).map_err(LogError::io("sync", dir))?;
    let first = Segment::open(&**disk, dir, numbers[0], identity)?;
    let mut replay = Replay::new(&first.header, keep_after);
    let mut current = first;
    for next in &numbers[1..] {
        let next = Segment::open(&**disk, dir, *next, identity)?;
        replay.segment(&current, Some(&next.header))?;
        if !replay.saw_cut {
            finish_cut(&current, &next, &replay)?;
        }
        // Nothing may be durable in the successor before the cut is.
        current.file.sync().map_err(LogError::io("sync", &current.path))?;
        current = next;
    }
    replay.segment(&current, None)?;
    if replay.saw_cut {
        return Err(LogError::Missing { path: segment_path(dir, current.header.number + 1) });
    }
    let torn = clear_rest(&current, &replay)?;
    current.file.sync().map_err(LogError::io("sync", &current.path))?;
    let recovered = Recovered {
        hard_state: replay.hard_state,
        base: replay.index.base(),
        last: replay.index.last(),
        runs: replay.index.runs().to_vec(),
        tail: replay.tail,
        torn,
    };
    let Replay { index, end, chain, .. } = replay;
    Ok(Opened { recovered, index, numbers, active: current, end, chain })
}

/// The state of the log as far as it has been read.
struct Replay {
    index: LogIndex,
    hard_state: HardState,
    keep_after: u64,
    tail: Vec<Entry>,
    chain: u32,
    end: usize,
    saw_cut: bool,
}

impl Replay {
    fn new(first: &SegmentHeader, keep_after: u64) -> Replay {
        Replay {
            index: LogIndex::new(first.previous),
            hard_state: first.hard_state.clone(),
            keep_after,
            tail: Vec::new(),
            chain: 0,
            end: 0,
            saw_cut: false,
        }
    }

    /// Reads a segment. All of it must be there if another, whose header is `next`, follows.
    fn segment(&mut self, segment: &Segment, next: Option<&SegmentHeader>) -> Result<(), LogError> {
        if segment.header.previous != self.index.last() {
            let what = "the segment does not continue the one before".to_owned();
            return Err(self.damaged(segment, 0, what));
        }
        let mut window = Window::new(segment);
        self.chain = segment.header.first_chain();
        self.end = SEGMENT_HEADER;
        self.saw_cut = false;
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
        let Some((entries, hard_state)) = decode_group(&frame.header, &payload) else {
            let what = "a group does not hold what its header says".to_owned();
            return Err(self.damaged(segment, at.offset(), what));
        };
        for entry in entries {
            if !self.index.accepts(entry.index, entry.term) {
                let what = format!("entry {} of term {} cannot come here", entry.index, entry.term);
                return Err(self.damaged(segment, at.offset(), what));
            }
            self.index.push(entry.index, entry.term, at);
            let kept = self.tail.partition_point(|kept| kept.index < entry.index);
            self.tail.truncate(kept);
            if entry.index > self.keep_after {
                self.tail.push(entry);
            }
        }
        self.index.grow(frame.end - at.offset());
        if let Some(hard_state) = hard_state {
            self.hard_state = hard_state;
        }
        self.chain = frame.crc;
        self.end = frame.end;
        Ok(())
    }

    fn damaged(&self, segment: &Segment, offset: usize, what: String) -> LogError {
        LogError::Damaged {
            path: segment.path.clone(),
            offset: offset as u64,
            index: self.index.last().0,
            what,
        }
    }
}

/// A crash came between the making of a segment and the cut of the one before: cut now, so that
/// the successor would be missed.
fn finish_cut(segment: &Segment, next: &Segment, replay: &Replay) -> Result<(), LogError> {
    let fresh = matches!(
        Window::new(next).frame(SEGMENT_HEADER, None)?,
        Err(Flaw::Blank | Flaw::Unfinished | Flaw::Foreign)
    );
    let start = frame_start(replay.end);
    if !fresh {
        let what = "the end of the segment is overwritten".to_owned();
        return Err(replay.damaged(segment, start, what));
    }
    let at = Position::new(segment.header.number, start);
    let mut bytes = Vec::new();
    encode_frame(&mut bytes, &Content::Cut, at, at, replay.chain);
    let write = segment.file.write_at(&bytes, start as u64);
    write.map_err(LogError::io("write", &segment.path))
}

/// Makes what lies past the last good frame zero, unless it shows that good frames are lost.
fn clear_rest(segment: &Segment, replay: &Replay) -> Result<Option<String>, LogError> {
    let rest = look_behind(segment, replay.end)?;
    if rest.was_durable {
        let what = "a group that had been made durable is gone".to_owned();
        return Err(replay.damaged(segment, frame_start(replay.end), what));
    }
    if rest.end == replay.end {
        return Ok(None);
    }
    let zeros = vec![0; 64 * 1024];
    let mut at = replay.end;
    while at < rest.end {
        let len = zeros.len().min(rest.end - at);
        let write = segment.file.write_at(&zeros[..len], at as u64);
        write.map_err(LogError::io("write", &segment.path))?;
        at += len;
    }
    Ok(Some(format!(
        "{}: an unfinished write after entry {} was cut off: {} bytes from byte {}",
        segment.path.display(),
        replay.index.last().0,
        rest.end - replay.end,
        replay.end
    )))
}
