//! Frames into the active segment: encoded, collected, written, synced.

use super::LogError;
use super::format::{
    Content, FRAME_HEADER, FRAME_TRAILER, Position, SECTOR, SEGMENT_HEADER, encode_frame,
    frame_start,
};
use super::segment::Segment;

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
/// The largest file of whole pages in which every byte has an offset of 32 bits.
const SEGMENT_BYTES_MAX: usize = u32::MAX as usize & !4095;

#[derive(Debug)]
pub(super) struct Writer {
    pub(super) segment: Segment,
    /// Frames not yet written, and the byte of the segment at which they begin.
    buffer: Vec<u8>,
    buffer_at: usize,
    /// The segment is written, with frames or zeros, up to here.
    written: usize,
    /// The checksum of the newest frame.
    pub(super) chain: u32,
    durable: Position,
}

impl Writer {
    /// Goes on at byte `end` of a segment, before which all is durable.
    pub(super) fn new(segment: Segment, end: usize, chain: u32) -> Writer {
        Writer {
            buffer: Vec::with_capacity(BUFFER_BYTES / 4),
            buffer_at: end,
            written: end,
            chain,
            durable: Position::new(segment.header.number, end),
            segment,
        }
    }

    /// The byte of the segment behind all frames.
    pub(super) fn end(&self) -> usize {
        self.buffer_at + self.buffer.len()
    }

    pub(super) fn end_position(&self) -> Position {
        Position::new(self.segment.header.number, self.end())
    }

    pub(super) fn is_durable(&self) -> bool {
        self.durable == self.end_position()
    }

    /// Whether a frame with so many bytes of payload leaves space for the segment's cut.
    pub(super) fn fits(&self, payload: usize) -> bool {
        frame_start(self.end()) + frame_space(payload) <= self.segment.header.size as usize
    }

    /// Adds a frame behind the others; it may stay in memory until the next flush.
    pub(super) fn append(&mut self, content: &Content<'_>) -> Position {
        let start = frame_start(self.end());
        self.buffer.resize(start - self.buffer_at, 0);
        let at = Position::new(self.segment.header.number, start);
        self.chain = encode_frame(&mut self.buffer, content, at, self.durable, self.chain);
        at
    }

    pub(super) fn flush_if_full(&mut self) -> Result<(), LogError> {
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) -> Result<(), LogError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let Segment { file, path, header } = &self.segment;
        let write = file.write_at(&self.buffer, self.buffer_at as u64);
        write.map_err(LogError::io("write", path))?;
        self.buffer_at += self.buffer.len();
        self.buffer.clear();
        // A group of unusual size must not keep its memory.
        self.buffer.shrink_to(4 * BUFFER_BYTES);
        if self.buffer_at > self.written {
            let ahead = ZEROS_AHEAD.min(header.size as usize - self.buffer_at);
            let write = file.write_at(&ZEROS[..ahead], self.buffer_at as u64);
            write.map_err(LogError::io("write", path))?;
            self.written = self.buffer_at + ahead;
        }
        Ok(())
    }

    pub(super) fn sync(&mut self) -> Result<(), LogError> {
        self.flush()?;
        if !self.is_durable() {
            let Segment { file, path, .. } = &self.segment;
            file.sync().map_err(LogError::io("sync", path))?;
            self.durable = self.end_position();
        }
        Ok(())
    }
}

/// Bytes that a frame needs at most, and the cut after it.
fn frame_space(payload: usize) -> usize {
    FRAME_HEADER + payload.next_multiple_of(8) + FRAME_TRAILER + CUT_RESERVE
}

/// Bytes of a segment that is `wanted` bytes long and takes one payload of so many bytes.
pub(super) fn segment_size(wanted: u64, payload: usize) -> u64 {
    let needed = SEGMENT_HEADER + frame_space(payload) + CUT_RESERVE;
    let size = usize::try_from(wanted).unwrap_or(usize::MAX).clamp(needed, SEGMENT_BYTES_MAX);
    size.next_multiple_of(4096) as u64
}
