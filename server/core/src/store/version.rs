//! A key at one revision.

use std::num::NonZeroI64;

use bytes::Bytes;

use super::{StateHash, element};

/// A point in the store's history: `main` counts writing requests, `sub` the changes within one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    pub main: i64,
    pub sub: i64,
}

impl Revision {
    /// The first point of `main`.
    pub const fn first_of(main: i64) -> Self {
        Revision { main, sub: 0 }
    }

    /// Big-endian, so that bytes sort as revisions do; revisions are never negative.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.main.to_be_bytes());
        bytes[8..].copy_from_slice(&self.sub.to_be_bytes());
        bytes
    }

    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let bits = u128::from_be_bytes(bytes);
        Revision { main: (bits >> 64) as i64, sub: bits as i64 }
    }
}

/// A revision that a version refers to. Nothing is at main revision 0, so `Option<Reference>`
/// takes no more room than a revision does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    main: NonZeroI64,
    sub: i64,
}

impl Reference {
    pub fn to(at: Revision) -> Option<Self> {
        Some(Reference { main: NonZeroI64::new(at.main)?, sub: at.sub })
    }

    pub fn revision(self) -> Revision {
        Revision { main: self.main.get(), sub: self.sub }
    }
}

/// A value, or the knowledge that it can be read back from the backend by its revision.
///
/// The newest value of a key is always resident; a superseded one is given up once it is durable
/// in the backend, so that history costs no memory but its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Resident(Bytes),
    Stored,
}

impl Value {
    pub fn resident(&self) -> Option<&Bytes> {
        match self {
            Value::Resident(value) => Some(value),
            Value::Stored => None,
        }
    }
}

/// A key at one revision; a deletion is a version too, with `version` 0 and no value.
///
/// Versions never change. Those of one key form a chain from the newest back: `prev` names the
/// one before, `jump` a more distant one, so that the version valid at an old revision is found
/// in O(log n) steps (Myers, "An applicative random-access stack", 1983). Compaction removes
/// only versions older than any that can still be asked for, and the search never follows a
/// reference to or past the revision it wants, so a reference to a removed version is harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub key: Bytes,
    pub value: Value,
    /// How long the value is, known without reading it back.
    pub value_len: u32,
    pub at: Revision,
    /// `main` of the revision that created the key; 0 for a deletion.
    pub create_revision: i64,
    /// Writes since the creation, that one included; 0 for a deletion.
    pub version: i64,
    /// The lease it is attached to, or 0.
    pub lease: i64,
    /// Its element of the state hash. Kept, so that the version that replaces this one need not
    /// read its value again.
    pub hash: StateHash,
    /// The version of the same key before this one; `None` at the end of the chain.
    pub prev: Option<Reference>,
    /// A version further back, for the search.
    pub jump: Option<Reference>,
    /// Length of the chain behind this one.
    pub depth: u32,
}

impl Version {
    pub fn is_deletion(&self) -> bool {
        self.version == 0
    }

    /// Whether this is the value that the version was written with, for one that was read back.
    pub fn has_value(&self, value: &[u8]) -> bool {
        element::version(self, value) == self.hash
    }
}
