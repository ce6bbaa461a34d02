//! Frames read one after the other from a segment, and what a bad one means by itself.

use super::LogError;
use super::format::{
    FRAME_HEADER, FRAME_TRAILER, FrameHeader, Position, SECTOR, frame_crc, frame_start, is_zero,
};
use super::segment::Segment;
use super::torn::{is_unfinished, lacks_sectors};

/// Bytes read at a time: large enough that system calls do not count, small enough to forget.
const WINDOW_BYTES: usize = 256 * 1024;

/// Why there is no frame at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The header is zero: nothing was written here.
    Blank,
    /// Something was written, but not to its end.
    Unfinished,
    /// What no write leaves that a crash interrupted.
    Damaged(String),
}

/// A frame that is whole and in its place.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) header: FrameHeader,
    pub(super) payload: &'a [u8],
    pub(super) crc: u32,
    /// The byte after it.
    pub(super) end: usize,
}

/// A part of a segment in memory. Past the end of the file there are zeros.
#[derive(Debug)]
pub(super) struct Window<'a> {
    segment: &'a Segment,
    start: usize,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    pub(super) fn new(segment: &'a Segment) -> Window<'a> {
        Window { segment, start: 0, bytes: Vec::new() }
    }

    pub(super) fn get(&mut self, offset: usize, len: usize) -> Result<&[u8], LogError> {
        if offset < self.start || offset + len > self.start + self.bytes.len() {
            let wanted = WINDOW_BYTES.min(self.segment.header.size as usize).max(len);
            if self.bytes.len() < wanted {
                self.bytes = vec![0; wanted];
            }
            self.start = offset;
            let read = self.segment.file.read_at(&mut self.bytes, offset as u64);
            let read = read.map_err(LogError::io("read", &self.segment.path))?;
            self.bytes[read..].fill(0);
        }
        let from = offset - self.start;
        Ok(&self.bytes[from..from + len])
    }

    /// The frame at or, by alignment, right after `offset`. `chain` is the checksum of the frame
    /// before, where that is known.
    pub(super) fn frame(
        &mut self,
        offset: usize,
        chain: Option<u32>,
    ) -> Result<Result<Frame<'_>, Flaw>, LogError> {
        let offset = frame_start(offset);
        let position = Position::new(self.segment.header.number, offset);
        let size = self.segment.header.size as usize;
        if offset + FRAME_HEADER + FRAME_TRAILER > size {
            return Ok(Err(Flaw::Blank));
        }
        let bytes = self.get(offset, sector_end(offset + FRAME_HEADER, size) - offset)?;
        let header = match check_header(bytes, position, chain) {
            Ok(header) => header,
            Err(flaw) => return Ok(Err(flaw)),
        };
        let len = header.frame_bytes();
        if offset + len > size {
            return Ok(Err(Flaw::Damaged("a group reaches past the end of the file".to_owned())));
        }
        let (bytes, behind) =
            self.get(offset, sector_end(offset + len, size) - offset)?.split_at(len);
        let Some(crc) = frame_crc(bytes) else {
            let torn = is_unfinished(bytes, behind) || lacks_sectors(bytes, behind, &header);
            let what = "the checksum of a group is wrong";
            return Ok(Err(if torn { Flaw::Unfinished } else { Flaw::Damaged(what.to_owned()) }));
        };
        if !header.is_known() {
            let what = "a group is of a kind that this version of kvorum does not know";
            return Ok(Err(Flaw::Damaged(what.to_owned())));
        }
        let payload = &bytes[FRAME_HEADER..FRAME_HEADER + header.payload];
        Ok(Ok(Frame { header, payload, crc, end: offset + len }))
    }
}

/// The end of the sector in which the byte before `offset` lies, or of the segment.
fn sector_end(offset: usize, size: usize) -> usize {
    offset.next_multiple_of(SECTOR).min(size)
}

/// Reads the header at the beginning of `bytes`, which go on to the end of its sector.
fn check_header(bytes: &[u8], position: Position, chain: Option<u32>) -> Result<FrameHeader, Flaw> {
    let (bytes, behind) = bytes.split_at(FRAME_HEADER);
    if is_zero(bytes) {
        return Err(Flaw::Blank);
    }
    let Some(header) = FrameHeader::decode(bytes) else {
        return Err(if is_unfinished(bytes, behind) {
            Flaw::Unfinished
        } else {
            Flaw::Damaged("the header of a group is wrong".to_owned())
        });
    };
    if header.position != position {
        return Err(Flaw::Damaged(format!(
            "the group here belongs at byte {} of segment {:08x}",
            header.position.offset(),
            header.position.segment()
        )));
    }
    if chain.is_some_and(|chain| chain != header.chain) {
        return Err(Flaw::Damaged("the group here does not continue the one before".to_owned()));
    }
    Ok(header)
}

/// What lies behind the place at which a segment's frames end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rest {
    /// The byte after the last one that is not zero, or the end of the frames.
    pub(super) end: usize,
    /// A frame further on says that the log was durable past that place.
    pub(super) was_durable: bool,
}

/// Looks at everything from `offset` to the end of the segment.
pub(super) fn look_behind(segment: &Segment, offset: usize) -> Result<Rest, LogError> {
    const STEP: usize = 4096;
    static ZEROS: [u8; STEP] = [0; STEP];
    let size = segment.header.size as usize;
    let here = Position::new(segment.header.number, offset);
    let mut window = Window::new(segment);
    let mut rest = Rest { end: offset, was_durable: false };
    let mut at = offset.next_multiple_of(8).min(size);
    while at < size {
        // A header may begin in one step and end in the next.
        let len = STEP.min(size - at);
        let bytes = window.get(at, len + FRAME_HEADER)?;
        if bytes[..len] == ZEROS[..len] {
            at += len;
            continue;
        }
        let last = bytes[..len].iter().rposition(|b| *b != 0).unwrap_or(0);
        rest.end = at + last + 1;
        for start in (0..len).step_by(8) {
            let Some(header) = FrameHeader::decode(&bytes[start..]) else { continue };
            let position = Position::new(segment.header.number, at + start);
            if header.position == position && header.durable > here {
                rest.was_durable = true;
                return Ok(rest);
            }
        }
        at += len;
    }
    Ok(rest)
}
