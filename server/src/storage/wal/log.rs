//! The writer, and reading back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kvorum_core::node::{Group, TermRun};
use raft_proto::eraftpb::{Entry, HardState};

use super::format::{Content, Position, SECTOR, SEGMENT_HEADER, SegmentHeader};
use super::index::LogIndex;
use super::read::Walk;
use super::recover::{self, Opened};
use super::segment::{Segment, list_segments, segment_path};
use super::vote::{Vote, VoteFile};
use super::writer::{Writer, segment_size};
use super::{LogError, Recovered};
use crate::identity::Identity;
use crate::storage::disk::Disk;

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
    writer: Writer,
    /// A group was appended after the last mark.
    unmarked: bool,
    /// The newest group appended.
    number: u64,
    index: LogIndex,
    hard_state: HardState,
    votes: VoteFile,
    incomplete: Option<u64>,
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
            size: segment_size(options.segment_bytes, 0),
            previous: base,
            hard_state: HardState { term: base.1, vote: 0, commit: base.0 },
            continues: Position::default(),
            chain: 0,
            incomplete: None,
        };
        VoteFile::open(disk, dir, identity)?.write(Vote::of(&header.hard_state))?;
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
        let Opened { recovered, index, active, end, chain } =
            recover::open(&disk, dir, identity, keep_after)?;
        let mut votes = VoteFile::open(&*disk, dir, identity)?;
        votes.write(Vote::of(&recovered.hard_state))?;
        let log = Log {
            disk,
            dir: dir.to_owned(),
            options,
            writer: Writer::new(active, end, chain),
            unmarked: false,
            number: 0,
            index,
            hard_state: recovered.hard_state.clone(),
            votes,
            incomplete: recovered.incomplete,
            poison: None,
        };
        Ok((log, recovered))
    }

    /// Adds a group behind those before it; [`Log::sync`] makes it durable. Its entries replace
    /// those of the same and of higher indexes; a base replaces all there is.
    pub fn append(&mut self, group: &Group) -> Result<(), LogError> {
        self.guarded(|log| log.append_group(group))
    }

    /// Makes everything appended durable.
    pub fn sync(&mut self) -> Result<Persisted, LogError> {
        self.guarded(|log| {
            log.writer.sync()?;
            log.votes.write(Vote::of(&log.hard_state))
        })?;
        Ok(Persisted { number: self.number })
    }

    /// Notes in the log, without a sync, that the groups before are durable. For a log that has
    /// nothing else to do: the next groups would say it too.
    pub fn mark(&mut self) -> Result<(), LogError> {
        if !self.unmarked || !self.writer.is_durable() {
            return Ok(());
        }
        self.guarded(|log| {
            log.unmarked = false;
            // Up to one in a sector of its own, or one lost sector could take mark and group.
            let sector = log.writer.end().next_multiple_of(SECTOR);
            while log.writer.fits(0) && log.writer.append(&Content::Mark).offset() < sector {}
            log.writer.flush()
        })
    }

    /// Notes durably that everything this member ever promised is in the log again: for one that
    /// was [salvaged](Log::salvage), when the leader has replicated past all that was lost.
    pub fn complete(&mut self) -> Result<(), LogError> {
        if self.incomplete.is_none() {
            return Ok(());
        }
        self.guarded(|log| {
            log.incomplete = None;
            log.cut(0)
        })
    }

    /// Removes old segments that hold nothing but entries up to `upto`, or what a base has made
    /// void; answers how many. The log then begins after `upto` or, since segments go whole,
    /// earlier.
    ///
    /// The entries up to `upto` are gone for ever: the backend must hold what they did, by a
    /// commit that was durable in this process's life.
    pub fn release(&mut self, upto: u64) -> Result<usize, LogError> {
        let void = self.index.void(upto);
        if void.numbers.is_empty() {
            return Ok(0);
        }
        self.guarded(|log| {
            // A base makes nothing void before it is durable.
            log.writer.sync()?;
            for number in &void.numbers {
                let path = segment_path(&log.dir, *number);
                log.disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
                // One by one: of two names removed together, a crash may bring back the older
                // one only, and the log would have a gap.
                log.disk.sync_dir(&log.dir).map_err(LogError::io("sync", &log.dir))?;
            }
            log.index.release(&void);
            Ok(void.numbers.len())
        })
    }

    /// Reads entries `low..high` back, at most `max_bytes` of them but at least one.
    pub fn read(&mut self, low: u64, high: u64, max_bytes: u64) -> Result<Vec<Entry>, LogError> {
        let (base, last) = (self.index.base().0, self.index.last().0);
        if low <= base || low > last || low >= high {
            return Err(LogError::OutOfRange { low, high, base, last });
        }
        self.guarded(|log| log.writer.flush())?;
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut next = low;
        while next < high.min(last.saturating_add(1)) {
            let Some((place, stop)) = self.index.find(next) else {
                return Err(LogError::OutOfRange { low, high, base, last });
            };
            let segment = self.segment(place.at.segment())?;
            let stop = stop.min(high).min(last.saturating_add(1));
            let mut walk = Walk { next, stop, bytes, max_bytes };
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

    /// How many segments there are.
    pub fn segments(&self) -> usize {
        self.index.segments()
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
        if group.entries.is_empty() && group.hard_state.is_none() && group.base.is_none() {
            self.number = group.number;
            return Ok(());
        }
        let content = Content::Group(group);
        let payload = content.payload_bytes();
        if payload > GROUP_BYTES_MAX {
            return Err(LogError::TooLarge { bytes: payload });
        }
        if !self.writer.fits(payload) {
            self.cut(payload)?;
        }
        let before = self.writer.end();
        let at = self.writer.append(&content);
        if let Some(base) = group.base {
            self.index.rebase(base);
        }
        for entry in &group.entries {
            self.index.push(entry.index, entry.term, at);
        }
        self.index.grow(self.writer.end() - before);
        if let Some(hard_state) = &group.hard_state {
            self.hard_state = hard_state.clone();
        }
        self.number = group.number;
        self.unmarked = true;
        self.writer.flush_if_full()
    }

    fn check(&self, group: &Group) -> Result<(), LogError> {
        let anew;
        let mut index = &self.index;
        if let Some(base) = group.base {
            self.check_base(group, base)?;
            anew = LogIndex::new(base);
            index = &anew;
        }
        let mut before: Option<&Entry> = None;
        for entry in &group.entries {
            let fits = match before {
                None => index.accepts(entry.index, entry.term),
                Some(before) => entry.index - 1 == before.index && entry.term >= before.term,
            };
            if !fits {
                let (last, last_term) =
                    before.map_or(index.last(), |before| (before.index, before.term));
                let (index, term) = (entry.index, entry.term);
                return Err(LogError::Order { index, term, last, last_term });
            }
            before = Some(entry);
        }
        Ok(())
    }

    /// A log that begins anew forgets what was committed up to its base and nothing more.
    fn check_base(&self, group: &Group, base: (u64, u64)) -> Result<(), LogError> {
        let index = base.0;
        let commit = group.hard_state.as_ref().unwrap_or(&self.hard_state).commit;
        let last = group.entries.last().map_or(index, |entry| entry.index);
        if index == 0 || commit < index || commit > last {
            return Err(LogError::Base { index, commit, last });
        }
        Ok(())
    }

    /// Ends the active segment and begins one that takes a payload of so many bytes. The order is
    /// what makes a lost segment noticeable: the new one exists before the old one says so, and
    /// holds nothing before that is durable.
    fn cut(&mut self, payload: usize) -> Result<(), LogError> {
        self.writer.sync()?;
        let Segment { header, path, .. } = &self.writer.segment;
        let number = header.number.checked_add(1).ok_or(LogError::Full { path: path.clone() })?;
        let header = SegmentHeader {
            number,
            size: segment_size(self.options.segment_bytes, payload),
            previous: self.index.last(),
            hard_state: self.hard_state.clone(),
            continues: self.writer.end_position(),
            chain: self.writer.chain,
            incomplete: self.incomplete,
            ..*header
        };
        let next = Segment::create(&*self.disk, &self.dir, header)?;
        self.writer.append(&Content::Cut);
        self.writer.sync()?;
        self.index.begin(&next.header);
        let chain = next.header.first_chain();
        self.writer = Writer::new(next, SEGMENT_HEADER, chain);
        Ok(())
    }

    fn segment(&self, number: u32) -> Result<Segment, LogError> {
        let active = &self.writer.segment;
        if number == active.header.number {
            return Ok(active.clone());
        }
        Segment::open(&*self.disk, &self.dir, number, active.header.identity)
    }
}
