//! etcd's write-ahead log, read once from its beginning to its end.
//!
//! The log is a directory of files `<number>-<index>.wal`, both in 16 hexadecimal digits. A file
//! is a sequence of frames: 8 bytes little-endian, whose lower 56 bits are the length of a
//! `walpb.Record` and whose highest bit says that the next three hold the length of the padding
//! behind it, then record and padding. A record has a kind, a checksum and data. The checksum is
//! the CRC-32C of all data so far; a record at the head of each file carries it over. Files are
//! zeroed ahead, so a length of zero is the end. Facts from etcd's `server/storage/wal`.
//!
//! A record of which a crash left a sector unwritten, with nothing behind it, is the end as well;
//! all else that does not fit is damage, and refused: what cannot be read may have been
//! acknowledged.
//!
//! The checksum does not cover a record's kind. A record is taken for one of another kind only if it
//! can be one: metadata is always the same, a state has a term and no data, an entry that changes
//! the members has data.
//!
//! What is committed is handed out as soon as the log says so; only what is not committed is held.
//! At the end that is handed out too. An entry is acknowledged when it is durable on a majority, and
//! that it is committed comes into the log with a later write: after a crash the last acknowledged
//! entries look like any that nobody has acknowledged. To leave out one of the former loses a write; to
//! take one of the latter does what its client, who got no answer, must expect anyway.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use crc32c::crc32c_append;
use prost::Message;
use raft_proto::eraftpb::{Entry, EntryType};
use thiserror::Error;

/// Data of one record, at most: several of the largest requests that etcd can be told to take.
const RECORD_BYTES_MAX: u64 = 128 << 20;
/// Entries held because they are not committed, at most. etcd's leader proposes no more than
/// 512 messages of 1 MiB beyond what is acknowledged.
const PENDING_BYTES_MAX: usize = 1 << 30;
/// What a disk writes whole.
const SECTOR: u64 = 512;

const METADATA: i64 = 1;
const ENTRY: i64 = 2;
const STATE: i64 = 3;
const CHECKSUM: i64 = 4;
const SNAPSHOT: i64 = 5;

/// Why the log cannot be read.
#[derive(Debug, Error)]
pub enum WalError {
    #[error("cannot read {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} holds no log of etcd", .0.display())]
    NoLog(PathBuf),
    #[error("{} is missing from the log: a file between its first and its last", .0.display())]
    Gap(PathBuf),
    #[error("{} is damaged at byte {at}: {what}", path.display())]
    Damaged { path: PathBuf, at: u64, what: &'static str },
    #[error(
        "the store has applied entry {applied}, but the log ends at entry {last}: the end of the \
         log is lost, or the two do not belong together"
    )]
    StoreAhead { applied: u64, last: u64 },
    #[error(
        "the log goes on after a state at entry {snapshot}, but the store and the log end at entry \
         {last}: that state was not put in place, or the store is an older copy"
    )]
    StoreBehind { snapshot: u64, last: u64 },
}

#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(uint32, tag = "2")]
    checksum: u32,
    #[prost(bytes = "bytes", tag = "3")]
    data: Bytes,
}

/// What a state says, and what only an entry can.
#[derive(Clone, PartialEq, Message)]
struct State {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "3")]
    commit: u64,
    #[prost(bytes = "bytes", optional, tag = "4")]
    data: Option<Bytes>,
}

/// What a snapshot's record says, as far as it is asked for.
#[derive(Clone, PartialEq, Message)]
struct Snapshot {
    #[prost(uint64, tag = "1")]
    index: u64,
}

/// Reads the log in `dir` and hands out each entry after the index `after`, which a store has
/// applied, in order and without a gap. Answers how many of them the log does not say are
/// committed.
pub fn read<E: From<WalError>>(
    dir: &Path,
    after: u64,
    take: impl FnMut(Entry) -> Result<(), E>,
) -> Result<u64, E> {
    let files = files(dir)?;
    let mut replay = Replay::new(after, take);
    let (mut checksum, mut metadata) = (0, None);
    for (number, path) in files.iter().enumerate() {
        let is_last = number + 1 == files.len();
        let mut frames = Frames::open(path, checksum, is_last)?;
        while let Some(record) = frames.next_record()? {
            let at = frames.at;
            let damaged = |what| WalError::Damaged { path: path.clone(), at, what };
            match record.kind {
                ENTRY => {
                    let entry = Entry::decode(record.data).ok().filter(is_entry);
                    let entry = entry.ok_or_else(|| damaged("an entry makes no sense"))?;
                    replay.entry(entry, damaged)?;
                }
                STATE => {
                    let state = State::decode(record.data).ok();
                    let state = state.filter(|state| state.term > 0 && state.data.is_none());
                    let state = state.ok_or_else(|| damaged("a state makes no sense"))?;
                    replay.commit(state.commit, damaged)?;
                }
                METADATA => {
                    if *metadata.get_or_insert_with(|| record.data.clone()) != record.data {
                        return Err(damaged("the log is that of two members").into());
                    }
                }
                SNAPSHOT => {
                    let snapshot = Snapshot::decode(record.data);
                    let snapshot = snapshot.map_err(|_| damaged("a snapshot makes no sense"))?;
                    replay.snapshot = replay.snapshot.max(snapshot.index);
                }
                CHECKSUM => {}
                _ => return Err(damaged("a record is of an unknown kind").into()),
            }
        }
        checksum = frames.checksum;
    }
    replay.end(after)
}

/// Whether it can be one: whatever changes the members says how.
fn is_entry(entry: &Entry) -> bool {
    entry.entry_type() == EntryType::EntryNormal || !entry.data.is_empty()
}

/// The files of the log in their order, without a gap.
fn files(dir: &Path) -> Result<Vec<PathBuf>, WalError> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => WalError::NoLog(dir.to_owned()),
        _ => WalError::Io { path: dir.to_owned(), source },
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        files.extend(file_number(&path).map(|number| (number, path)));
    }
    files.sort_unstable();
    if files.is_empty() {
        return Err(WalError::NoLog(dir.to_owned()));
    }
    for pair in files.windows(2) {
        if pair[0].0.checked_add(1) != Some(pair[1].0) {
            let missing = format!("{:016x}-*.wal", pair[0].0.wrapping_add(1));
            return Err(WalError::Gap(dir.join(missing)));
        }
    }
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

fn file_number(path: &Path) -> Option<u64> {
    let (number, index) = path.file_name()?.to_str()?.strip_suffix(".wal")?.split_once('-')?;
    u64::from_str_radix(index, 16).ok()?;
    u64::from_str_radix(number, 16).ok()
}

/// Entries on their way from the log to whoever applies them.
struct Replay<T> {
    /// The last entry handed out.
    last: u64,
    /// The last entry in the log.
    end: u64,
    /// The last state that the log knows of.
    snapshot: u64,
    /// What follows it and is not committed.
    pending: VecDeque<Entry>,
    pending_bytes: usize,
    take: T,
}

impl<T> Replay<T> {
    fn new(after: u64, take: T) -> Replay<T> {
        let pending = VecDeque::new();
        Replay { last: after, end: 0, snapshot: 0, pending, pending_bytes: 0, take }
    }

    fn entry<E: From<WalError>>(
        &mut self,
        entry: Entry,
        damaged: impl Fn(&'static str) -> WalError,
    ) -> Result<(), E>
    where
        T: FnMut(Entry) -> Result<(), E>,
    {
        // An entry makes those from its index on void.
        self.end = entry.index;
        // What is applied was committed, and is the same wherever the log says it again.
        if entry.index <= self.last {
            return Ok(());
        }
        let place = entry.index - self.last - 1;
        if place > self.pending.len() as u64 {
            return Err(damaged("entries are missing before it").into());
        }
        for void in self.pending.drain(place as usize..) {
            self.pending_bytes -= void.data.len();
        }
        self.pending_bytes += entry.data.len();
        if self.pending_bytes > PENDING_BYTES_MAX {
            return Err(damaged("more is not committed than a leader proposes").into());
        }
        self.pending.push_back(entry);
        Ok(())
    }

    fn commit<E: From<WalError>>(
        &mut self,
        commit: u64,
        damaged: impl Fn(&'static str) -> WalError,
    ) -> Result<(), E>
    where
        T: FnMut(Entry) -> Result<(), E>,
    {
        while self.last < commit {
            // Nothing is committed that was not in the log before.
            let entry = self.pending.pop_front();
            let entry = entry.ok_or_else(|| damaged("committed entries are missing before it"))?;
            self.pending_bytes -= entry.data.len();
            self.last = entry.index;
            (self.take)(entry)?;
        }
        Ok(())
    }

    /// Hands out the rest, and answers how much that was.
    fn end<E: From<WalError>>(self, after: u64) -> Result<u64, E>
    where
        T: FnMut(Entry) -> Result<(), E>,
    {
        let (last, snapshot) = (self.end.max(self.snapshot), self.snapshot);
        if after > last {
            return Err(WalError::StoreAhead { applied: after, last }.into());
        }
        let rest = self.pending.len() as u64;
        if snapshot > self.last + rest {
            return Err(WalError::StoreBehind { snapshot, last: self.last + rest }.into());
        }
        self.pending.into_iter().try_for_each(self.take)?;
        Ok(rest)
    }
}

/// The records of one file.
struct Frames<'a> {
    path: &'a Path,
    file: BufReader<File>,
    size: u64,
    /// Where the record read last begins, and where the next does.
    at: u64,
    next: u64,
    checksum: u32,
    /// Only the last file may end in a record that a crash has cut short.
    is_last: bool,
}

impl Frames<'_> {
    fn open(path: &Path, checksum: u32, is_last: bool) -> Result<Frames<'_>, WalError> {
        let unreadable = |source| WalError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let file = BufReader::with_capacity(1 << 18, file);
        Ok(Frames { path, file, size, at: 0, next: 0, checksum, is_last })
    }

    /// The next record; `None` at the end.
    fn next_record(&mut self) -> Result<Option<Record>, WalError> {
        self.at = self.next;
        let Some(frame) = self.frame()? else { return Ok(None) };
        let (record, bytes) = frame;
        let torn = self.is_last && self.is_torn(&bytes);
        let Some(record) = record else {
            return if torn { self.end() } else { Err(self.damaged("a record makes no sense")) };
        };
        if record.kind == CHECKSUM {
            // The first file that is left may be the successor of files that are gone.
            if self.checksum != 0 && record.checksum != self.checksum {
                return Err(self.damaged("it does not go on where the file before it ended"));
            }
            self.checksum = record.checksum;
            return Ok(Some(record));
        }
        let checksum = crc32c_append(self.checksum, &record.data);
        if checksum != record.checksum {
            return if torn { self.end() } else { Err(self.damaged("a checksum does not fit")) };
        }
        self.checksum = checksum;
        Ok(Some(record))
    }

    /// The bytes of the next frame's record, and what they say; `None` at the end.
    fn frame(&mut self) -> Result<Option<(Option<Record>, Bytes)>, WalError> {
        const LENGTH_BITS: u64 = (1 << 56) - 1;
        let left = self.size - self.at;
        if left < 8 {
            return Ok(None);
        }
        let mut head = [0; 8];
        self.read(&mut head)?;
        let head = u64::from_le_bytes(head);
        let length = head & LENGTH_BITS;
        let padding = if head >> 63 == 1 { (head >> 56) & 7 } else { 0 };
        if head == 0 {
            return self.end();
        }
        if length > RECORD_BYTES_MAX || length + padding > left - 8 {
            return Err(self.damaged("a record is longer than what is left of the file"));
        }
        let mut bytes = vec![0; (length + padding) as usize];
        self.read(&mut bytes)?;
        self.next = self.at + 8 + length + padding;
        let bytes = Bytes::from(bytes);
        Ok(Some((Record::decode(bytes.slice(..length as usize)).ok(), bytes)))
    }

    /// The end, if there is nothing but zeros from here on: anything else was not written by an
    /// etcd that stopped here, and may be what was acknowledged.
    fn end<T>(&mut self) -> Result<Option<T>, WalError> {
        let mut buffer = [0; SECTOR as usize];
        loop {
            let read = self.file.read(&mut buffer);
            let read = read.map_err(|source| self.unreadable(source))?;
            if read == 0 {
                return Ok(None);
            }
            if buffer[..read].iter().any(|byte| *byte != 0) {
                return Err(self.damaged("there is more behind the end"));
            }
        }
    }

    /// Whether a sector of the record read last is all zero: a crash came before it was written.
    fn is_torn(&self, bytes: &[u8]) -> bool {
        let first = (SECTOR - (self.at + 8) % SECTOR) as usize;
        let (head, rest) = bytes.split_at(first.min(bytes.len()));
        let zero = |sector: &[u8]| !sector.is_empty() && sector.iter().all(|byte| *byte == 0);
        zero(head) || rest.chunks(SECTOR as usize).any(zero)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), WalError> {
        let read = self.file.read_exact(buffer);
        read.map_err(|source| self.unreadable(source))
    }

    fn unreadable(&self, source: io::Error) -> WalError {
        WalError::Io { path: self.path.to_owned(), source }
    }

    fn damaged(&self, what: &'static str) -> WalError {
        WalError::Damaged { path: self.path.to_owned(), at: self.at, what }
    }
}

#[cfg(test)]
mod tests;
