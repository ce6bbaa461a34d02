//! Opening a log that exists: everything in it is read once and judged.

use std::path::Path;
use std::sync::Arc;

use kvorum_core::node::TermRun;
use kvorum_core::planted::{self, Bug};
use raft_proto::eraftpb::{Entry, HardState};

use super::LogError;
use super::format::{Content, Position, encode_frame, frame_start};
use super::index::LogIndex;
use super::replay::Replay;
use super::scan::look_behind;
use super::segment::{Segment, list_segments, segment_path};
use super::vote::VoteFile;
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
    /// The log was salvaged, and has lost what it held up to this entry at least: this member may
    /// have promised more than it knows. Until [`Log::complete`](super::Log::complete).
    pub incomplete: Option<u64>,
    /// What a crash left unfinished and was cut off, in words.
    pub torn: Option<String>,
}

/// Everything the log's writer goes on from.
pub(super) struct Opened {
    pub(super) recovered: Recovered,
    pub(super) index: LogIndex,
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
        let next = match Segment::open(&**disk, dir, *next, identity) {
            Ok(next) => next,
            Err(error) => {
                // What is wrong with this one, if anything is, comes first.
                replay.segment(&current, None)?;
                return Err(error.after(replay.index.last().0));
            }
        };
        replay.segment(&current, Some(&next.header))?;
        if !replay.saw_cut {
            finish_cut(&current, &next, &replay)?;
        }
        // Nothing may be durable in the successor before the cut is.
        make_durable(&current)?;
        current = next;
    }
    replay.segment(&current, None)?;
    if replay.saw_cut {
        let next = current.header.number.saturating_add(1);
        return Err(LogError::Missing { path: segment_path(dir, next) });
    }
    replay.check_beginning(&current)?;
    replay.check_vote(&current, VoteFile::read(&**disk, dir, identity)?)?;
    let torn = clear_rest(&current, &replay)?;
    make_durable(&current)?;
    let recovered = Recovered {
        hard_state: replay.hard_state,
        base: replay.index.base(),
        last: replay.index.last(),
        runs: replay.index.runs().to_vec(),
        tail: replay.tail,
        incomplete: current.header.incomplete,
        torn,
    };
    let Replay { index, end, chain, .. } = replay;
    Ok(Opened { recovered, index, active: current, end, chain })
}

fn make_durable(segment: &Segment) -> Result<(), LogError> {
    if planted::is(Bug::UnsyncedTrusted) {
        return Ok(());
    }
    segment.file.sync().map_err(LogError::io("sync", &segment.path))
}

/// A crash came between the making of a segment and the cut of the one before: cut now, so that
/// the successor would be missed.
fn finish_cut(segment: &Segment, next: &Segment, replay: &Replay) -> Result<(), LogError> {
    replay.check_fresh(segment, next)?;
    let start = frame_start(replay.end);
    let at = Position::new(segment.header.number, start);
    let mut bytes = Vec::new();
    encode_frame(&mut bytes, &Content::Cut, at, at, replay.chain);
    let write = segment.file.write_at(&bytes, start as u64);
    write.map_err(LogError::io("write", &segment.path))
}

/// Makes what lies past the last good frame zero, unless it shows that good frames are lost.
fn clear_rest(segment: &Segment, replay: &Replay) -> Result<Option<String>, LogError> {
    let rest = look_behind(segment, replay.end)?;
    replay.check_rest(segment, &rest)?;
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
