//! Keys, ranges, values and revisions: mostly few, so that requests meet, and some odd.

use serde_json::Value;

use super::Generator;
use crate::differential::contract::base64;

/// So few that most are written again and again.
const KEYS: u64 = 24;

impl Generator {
    pub(super) fn key(&mut self) -> Vec<u8> {
        match self.random.below(40) {
            0 => vec![0],
            1 => vec![0xff],
            2 => b"k03\0".to_vec(),
            3 => vec![b'x'; 1000],
            4 => b"a/b".to_vec(),
            5 => vec![0xff, 0xff, 0],
            _ => format!("k{:02}", self.random.below(KEYS)).into_bytes(),
        }
    }

    /// Start and end of a range, every convention for the end among them.
    pub(super) fn range(&mut self) -> (Vec<u8>, Vec<u8>) {
        let key = self.key();
        let end = match self.random.below(20) {
            0..8 => vec![],
            8 => vec![0],
            9 => return (vec![0], vec![0]),
            10 => key.clone(),
            11 => b"a".to_vec(),
            12 => b"l".to_vec(),
            13 => return (b"k".to_vec(), b"l".to_vec()),
            14 => [&key[..], b"\0"].concat(),
            15 => vec![0xff],
            _ => self.key(),
        };
        (key, end)
    }

    pub(super) fn value(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0 => vec![],
            1 => vec![0, 0xff, b'\n'],
            2 => vec![b'v'; 5000],
            _ => format!("v{}", self.random.below(50)).into_bytes(),
        }
    }

    /// Around now, long ago, never, and what is none.
    pub(super) fn revision(&mut self) -> i64 {
        let now = self.known.revision;
        let near = |random: &mut crate::sim::random::Random| random.below(30) as i64;
        match self.random.below(24) {
            0 => -1,
            1 => now + 1,
            2 => now + 1000,
            3 => i64::MAX,
            4 => i64::MIN,
            5 => self.known.compacted,
            6 => self.known.compacted - 1,
            7 => self.known.compacted + 1,
            8 => 1,
            9 => 0,
            _ => (now - near(&mut self.random)).max(1),
        }
    }

    /// What is put under a lease: mostly one that exists.
    pub(super) fn lease_id(&mut self) -> i64 {
        let known: Vec<i64> = self.known.leases.iter().copied().collect();
        match self.random.below(12) {
            0 => 99_999,
            1 => -5,
            2 => i64::MAX,
            _ if !known.is_empty() => *self.random.pick(&known),
            _ => 1 + self.random.below(12) as i64,
        }
    }
}

/// A number as protobuf's JSON has it.
pub(super) fn int(number: i64) -> Value {
    number.to_string().into()
}

/// Sets what is not the default, as a client would.
pub(super) fn bytes(message: &mut Value, field: &str, bytes: &[u8]) {
    if !bytes.is_empty() {
        message[field] = base64(bytes);
    }
}
