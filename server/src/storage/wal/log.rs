//! The writer, and reading back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kvorum_core::node::{Group, TermRun};
use raft_proto::eraftpb::{Entry, HardState};

use super::format::{
    Content, FRAME_HEADER, FRAME_TRAILER, Position, SECTOR, SEGMENT_HEADER, SegmentHeader,
    encode_frame, frame_start,
};
use super::index::LogIndex;
use super::read::Walk;
use super::recover::{self, Opened};
use super::segment::{Segment, list_segments};
use super::{LogError, Recovered};
use crate::identity::Identity;
use crate::storage::disk::Disk;

/// Appended bytes that are written before the next sync: beyond this, more memory would not
/// make the write cheaper.
const BUFFER_BYTES: usize = 1024 * 1024;
/// Zeros are written this far ahead of the frames, so that most syncs change no metadata of the
/// file system: space that is only reserved must be converted when it is first written. On ext4
/// this takes a third off a sync, for one write more per mebibyte.
const ZEROS_AHEAD: usize = 1024 * 1024;
static ZEROS: [u8; ZEROS_AHEAD] = [0; ZEROS_AHEAD];
/// Space that a segment keeps for its cut, alignment included.
const CUT_RESERVE: usize = SECTOR;
/// The largest group; raft's own limits are far below. A position has 32 bits for the offset.
const GROUP_BYTES_MAX: usize = 1 << 30;

/// What of the log can be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes of a segment; a group that needs more gets a larger one.
    pub segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { segment_bytes: 64 * 1024 * 1024 }
    }
}

/// The proof that a group, and all before it, survive a crash. Only the log makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Persisted {
    number: u64,
}

impl Persisted {
    /// The number of the newest durable group.
    pub fn number(self) -> u64 {
        self.number
    }
}

/// The write-ahead log of one member, open for writing.
#[derive(Debug)]
pub struct Log {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: Options,
    /// The segments, the active one last.
    numbers: Vec<u32>,
    active: Segment,
    /// Frames not yet written, and the byte of the active segment at which they begin.
    buffer: Vec<u8>,
    buffer_at: usize,
    /// The active segment is written, with frames or zeros, up to here.
    written: usize,
    chain: u32,
    durable: Position,
    /// A group was appended after the last mark.
    unmarked: bool,
    /// The newest group appended.
    number: u64,
    index: LogIndex,
    hard_state: HardState,
    poison: Option<String>,
}

impl Log {
    /// Makes the log of a new member in the directory `dir`, which exists and is empty. Its first
    /// entry will follow `base`, an index and its term.
    pub fn create(
        disk: &dyn Disk,
        dir: &Path,
        identity: Identity,
        base: (u64, u64),
        options: Options,
    ) -> Result<(), LogError> {
        let header = SegmentHeader {
            identity,
            number: 1,
            size: segment_size(options, 0),
            previous: base,
            hard_state: HardState { term: base.1, vote: 0, commit: base.0 },
            continues: Position::default(),
            chain: 0,
        };
        Segment::create(disk, dir, header).map(drop)
    }

    /// Whose log is in `dir`, as its oldest segment says. What a crash left unnamed is removed.
    pub fn identity(disk: &dyn Disk, dir: &Path) -> Result<Identity, LogError> {
        let numbers = list_segments(disk, dir)?;
        Ok(Segment::read_header(disk, dir, numbers[0])?.header.identity)
    }

    /// Opens the log in `dir`, which must be that of `identity`. Entries after `keep_after` are
    /// handed out; the others are only counted, so that opening needs little memory.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: Identity,
        keep_after: u64,
        options: Options,
    ) -> Result<(Log, Recovered), LogError> {
        let Opened { recovered, index, numbers, active, end, chain } =
            recover::open(&disk, dir, identity, keep_after)?;
        let log = Log {
            disk,
            dir: dir.to_owned(),
            options,
            numbers,
            durable: Position::new(active.header.number, end),
            active,
            buffer: Vec::with_capacity(BUFFER_BYTES / 4),
            buffer_at: end,
            written: end,
            chain,
            unmarked: false,
            number: 0,
            index,
            hard_state: recovered.hard_state.clone(),
            poison: None,
        };
        Ok((log, recovered))
    }

    /// Adds a group behind those before it; [`Log::sync`] makes it durable. Its entries replace
    /// those of the same and of higher indexes.
    pub fn append(&mut self, group: &Group) -> Result<(), LogError> {
        self.guarded(|log| log.append_group(group))
    }

    /// Makes everything appended durable.
    pub fn sync(&mut self) -> Result<Persisted, LogError> {
        self.guarded(Log::sync_all)?;
        Ok(Persisted { number: self.number })
    }

    /// Notes in the log, without a sync, that the groups before are durable. For a log that has
    /// nothing else to do: the next group would say it too.
    pub fn mark(&mut self) -> Result<(), LogError> {
        if !self.unmarked || self.durable != self.end_position() || !self.fits(0) {
            return Ok(());
        }
        self.guarded(|log| {
            log.encode(&Content::Mark);
            log.unmarked = false;
            log.flush()
        })
    }

    /// Reads entries `low..high` back, at most `max_bytes` of them but at least one.
    pub fn read(&mut self, low: u64, high: u64, max_bytes: u64) -> Result<Vec<Entry>, LogError> {
        let (base, last) = (self.index.base().0, self.index.last().0);
        if low <= base || low > last || low >= high {
            return Err(LogError::OutOfRange { low, high, base, last });
        }
        self.guarded(Log::flush)?;
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut next = low;
        while next < high.min(last + 1) {
            let Some((place, stop)) = self.index.find(next) else {
                return Err(LogError::OutOfRange { low, high, base, last });
            };
            let segment = self.segment(place.at.segment())?;
            let mut walk = Walk { next, stop: stop.min(high).min(last + 1), bytes, max_bytes };
            let full = walk.collect(&segment, place.at.offset(), &mut entries)?;
            if full {
                break;
            }
            (next, bytes) = (walk.next, walk.bytes);
        }
        Ok(entries)
    }

    /// Index and term of the entry before the first.
    pub fn base(&self) -> (u64, u64) {
        self.index.base()
    }

    /// Index and term of the last entry.
    pub fn last(&self) -> (u64, u64) {
        self.index.last()
    }

    /// The term of an entry in the log, or of its base.
    pub fn term(&self, index: u64) -> Option<u64> {
        self.index.term(index)
    }

    pub fn term_runs(&self) -> &[TermRun] {
        self.index.runs()
    }

    /// How many segments there are. Old ones are for purging to remove: each carries all that
    /// those after it need.
    pub fn segments(&self) -> usize {
        self.numbers.len()
    }

    /// Runs what writes; if it fails, so does everything after it.
    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Log) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        if let Some(cause) = &self.poison {
            return Err(LogError::Poisoned(cause.clone()));
        }
        work(self).inspect_err(|error| self.poison = Some(error.to_string()))
    }

    fn append_group(&mut self, group: &Group) -> Result<(), LogError> {
        self.check(group)?;
        if group.entries.is_empty() && group.hard_state.is_none() {
            self.number = group.number;
            return Ok(());
        }
        let content = Content::Group(group);
        let payload = content.payload_bytes();
        if payload > GROUP_BYTES_MAX {
            return Err(LogError::TooLarge { bytes: payload });
        }
        if !self.fits(payload) {
            self.cut(payload)?;
        }
        let before = self.end();
        let at = self.encode(&content);
        for entry in &group.entries {
            self.index.push(entry.index, entry.term, at);
        }
        self.index.grow(self.end() - before);
        if let Some(hard_state) = &group.hard_state {
            self.hard_state = hard_state.clone();
        }
        self.number = group.number;
        self.unmarked = true;
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn check(&self, group: &Group) -> Result<(), LogError> {
        let mut before: Option<&Entry> = None;
        for entry in &group.entries {
            let fits = match before {
                None => self.index.accepts(entry.index, entry.term),
                Some(before) => entry.index == before.index + 1 && entry.term >= before.term,
            };
            if !fits {
                let (last, last_term) =
                    before.map_or(self.index.last(), |before| (before.index, before.term));
                let (index, term) = (entry.index, entry.term);
                return Err(LogError::Order { index, term, last, last_term });
            }
            before = Some(entry);
        }
        Ok(())
    }

    /// The byte of the active segment behind all frames.
    fn end(&self) -> usize {
        self.buffer_at + self.buffer.len()
    }

    fn end_position(&self) -> Position {
        Position::new(self.active.header.number, self.end())
    }

    fn fits(&self, payload: usize) -> bool {
        frame_start(self.end()) + frame_space(payload) <= self.active.header.size as usize
    }

    fn encode(&mut self, content: &Content<'_>) -> Position {
        let start = frame_start(self.end());
        self.buffer.resize(start - self.buffer_at, 0);
        let at = Position::new(self.active.header.number, start);
        self.chain = encode_frame(&mut self.buffer, content, at, self.durable, self.chain);
        at
    }

    fn flush(&mut self) -> Result<(), LogError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let (file, path) = (&self.active.file, &self.active.path);
        let write = file.write_at(&self.buffer, self.buffer_at as u64);
        write.map_err(LogError::io("write", path))?;
        self.buffer_at += self.buffer.len();
        self.buffer.clear();
        // A group of unusual size must not keep its memory.
        self.buffer.shrink_to(4 * BUFFER_BYTES);
        if self.buffer_at > self.written {
            let ahead = ZEROS_AHEAD.min(self.active.header.size as usize - self.buffer_at);
            let write = file.write_at(&ZEROS[..ahead], self.buffer_at as u64);
            write.map_err(LogError::io("write", path))?;
            self.written = self.buffer_at + ahead;
        }
        Ok(())
    }

    fn sync_all(&mut self) -> Result<(), LogError> {
        self.flush()?;
        if self.durable != self.end_position() {
            self.active.file.sync().map_err(LogError::io("sync", &self.active.path))?;
            self.durable = self.end_position();
        }
        Ok(())
    }

    /// Ends the active segment and begins one that takes a payload of so many bytes. The order is
    /// what makes a lost segment noticeable: the new one exists before the old one says so, and
    /// holds nothing before that is durable.
    fn cut(&mut self, payload: usize) -> Result<(), LogError> {
        self.sync_all()?;
        let header = SegmentHeader {
            number: self.active.header.number + 1,
            size: segment_size(self.options, payload),
            previous: self.index.last(),
            hard_state: self.hard_state.clone(),
            continues: self.end_position(),
            chain: self.chain,
            ..self.active.header
        };
        let next = Segment::create(&*self.disk, &self.dir, header)?;
        self.encode(&Content::Cut);
        self.sync_all()?;
        self.numbers.push(next.header.number);
        self.chain = next.header.first_chain();
        self.buffer_at = SEGMENT_HEADER;
        self.written = SEGMENT_HEADER;
        self.durable = Position::new(next.header.number, SEGMENT_HEADER);
        self.active = next;
        Ok(())
    }

    fn segment(&self, number: u32) -> Result<Segment, LogError> {
        if number == self.active.header.number {
            return Ok(self.active.clone());
        }
        Segment::open(&*self.disk, &self.dir, number, self.active.header.identity)
    }
}

/// Bytes that a frame needs at most, and the cut after it.
fn frame_space(payload: usize) -> usize {
    FRAME_HEADER + payload.next_multiple_of(8) + FRAME_TRAILER + CUT_RESERVE
}

fn segment_size(options: Options, payload: usize) -> u64 {
    let needed = SEGMENT_HEADER + frame_space(payload) + CUT_RESERVE;
    let size = (options.segment_bytes as usize).max(needed);
    size.next_multiple_of(4096).min(u32::MAX as usize & !4095) as u64
}
