//! What can be kept of a damaged log.
//!
//! Only for a member of a cluster, which can get back from the leader what it lost. Everything up
//! to the damage is kept; what is damaged or lies behind it is set aside under another name, for a
//! person to look at. From then on the log is **incomplete**, and says so in the header of every
//! segment until [`Log::complete`]: the member may have acknowledged entries and given votes that
//! it knows nothing of.
//!
//! The step that counts is the making of a new segment, which continues where the good part ends
//! and takes the place of the damaged one's successor; opening the log then ends the damaged one
//! there. Before it nothing has changed but that there are copies. After it the log is refused
//! as long as there are segments behind the new one that do not continue it. So a salvage that
//! was interrupted is begun again, and counts what was set aside before.

use std::fmt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use raft_proto::eraftpb::HardState;

use super::format::{FRAME_HEADER, FrameHeader, Position, SegmentHeader, decode_group};
use super::replay::{Beginning, Replay};
use super::scan::{Window, look_behind};
use super::segment::{
    Segment, aside_path, list_remaining, parse_aside, parse_number, segment_path, stated_header,
};
use super::vote::{Vote, VoteFile};
use super::writer::segment_size;
use super::{Log, LogError, Options};
use crate::identity::Identity;
use crate::storage::disk::Disk;

/// What became of a damaged log.
#[derive(Debug)]
pub struct Salvage {
    /// What was wrong.
    pub damage: LogError,
    /// Index and term of the last entry kept.
    pub last: (u64, u64),
    /// The last entry that is known to be lost.
    pub lost: u64,
    /// The files that were set aside.
    pub aside: Vec<PathBuf>,
}

impl fmt::Display for Salvage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.damage {
            LogError::Damaged { path, offset, what, .. } => {
                write!(f, "{} at byte {offset}: {what}", path.display())?;
            }
            LogError::Missing { path } => write!(f, "{} is missing", path.display())?,
            other => write!(f, "{other}")?,
        }
        let (last, lost) = (self.last.0, self.lost);
        write!(f, "; entries {} to {lost} or more are lost", last.saturating_add(1))?;
        for (at, path) in self.aside.iter().enumerate() {
            let before = if at == 0 { "; the damaged files are kept as " } else { ", " };
            write!(f, "{before}{}", path.display())?;
        }
        Ok(())
    }
}

/// The part of a log before its first damage.
struct Good {
    /// The segment in which it ends, and the state there.
    segment: Segment,
    replay: Replay,
    damage: LogError,
}

/// What can be read behind the damage.
struct Seen {
    index: u64,
    incomplete: u64,
}

impl Log {
    /// Makes a log that is damaged one that opens, without what lies at and behind the damage;
    /// `None` if it is not damaged. A log whose very beginning is damaged stays as it is.
    ///
    /// The log opens as [incomplete](super::Recovered::incomplete) afterwards, with the newest term
    /// and vote; without those it is [refused](LogError::VoteLost).
    pub fn salvage(
        disk: &dyn Disk,
        dir: &Path,
        identity: Identity,
        options: Options,
    ) -> Result<Option<Salvage>, LogError> {
        let numbers = list_remaining(disk, dir)?;
        let vote = VoteFile::read(disk, dir, identity)?;
        let Some(good) = good_part(disk, dir, identity, &numbers, vote)? else { return Ok(None) };
        let Good { segment, replay, damage } = good;
        let vote = vote.ok_or_else(|| VoteFile::lost(dir))?.max(Vote::of(&replay.hard_state));
        let broken = segment.header.number;
        let next = broken.checked_add(1);
        let next = next.ok_or_else(|| LogError::Full { path: segment.path.clone() })?;
        let seen = look_for_more(disk, dir, &segment, &replay)?;
        let mut aside = copy_aside(disk, dir, &numbers, broken)?;
        let last = replay.index.last();
        let lost = seen.index.max(seen.incomplete).max(last.0.saturating_add(1));
        let header = SegmentHeader {
            identity,
            number: next,
            size: segment_size(options.segment_bytes, 0),
            previous: last,
            hard_state: HardState { term: vote.term, vote: vote.vote, ..replay.hard_state },
            continues: Position::new(broken, replay.end),
            chain: replay.chain,
            incomplete: Some(lost),
        };
        Segment::create(disk, dir, header)?;
        aside.extend(move_aside(disk, dir, &numbers, next)?);
        Ok(Some(Salvage { damage, last, lost, aside }))
    }
}

/// Reads the log up to its first damage, and changes nothing; `None` if there is no damage.
fn good_part(
    disk: &dyn Disk,
    dir: &Path,
    identity: Identity,
    numbers: &[u32],
    vote: Option<Vote>,
) -> Result<Option<Good>, LogError> {
    let mut segment = Segment::open(disk, dir, numbers[0], identity)?;
    let mut replay = Replay::new(&segment.header, u64::MAX);
    replay.begin(&segment)?;
    let damage = loop {
        let number = segment.header.number.saturating_add(1);
        let follows = numbers.binary_search(&number).is_ok();
        let next = follows.then(|| Segment::open(disk, dir, number, identity)).transpose();
        let next = match next {
            Ok(next) => next,
            Err(damage @ LogError::Damaged { .. }) => {
                // What is wrong with this one, if anything is, comes first.
                let first = replay.frames(&segment, None).err();
                break first.unwrap_or_else(|| damage.after(replay.index.last().0));
            }
            Err(other) => return Err(other),
        };
        if let Err(damage) = replay.frames(&segment, next.as_ref().map(|next| &next.header)) {
            break damage;
        }
        let Some(next) = next else {
            if replay.saw_cut || numbers.last() > Some(&number) {
                break LogError::Missing { path: segment_path(dir, number) };
            }
            replay.check_beginning(&segment)?;
            let rest = look_behind(&segment, replay.end)?;
            let checked = replay.check_vote(&segment, vote);
            match checked.and_then(|()| replay.check_rest(&segment, &rest)) {
                Ok(()) => return Ok(None),
                Err(damage) => break damage,
            }
        };
        if !replay.saw_cut
            && let Err(damage) = replay.check_fresh(&segment, &next)
        {
            break damage;
        }
        if let Err(damage) = replay.begin(&next) {
            break damage;
        }
        segment = next;
    };
    let certain = replay.beginning != Beginning::Unknown;
    match damage {
        LogError::Damaged { .. } | LogError::Missing { .. } if certain => {
            Ok(Some(Good { segment, replay, damage }))
        }
        other => Err(other),
    }
}

/// Searches all that lies behind the good part for groups that are whole and in their place.
fn look_for_more(
    disk: &dyn Disk,
    dir: &Path,
    good: &Segment,
    replay: &Replay,
) -> Result<Seen, LogError> {
    let mut seen =
        Seen { index: replay.index.last().0, incomplete: good.header.incomplete.unwrap_or(0) };
    let broken = good.header.number;
    for name in disk.list(dir).map_err(LogError::io("list", dir))? {
        let path = dir.join(&name);
        let Some(number) = parse_number(&name).or_else(|| parse_aside(&name)) else { continue };
        if number < broken {
            continue;
        }
        let file = disk.open(&path).map_err(LogError::io("open", &path))?;
        let size = file.size().map_err(LogError::io("read", &path))?;
        if let Ok(header) = stated_header(&path, &*file) {
            if header.identity != good.header.identity {
                continue;
            }
            seen.index = seen.index.max(header.previous.0);
            seen.incomplete = seen.incomplete.max(header.incomplete.unwrap_or(0));
        }
        let from = if path == good.path { replay.end } else { 0 };
        let size = size.min(u64::from(u32::MAX));
        let header = SegmentHeader { number, size, ..good.header.clone() };
        seen.search(&Segment { path, header, file }, from)?;
    }
    Ok(seen)
}

impl Seen {
    fn search(&mut self, segment: &Segment, from: usize) -> Result<(), LogError> {
        let mut window = Window::new(segment);
        let size = segment.header.size as usize;
        let mut at = from.next_multiple_of(8);
        while at + FRAME_HEADER <= size {
            let is_header = FrameHeader::decode(window.get(at, FRAME_HEADER)?).is_some();
            if is_header && let Ok(frame) = window.frame(at, None)? {
                let payload = Bytes::copy_from_slice(frame.payload);
                if let Some(group) = decode_group(&frame.header, &payload) {
                    let last = group.entries.last().map_or(0, |entry| entry.index);
                    let base = group.base.map_or(0, |base| base.0);
                    self.index = self.index.max(last).max(base);
                }
                at = frame.end.next_multiple_of(8);
            } else {
                at += 8;
            }
        }
        Ok(())
    }
}

/// Copies the damaged segment, whose end will be overwritten, and its successor, which will be
/// replaced.
fn copy_aside(
    disk: &dyn Disk,
    dir: &Path,
    numbers: &[u32],
    broken: u32,
) -> Result<Vec<PathBuf>, LogError> {
    let mut aside = Vec::new();
    let changed = broken..=broken.saturating_add(1);
    for number in numbers.iter().filter(|number| changed.contains(number)) {
        let kept = aside_path(disk, dir, *number)?;
        copy(disk, &segment_path(dir, *number), &kept)?;
        aside.push(kept);
    }
    disk.sync_dir(dir).map_err(LogError::io("sync", dir))?;
    Ok(aside)
}

/// Renames what lies behind the new segment; as long as any of it is there, the log is refused.
fn move_aside(
    disk: &dyn Disk,
    dir: &Path,
    numbers: &[u32],
    newest: u32,
) -> Result<Vec<PathBuf>, LogError> {
    let mut aside = Vec::new();
    for number in numbers.iter().rev().take_while(|number| **number > newest) {
        let (path, kept) = (segment_path(dir, *number), aside_path(disk, dir, *number)?);
        disk.rename(&path, &kept).map_err(LogError::io("rename", &path))?;
        disk.sync_dir(dir).map_err(LogError::io("sync", dir))?;
        aside.push(kept);
    }
    Ok(aside)
}

fn copy(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), LogError> {
    const STEP: usize = 1024 * 1024;
    let source = disk.open(from).map_err(LogError::io("open", from))?;
    let copy = disk.create(to).map_err(LogError::io("make", to))?;
    let mut bytes = vec![0; STEP];
    let mut at = 0;
    loop {
        let read = source.read_at(&mut bytes, at).map_err(LogError::io("read", from))?;
        if read == 0 {
            break;
        }
        copy.write_at(&bytes[..read], at).map_err(LogError::io("write", to))?;
        at += read as u64;
    }
    copy.sync().map_err(LogError::io("sync", to))
}
