//! Whether a bad frame is one that a crash left half written, or one that was damaged later.
//!
//! A crash leaves any selection of the sectors written since the last sync, the others zero. So a
//! frame with more zero sectors than were written is torn. But a sector with a single bit set looks
//! like one that was never written when that bit is flipped: if setting one bit again in one of
//! the zero sectors makes the checksum right, the frame was whole and is damaged. A lost sector
//! that had one bit set is taken for that as well: nothing tells the two apart.

use super::format::{FRAME_TRAILER, FrameHeader, SECTOR, get_u32, is_zero};

/// Whether a header or a frame was begun but not written to its end: its last byte is never zero,
/// and where nothing was written there are zeros `behind` it too, up to the end of its sector.
pub(super) fn is_unfinished(bytes: &[u8], behind: &[u8]) -> bool {
    bytes.last() == Some(&0) && is_zero(behind)
}

/// Whether some of a frame whose checksum is wrong was never written. Its first sector holds the
/// header; its last one goes on `behind` it.
pub(super) fn lacks_sectors(frame: &[u8], behind: &[u8], header: &FrameHeader) -> bool {
    let offset = header.position.offset();
    let tail = (offset + frame.len()) % SECTOR;
    let last = frame.len().checked_sub(tail).filter(|_| tail > 0);
    if last.is_some_and(|last| is_zero(&frame[last..]) && is_zero(behind)) {
        return true;
    }
    match count_zero_sectors(frame, offset).saturating_sub(header.zero_sectors) {
        0 => false,
        1 => !is_a_bit_short(frame, offset),
        _ => true,
    }
}

/// How many of the sectors that lie wholly in `bytes`, which begin at `offset`, are zero.
pub(super) fn count_zero_sectors(bytes: &[u8], offset: usize) -> u32 {
    let first = first_sector(offset);
    let Some(inside) = bytes.get(first..) else { return 0 };
    inside.chunks_exact(SECTOR).filter(|sector| is_zero(sector)).count() as u32
}

/// Where the first sector begins that lies wholly in what begins at `offset`.
fn first_sector(offset: usize) -> usize {
    offset.next_multiple_of(SECTOR) - offset
}

/// Whether one bit set in one of the zero sectors makes the frame's checksum right. A CRC is
/// linear: a bit changes it by a figure that depends only on how far from the end the bit is.
fn is_a_bit_short(frame: &[u8], offset: usize) -> bool {
    let Some((body, trailer)) = frame.split_at_checked(frame.len() - FRAME_TRAILER) else {
        return false;
    };
    let wanted = crc32fast::hash(body) ^ get_u32(trailer, 0);
    let zero_sectors: Vec<bool> = {
        let inside = body.get(first_sector(offset)..).unwrap_or_default();
        inside.chunks_exact(SECTOR).map(is_zero).collect()
    };
    let mut changes: [u32; 8] = std::array::from_fn(|bit| TABLE[1 << bit]);
    for at in (0..body.len()).rev() {
        let sector = at.checked_sub(first_sector(offset)).map(|at| at / SECTOR);
        let is_zero = sector.and_then(|sector| zero_sectors.get(sector)) == Some(&true);
        if is_zero && changes.contains(&wanted) {
            return true;
        }
        changes = changes.map(|change| change >> 8 ^ TABLE[(change & 0xff) as usize]);
    }
    false
}

/// What a byte does to a CRC-32 (IEEE).
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};
