//! Entries read back from the frames they lie in.

use bytes::Bytes;
use prost::Message;
use raft_proto::eraftpb::Entry;

use super::LogError;
use super::format::decode_group;
use super::scan::{Flaw, Window};
use super::segment::Segment;

/// A walk through frames for the entries from `next` to before `stop`.
pub(super) struct Walk {
    pub(super) next: u64,
    pub(super) stop: u64,
    pub(super) bytes: u64,
    pub(super) max_bytes: u64,
}

impl Walk {
    /// Adds what it finds to `entries`; answers whether the limit was reached.
    pub(super) fn collect(
        &mut self,
        segment: &Segment,
        mut offset: usize,
        entries: &mut Vec<Entry>,
    ) -> Result<bool, LogError> {
        let mut window = Window::new(segment);
        while self.next < self.stop {
            let damaged = |after: u64, what: &str| LogError::Damaged {
                path: segment.path.clone(),
                offset: offset as u64,
                index: after,
                what: what.to_owned(),
            };
            let gone = |next: u64| damaged(next - 1, "a group is gone");
            let frame = match window.frame(offset, None)? {
                Ok(frame) => frame,
                Err(Flaw::Damaged(what)) => return Err(damaged(self.next - 1, &what)),
                Err(_) => return Err(gone(self.next)),
            };
            let payload = Bytes::copy_from_slice(frame.payload);
            let Some(found) = decode_group(&frame.header, &payload) else {
                return Err(damaged(self.next - 1, "a group does not hold what its header says"));
            };
            let end = frame.end;
            for entry in found.entries {
                if entry.index < self.next || self.next >= self.stop {
                    continue;
                }
                if entry.index != self.next {
                    return Err(gone(self.next));
                }
                let bytes = entry.encoded_len() as u64;
                if !entries.is_empty() && self.bytes + bytes > self.max_bytes {
                    return Ok(true);
                }
                self.bytes += bytes;
                self.next = entry.index + 1;
                entries.push(entry);
            }
            offset = end;
        }
        Ok(false)
    }
}
