//! The write-ahead log: what raft must not forget.
//!
//! [`Log`] appends groups and makes them durable; [`Persisted`], which only it can make, is the
//! proof. One log has one writer. After a failed write or sync it takes nothing more: the kernel
//! may have dropped the bytes and say yes the second time, so nothing is ever tried again.
//!
//! # Format
//!
//! All numbers are little-endian. Checksums are CRC-32 (IEEE).
//!
//! The log is a directory of **segments**, files named `<number>.log` with the number in eight
//! hexadecimal digits, without a gap. A segment has its full size from the beginning and is all
//! zeros past its last frame. It gets its name only when its header is durable. Its first 512
//! bytes:
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 8 | `KVORUMWL` |
//! | 8 | 4 | format version, 2 |
//! | 12 | 4 | number of the segment |
//! | 16 | 24 | cluster id, member id, incarnation |
//! | 40 | 8 | size of the file |
//! | 48 | 16 | index and term of the log's last entry when the segment was begun |
//! | 64 | 24 | the hard state then: term, vote, commit |
//! | 88 | 8 | position at which the segment before ended |
//! | 96 | 4 | checksum of that segment's last frame |
//! | 100 | 8 | the last entry that the log is known to have lost to damage; 0 if it lost none |
//! | 108 | 4 | checksum of bytes 0 to 107 |
//! | 112 | 400 | zeros |
//!
//! A **position** is the number of a segment (high 32 bits) and a byte in its file (low 32 bits).
//!
//! Then come **frames**, each aligned to 8 bytes. A frame whose header would cross the border of
//! a 512-byte sector begins at that border, and the bytes before it are zeros. The header has 48
//! bytes:
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 4 | `6d 72 76 6b` |
//! | 4 | 4 | bytes of payload |
//! | 8 | 8 | the frame's own position |
//! | 16 | 8 | position before which all was durable when the frame was written |
//! | 24 | 4 | checksum of the frame before; of the segment's header for its first frame |
//! | 28 | 4 | sectors wholly inside the frame that are zero |
//! | 32 | 4 | entries in the payload |
//! | 36 | 2 | flags: 1 the payload has a hard state, 2 the segment ends here and another follows, 4 the payload has a base |
//! | 38 | 2 | zeros |
//! | 40 | 4 | checksum of bytes 0 to 39 |
//! | 44 | 4 | `a5 5a 3c c3` |
//!
//! The payload is one [group](kvorum_core::node::Group): the base if there is one (index, term:
//! 16 bytes), the hard state if there is one (term, vote, commit: 24 bytes), then the entries,
//! each index (8), term (8), type (4), bytes of data (4), bytes of context (4), data, context.
//! Zeros fill it up to a multiple of 8 bytes. Four bytes of checksum over header, payload and
//! filling follow, and again `a5 5a 3c c3`. A frame without any of the three is a **mark**: it
//! only says how far the log was durable.
//!
//! Beside the segments lies a file with the newest term and vote, so that no damage to the log
//! hides to whom this member gave its vote; see `vote`.
//!
//! # Where the log begins
//!
//! An entry replaces those of the same and of higher indexes. A base makes all entries before it
//! void, and the log begins anew after it. Otherwise the log begins after the last entry that its
//! oldest segment's header names. Old segments are removed one by one, oldest first, each
//! removal durable before the next ([`Log::release`]). A crash in between can leave one first
//! that the log cannot begin with, for entries at or below the index in its header were replaced
//! later on. Then what it holds counts for nothing, and the log begins with the segment after the
//! one in which they were replaced, or with the next base; there must be one or the other.
//!
//! # What a bad frame means
//!
//! A crash leaves any selection of the sectors written since the last sync, each whole, the
//! others as they were: zero, or, of a sector that two frames share, with less of what was written
//! to it. So at the end of the last segment a frame is **torn** if its header is zero, or if header
//! or frame do not end in the four bytes that end them and all behind is zero up to the end of the
//! sector, or if more of its sectors are zero than its header allows (see `torn`). The log is cut
//! there and the rest is made zero again.
//!
//! Anything else is **damage**, and the log is not opened: a frame that is whole but wrong, one
//! that belongs elsewhere, one that does not continue the frame before, bytes that no crash leaves
//! where a frame would begin, any bad frame in a segment that has a successor, any bad frame before
//! a position that a later frame calls durable, and a log without the newest vote. So a synced
//! group is never taken for a torn one by a flipped bit, wherever it is. [`Log::mark`] lets an idle
//! log say so about its newest group too, against the loss of a whole sector. What no log can tell by itself is that its end is older than it should be, all later
//! sectors gone at once: then it ends before what the store has applied, and boot refuses.
//!
//! [`Log::salvage`] keeps what is good of a damaged log, for members that have a leader to get the
//! rest from. The header of every segment says so until the member has caught up.

mod error;
mod format;
mod index;
mod log;
mod read;
mod recover;
mod replay;
mod salvage;
mod scan;
mod segment;
mod starts;
#[cfg(test)]
mod tests;
mod torn;
mod vote;
mod writer;

pub use error::LogError;
pub use log::{Log, Options, Persisted};
pub use recover::Recovered;
pub use salvage::Salvage;
