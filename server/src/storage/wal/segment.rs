//! The files of the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LogError;
use super::format::{HeaderFlaw, SEGMENT_HEADER, SegmentHeader};
use crate::identity::Identity;
use crate::storage::disk::{Disk, DiskFile};

const SUFFIX: &str = ".log";
/// A segment that has not got its name yet; left behind by a crash it holds nothing.
const UNNAMED_SUFFIX: &str = ".log.new";
/// What was part of the log and is damaged, or lies behind damage: kept for a person to look at.
const ASIDE_SUFFIX: &str = ".log.damaged";

/// An open segment.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) header: SegmentHeader,
    pub(super) file: Arc<dyn DiskFile>,
}

/// What a file in the log's directory that is set aside was once: a segment of this number.
pub(super) fn parse_aside(name: &str) -> Option<u32> {
    parse_number(&format!("{}{SUFFIX}", name.split_once(ASIDE_SUFFIX)?.0))
}

pub(super) fn segment_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08x}{SUFFIX}"))
}

impl Segment {
    /// Makes a segment of zeros but for its header, durable before it has its name.
    pub(super) fn create(
        disk: &dyn Disk,
        dir: &Path,
        header: SegmentHeader,
    ) -> Result<Segment, LogError> {
        let path = segment_path(dir, header.number);
        let unnamed = dir.join(format!("{:08x}{UNNAMED_SUFFIX}", header.number));
        let action = "make log segment";
        let file = disk.create(&unnamed).map_err(LogError::io(action, &unnamed))?;
        file.preallocate(header.size).map_err(LogError::io(action, &unnamed))?;
        file.write_at(&header.encode(), 0).map_err(LogError::io(action, &unnamed))?;
        file.sync().map_err(LogError::io("sync", &unnamed))?;
        disk.rename(&unnamed, &path).map_err(LogError::io(action, &path))?;
        disk.sync_dir(dir).map_err(LogError::io("sync", dir))?;
        Ok(Segment { path, header, file })
    }

    /// Opens a segment and checks that it is this member's and as long as it was made.
    pub(super) fn open(
        disk: &dyn Disk,
        dir: &Path,
        number: u32,
        expected: Identity,
    ) -> Result<Segment, LogError> {
        let segment = Segment::read_header(disk, dir, number)?;
        let Segment { path, header, file } = &segment;
        if header.identity != expected {
            let path = path.clone();
            return Err(LogError::Stranger { path, found: header.identity, expected });
        }
        if header.number != number {
            let what = format!("the file is segment {:08x} under another name", header.number);
            return Err(damaged(path, what));
        }
        let size = file.size().map_err(LogError::io("read", path))?;
        if size != header.size {
            let what = format!("the file has {size} bytes instead of {}", header.size);
            return Err(damaged(path, what));
        }
        Ok(segment)
    }

    /// Reads what a segment says of itself; only that its header is whole is checked.
    pub(super) fn read_header(
        disk: &dyn Disk,
        dir: &Path,
        number: u32,
    ) -> Result<Segment, LogError> {
        let path = segment_path(dir, number);
        let file = disk.open(&path).map_err(LogError::io("open", &path))?;
        let header = stated_header(&path, &*file)?;
        Ok(Segment { path, header, file })
    }
}

/// What the file at `path` says of itself as a segment.
pub(super) fn stated_header(path: &Path, file: &dyn DiskFile) -> Result<SegmentHeader, LogError> {
    let mut bytes = [0; SEGMENT_HEADER];
    let read = file.read_at(&mut bytes, 0).map_err(LogError::io("read", path))?;
    SegmentHeader::decode(&bytes[..read]).map_err(|flaw| match flaw {
        HeaderFlaw::Corrupt(what) => damaged(path, what.to_owned()),
        HeaderFlaw::Format(found) => {
            LogError::Format { path: path.to_owned(), found, known: super::format::FORMAT }
        }
    })
}

fn damaged(path: &Path, what: String) -> LogError {
    LogError::Damaged { path: path.to_owned(), offset: 0, index: 0, what }
}

/// The numbers of the segments in `dir`, which must be without a gap. What a crash left unnamed
/// is removed.
pub(super) fn list_segments(disk: &dyn Disk, dir: &Path) -> Result<Vec<u32>, LogError> {
    let numbers = list_remaining(disk, dir)?;
    for pair in numbers.windows(2) {
        if pair[1] != pair[0] + 1 {
            return Err(LogError::Missing { path: segment_path(dir, pair[0] + 1) });
        }
    }
    Ok(numbers)
}

/// The numbers of the segments in `dir`, of which some may be missing, but not all.
pub(super) fn list_remaining(disk: &dyn Disk, dir: &Path) -> Result<Vec<u32>, LogError> {
    let mut numbers: Vec<u32> = Vec::new();
    for name in disk.list(dir).map_err(LogError::io("list", dir))? {
        if name.ends_with(UNNAMED_SUFFIX) {
            let path = dir.join(name);
            disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
        } else if let Some(number) = parse_number(&name) {
            numbers.push(number);
        }
    }
    if numbers.is_empty() {
        return Err(LogError::Missing { path: segment_path(dir, 1) });
    }
    Ok(numbers)
}

/// A name that is free for what was segment `number`, and may look like segment `number` no more.
pub(super) fn aside_path(disk: &dyn Disk, dir: &Path, number: u32) -> Result<PathBuf, LogError> {
    let mut path = dir.join(format!("{number:08x}{ASIDE_SUFFIX}"));
    for copy in 2_u32.. {
        if disk.kind(&path).map_err(LogError::io("look for", &path))?.is_none() {
            break;
        }
        path = dir.join(format!("{number:08x}{ASIDE_SUFFIX}.{copy}"));
    }
    Ok(path)
}

/// The number of the segment that has this name.
pub(super) fn parse_number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(SUFFIX)?;
    if digits.len() != 8
        || digits.bytes().any(|b| !b.is_ascii_digit() && !(b'a'..=b'f').contains(&b))
    {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}
