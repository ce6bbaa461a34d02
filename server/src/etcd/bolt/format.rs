//! Pages and what stands at which place in them.

use std::hash::Hasher;

use fnv::FnvHasher;

/// The size of the pages we write: that of the machines that bbolt runs on most.
pub const PAGE_BYTES: usize = 4096;

pub(super) const PAGE_HEADER: usize = 16;
/// The size of an element of a branch and of a leaf.
pub(super) const ELEMENT: usize = 16;
/// What a bucket is in its parent's leaf: its root page, and a sequence number.
pub(super) const BUCKET_HEADER: usize = 16;
pub(super) const META: usize = 64;

pub(super) const BRANCH: u16 = 0x01;
pub(super) const LEAF: u16 = 0x02;
pub(super) const META_PAGE: u16 = 0x04;
pub(super) const FREELIST: u16 = 0x10;

/// The flag of a leaf's element that is a bucket.
pub(super) const IS_BUCKET: u32 = 0x01;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;

/// The header of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: u64,
    pub(super) kind: u16,
    /// Elements.
    pub(super) count: u16,
    /// Pages behind this one that its content goes on over.
    pub(super) overflow: u32,
}

impl Header {
    pub(super) fn encode(self) -> [u8; PAGE_HEADER] {
        let mut out = [0; PAGE_HEADER];
        out[..8].copy_from_slice(&self.id.to_le_bytes());
        out[8..10].copy_from_slice(&self.kind.to_le_bytes());
        out[10..12].copy_from_slice(&self.count.to_le_bytes());
        out[12..].copy_from_slice(&self.overflow.to_le_bytes());
        out
    }

    /// How many pages it is, with those that it goes on over.
    pub(super) fn pages(self) -> u64 {
        1 + u64::from(self.overflow)
    }

    /// `None` if there are too few bytes.
    pub(super) fn decode(page: &[u8]) -> Option<Header> {
        Some(Header {
            id: u64_at(page, 0)?,
            kind: u16_at(page, 8)?,
            count: u16_at(page, 10)?,
            overflow: u32_at(page, 12)?,
        })
    }
}

/// What a meta page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) page_bytes: u32,
    /// Where the tree of buckets begins.
    pub(super) root: u64,
    pub(super) freelist: u64,
    /// The first page after all that are in use.
    pub(super) end: u64,
    pub(super) transaction: u64,
}

impl Meta {
    pub(super) fn encode(self) -> [u8; META] {
        let mut out = [0; META];
        out[..4].copy_from_slice(&MAGIC.to_le_bytes());
        out[4..8].copy_from_slice(&VERSION.to_le_bytes());
        out[8..12].copy_from_slice(&self.page_bytes.to_le_bytes());
        // Flags at 12 and the sequence of the root bucket at 24 are zero.
        out[16..24].copy_from_slice(&self.root.to_le_bytes());
        out[32..40].copy_from_slice(&self.freelist.to_le_bytes());
        out[40..48].copy_from_slice(&self.end.to_le_bytes());
        out[48..56].copy_from_slice(&self.transaction.to_le_bytes());
        let sum = checksum(&out[..56]);
        out[56..].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// `None` if this is no meta page, or a damaged one.
    pub(super) fn decode(bytes: &[u8]) -> Option<Meta> {
        let known = u32_at(bytes, 0)? == MAGIC && u32_at(bytes, 4)? == VERSION;
        let sound = checksum(bytes.get(..56)?) == u64_at(bytes, 56)?;
        (known && sound).then_some(Meta {
            page_bytes: u32_at(bytes, 8)?,
            root: u64_at(bytes, 16)?,
            freelist: u64_at(bytes, 32)?,
            end: u64_at(bytes, 40)?,
            transaction: u64_at(bytes, 48)?,
        })
    }
}

/// FNV-1a with 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
