//! What happened, as a hash that two runs of one seed must agree on, and as text for people.

use std::io::Write;

use super::time::{Time, seconds};

/// Takes everything that happens, in its order.
pub(super) struct Trace {
    hash: [u64; 2],
    readable: Option<Box<dyn Write>>,
}

impl Trace {
    pub(super) fn new(readable: Option<Box<dyn Write>>) -> Trace {
        Trace { hash: [0x6b76_6f72_756d_0001, 0x7369_6d00_0000_0001], readable }
    }

    /// Notes an event: its kind and its numbers count, the text is only for people.
    pub(super) fn note(
        &mut self,
        now: Time,
        kind: &'static str,
        numbers: &[u64],
        text: impl FnOnce() -> String,
    ) {
        self.mix(now);
        for chunk in kind.as_bytes().chunks(8) {
            self.mix(chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
        for number in numbers {
            self.mix(*number);
        }
        if let Some(readable) = &mut self.readable {
            // A reader who has seen enough closes the pipe.
            let _ = writeln!(readable, "{} {kind:<10} {}", seconds(now), text());
        }
    }

    pub(super) fn hash(&self) -> u128 {
        u128::from(self.hash[0]) << 64 | u128::from(self.hash[1])
    }

    fn mix(&mut self, word: u64) {
        let [first, second] = &mut self.hash;
        *first = (*first ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25).rotate_left(29);
        *second = (second.wrapping_add(word) ^ *first).wrapping_mul(0xd6e8_feb8_6659_fd93);
        *second ^= *second >> 32;
    }
}

/// A digest of bytes, to tell contents apart.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let word = chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        hash = (hash ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25);
        hash ^= hash >> 31;
    }
    hash
}
