//! Bytes of the log and back: the layout that the module's page describes.

use bytes::Bytes;
use kvorum_core::node::Group;
use raft_proto::eraftpb::{Entry, HardState};

use super::torn::count_zero_sectors;
use crate::identity::Identity;

/// The unit a device writes whole or not at all.
pub(super) const SECTOR: usize = 512;
pub(super) const SEGMENT_HEADER: usize = SECTOR;
pub(super) const FRAME_HEADER: usize = 48;
pub(super) const FRAME_TRAILER: usize = 8;
pub(super) const FORMAT: u32 = 2;

const SEGMENT_MAGIC: [u8; 8] = *b"KVORUMWL";
const SEGMENT_FIELDS: usize = 112;
const FRAME_MAGIC: u32 = 0x6b76_726d;
/// Ends what was written whole. No single flipped bit makes its last byte zero.
const END: [u8; 4] = [0xa5, 0x5a, 0x3c, 0xc3];
const HARD_STATE: usize = 24;
const BASE: usize = 16;
const ENTRY_FIXED: usize = 28;
const FLAG_HARD_STATE: u16 = 1;
const FLAG_CUT: u16 = 2;
const FLAG_BASE: u16 = 4;

/// A place in the log: the segment's number and the byte in its file. Ordered as the log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position(u64);

impl Position {
    pub(super) fn new(segment: u32, offset: usize) -> Position {
        Position(u64::from(segment) << 32 | offset as u64)
    }

    pub(super) fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(super) fn offset(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }
}

/// What a segment says at its beginning.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SegmentHeader {
    pub(super) identity: Identity,
    pub(super) number: u32,
    /// Bytes of the file, fixed when it was made.
    pub(super) size: u64,
    /// Index and term of the log's last entry when the segment was begun.
    pub(super) previous: (u64, u64),
    pub(super) hard_state: HardState,
    /// Where the segment before ended, and the checksum its last frame had.
    pub(super) continues: Position,
    pub(super) chain: u32,
    /// The last entry that the log is known to have lost to damage, if it lost any.
    pub(super) incomplete: Option<u64>,
}

/// Why a segment's header cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderFlaw {
    Format(u32),
    Corrupt(&'static str),
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut out = [0; SEGMENT_HEADER];
        out[..8].copy_from_slice(&SEGMENT_MAGIC);
        put_u32(&mut out, 8, FORMAT);
        put_u32(&mut out, 12, self.number);
        put_identity(&mut out, 16, self.identity);
        put_u64(&mut out, 40, self.size);
        put_u64(&mut out, 48, self.previous.0);
        put_u64(&mut out, 56, self.previous.1);
        put_hard_state(&mut out[64..], &self.hard_state);
        put_u64(&mut out, 88, self.continues.0);
        put_u32(&mut out, 96, self.chain);
        put_u64(&mut out, 100, self.incomplete.unwrap_or(0));
        let crc = crc32fast::hash(&out[..SEGMENT_FIELDS - 4]);
        put_u32(&mut out, SEGMENT_FIELDS - 4, crc);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<SegmentHeader, HeaderFlaw> {
        if bytes.len() < SEGMENT_HEADER {
            return Err(HeaderFlaw::Corrupt("the file is shorter than its header"));
        }
        if bytes[..8] != SEGMENT_MAGIC {
            return Err(HeaderFlaw::Corrupt("this is no log segment"));
        }
        let format = get_u32(bytes, 8);
        if (1..FORMAT).contains(&format) {
            // An older layout has its checksum elsewhere.
            return Err(HeaderFlaw::Format(format));
        }
        if get_u32(bytes, SEGMENT_FIELDS - 4) != crc32fast::hash(&bytes[..SEGMENT_FIELDS - 4]) {
            return Err(HeaderFlaw::Corrupt("the checksum of the segment's header is wrong"));
        }
        if format != FORMAT {
            return Err(HeaderFlaw::Format(format));
        }
        Ok(SegmentHeader {
            identity: get_identity(bytes, 16),
            number: get_u32(bytes, 12),
            size: get_u64(bytes, 40),
            previous: (get_u64(bytes, 48), get_u64(bytes, 56)),
            hard_state: get_hard_state(&bytes[64..]),
            continues: Position(get_u64(bytes, 88)),
            chain: get_u32(bytes, 96),
            incomplete: Some(get_u64(bytes, 100)).filter(|index| *index > 0),
        })
    }

    /// What the segment's first frame continues: the header's own checksum, which covers where
    /// the segment before ended.
    pub(super) fn first_chain(&self) -> u32 {
        let bytes = self.encode();
        get_u32(&bytes, SEGMENT_FIELDS - 4)
    }
}

/// What a frame says before its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) payload: usize,
    pub(super) position: Position,
    /// Everything before this place was durable when the frame was written.
    pub(super) durable: Position,
    /// The checksum of the frame before.
    pub(super) chain: u32,
    /// Sectors that lie wholly in the frame and are zero.
    pub(super) zero_sectors: u32,
    pub(super) entries: u32,
    flags: u16,
}

impl FrameHeader {
    /// Reads a header that its checksum vouches for.
    pub(super) fn decode(bytes: &[u8]) -> Option<FrameHeader> {
        let bytes = bytes.get(..FRAME_HEADER)?;
        if get_u32(bytes, 0) != FRAME_MAGIC
            || bytes[44..48] != END
            || get_u32(bytes, 40) != crc32fast::hash(&bytes[..40])
        {
            return None;
        }
        Some(FrameHeader {
            payload: get_u32(bytes, 4) as usize,
            position: Position(get_u64(bytes, 8)),
            durable: Position(get_u64(bytes, 16)),
            chain: get_u32(bytes, 24),
            zero_sectors: get_u32(bytes, 28),
            entries: get_u32(bytes, 32),
            flags: u16::from_le_bytes([bytes[36], bytes[37]]),
        })
    }

    /// Bytes from the header's first to the trailer's last.
    pub(super) fn frame_bytes(&self) -> usize {
        FRAME_HEADER + self.payload.next_multiple_of(8) + FRAME_TRAILER
    }

    /// Whether the segment ends here and another follows.
    pub(super) fn is_cut(&self) -> bool {
        self.flags & FLAG_CUT != 0
    }

    /// Whether this program knows everything that the frame may hold.
    pub(super) fn is_known(&self) -> bool {
        self.flags & !(FLAG_HARD_STATE | FLAG_CUT | FLAG_BASE) == 0
    }
}

pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Where the next frame begins that is written at or after `offset`: aligned, and with its
/// header within one sector, so that a header is there whole or not at all.
pub(super) fn frame_start(offset: usize) -> usize {
    let offset = offset.next_multiple_of(8);
    if offset % SECTOR > SECTOR - FRAME_HEADER { offset.next_multiple_of(SECTOR) } else { offset }
}

/// What goes into a frame.
pub(super) enum Content<'a> {
    Group(&'a Group),
    /// Nothing: the frame only says how far the log was durable.
    Mark,
    Cut,
}

impl Content<'_> {
    /// Bytes of the payload, before padding.
    pub(super) fn payload_bytes(&self) -> usize {
        let Content::Group(group) = self else { return 0 };
        let entries = group.entries.iter();
        let entries: usize = entries.map(|e| ENTRY_FIXED + e.data.len() + e.context.len()).sum();
        let base = if group.base.is_some() { BASE } else { 0 };
        base + if group.hard_state.is_some() { HARD_STATE } else { 0 } + entries
    }
}

/// Appends a frame to `out`, whose end is `position`; answers the frame's checksum.
pub(super) fn encode_frame(
    out: &mut Vec<u8>,
    content: &Content<'_>,
    position: Position,
    durable: Position,
    chain: u32,
) -> u32 {
    let start = out.len();
    out.resize(start + FRAME_HEADER, 0);
    let (mut flags, mut entries) = (0, 0);
    match content {
        Content::Mark => {}
        Content::Cut => flags |= FLAG_CUT,
        Content::Group(group) => {
            entries = group.entries.len() as u32;
            if let Some((index, term)) = group.base {
                flags |= FLAG_BASE;
                out.extend_from_slice(&index.to_le_bytes());
                out.extend_from_slice(&term.to_le_bytes());
            }
            if let Some(hard_state) = &group.hard_state {
                flags |= FLAG_HARD_STATE;
                let at = out.len();
                out.resize(at + HARD_STATE, 0);
                put_hard_state(&mut out[at..], hard_state);
            }
            for entry in &group.entries {
                encode_entry(out, entry);
            }
        }
    }
    let payload = out.len() - start - FRAME_HEADER;
    out.resize(start + FRAME_HEADER + payload.next_multiple_of(8), 0);

    let zero_sectors = count_zero_sectors(&out[start..], position.offset());
    let header = &mut out[start..start + FRAME_HEADER];
    put_u32(header, 0, FRAME_MAGIC);
    put_u32(header, 4, payload as u32);
    put_u64(header, 8, position.0);
    put_u64(header, 16, durable.0);
    put_u32(header, 24, chain);
    put_u32(header, 28, zero_sectors);
    put_u32(header, 32, entries);
    header[36..38].copy_from_slice(&u16::to_le_bytes(flags));
    let crc = crc32fast::hash(&header[..40]);
    put_u32(header, 40, crc);
    header[44..48].copy_from_slice(&END);

    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&END);
    crc
}

/// The checksum of a whole frame, if it is right.
pub(super) fn frame_crc(frame: &[u8]) -> Option<u32> {
    let (body, trailer) = frame.split_at_checked(frame.len().checked_sub(FRAME_TRAILER)?)?;
    let crc = crc32fast::hash(body);
    (get_u32(trailer, 0) == crc && trailer[4..] == END).then_some(crc)
}

/// The group in a frame's payload, its number apart; `None` if the payload is not what the header
/// says.
pub(super) fn decode_group(header: &FrameHeader, payload: &Bytes) -> Option<Group> {
    let mut at = 0;
    let mut base = None;
    if header.flags & FLAG_BASE != 0 {
        let fixed = payload.get(..BASE)?;
        base = Some((get_u64(fixed, 0), get_u64(fixed, 8)));
        at += BASE;
    }
    let mut hard_state = None;
    if header.flags & FLAG_HARD_STATE != 0 {
        hard_state = Some(get_hard_state(payload.get(at..at + HARD_STATE)?));
        at += HARD_STATE;
    }
    let mut entries =
        Vec::with_capacity((header.entries as usize).min(payload.len() / ENTRY_FIXED));
    for _ in 0..header.entries {
        let fixed = payload.get(at..at + ENTRY_FIXED)?;
        at += ENTRY_FIXED;
        let data = get_u32(fixed, 20) as usize;
        let context = get_u32(fixed, 24) as usize;
        let end = at.checked_add(data)?.checked_add(context)?;
        if end > payload.len() {
            return None;
        }
        entries.push(Entry {
            index: get_u64(fixed, 0),
            term: get_u64(fixed, 8),
            entry_type: get_u32(fixed, 16) as i32,
            data: payload.slice(at..at + data),
            context: payload.slice(at + data..end),
            sync_log: false,
        });
        at = end;
    }
    (at == payload.len()).then_some(Group { number: 0, base, entries, hard_state })
}

fn encode_entry(out: &mut Vec<u8>, entry: &Entry) {
    let mut fixed = [0; ENTRY_FIXED];
    put_u64(&mut fixed, 0, entry.index);
    put_u64(&mut fixed, 8, entry.term);
    put_u32(&mut fixed, 16, entry.entry_type as u32);
    put_u32(&mut fixed, 20, entry.data.len() as u32);
    put_u32(&mut fixed, 24, entry.context.len() as u32);
    out.extend_from_slice(&fixed);
    out.extend_from_slice(&entry.data);
    out.extend_from_slice(&entry.context);
}

pub(super) fn put_identity(out: &mut [u8], at: usize, identity: Identity) {
    put_u64(out, at, identity.cluster_id);
    put_u64(out, at + 8, identity.member_id);
    put_u64(out, at + 16, identity.incarnation);
}

pub(super) fn get_identity(bytes: &[u8], at: usize) -> Identity {
    Identity {
        cluster_id: get_u64(bytes, at),
        member_id: get_u64(bytes, at + 8),
        incarnation: get_u64(bytes, at + 16),
    }
}

fn put_hard_state(out: &mut [u8], state: &HardState) {
    put_u64(out, 0, state.term);
    put_u64(out, 8, state.vote);
    put_u64(out, 16, state.commit);
}

fn get_hard_state(bytes: &[u8]) -> HardState {
    HardState { term: get_u64(bytes, 0), vote: get_u64(bytes, 8), commit: get_u64(bytes, 16) }
}

pub(super) fn put_u32(out: &mut [u8], at: usize, value: u32) {
    out[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u64(out: &mut [u8], at: usize, value: u64) {
    out[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn get_u32(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

pub(super) fn get_u64(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
