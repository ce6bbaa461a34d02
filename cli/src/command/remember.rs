//! Remembering what a person wrote, for `undo`: which keys at which revision. Nobody is kept from
//! writing because it cannot be remembered; it is said.

use std::io::ErrorKind;
use std::time::{SystemTime, UNIX_EPOCH};

use kvorum_client::change::{Entry, Journal};
use kvorum_client::{KeyRange, pb};

use super::Session;
use crate::mode::Mode;

/// The transactions of one write.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// `None`: nobody wants it, or it cannot be kept.
    journal: Option<Journal>,
    verb: &'static str,
    write: u64,
    undoes: Option<u64>,
    part: u32,
    trouble: Option<String>,
}

/// What one transaction may have changed.
pub(crate) struct Written<'a> {
    pub(crate) cluster_id: u64,
    pub(crate) revision: i64,
    pub(crate) keys: &'a [Vec<u8>],
    pub(crate) ranges: &'a [KeyRange],
}

impl Memory {
    pub(crate) fn begin(verb: &'static str, undoes: Option<u64>, session: &Session) -> Self {
        let places = session.places.as_ref().filter(|_| session.mode == Mode::Kvorum);
        Self {
            journal: places.map(Journal::at).filter(Journal::has_owner),
            verb,
            write: number(),
            undoes,
            part: 0,
            trouble: None,
        }
    }

    pub(crate) fn add(&mut self, written: &Written<'_>) {
        self.part += 1;
        let Some(journal) = &self.journal else { return };
        let ranges = written.ranges.iter();
        let entry = Entry {
            at_ms: now_ms(),
            cluster_id: written.cluster_id,
            verb: self.verb.to_owned(),
            write: self.write,
            part: self.part,
            revision: written.revision,
            keys: written.keys.iter().map(|key| key.as_slice().into()).collect(),
            ranges: ranges.map(|range| (range.key[..].into(), range.end[..].into())).collect(),
            undoes: self.undoes,
        };
        if let Err(error) = journal.append(&entry) {
            // Where nobody may write, as in many containers, nobody expects it to be remembered.
            let forbidden = [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem];
            if !forbidden.contains(&error.kind()) {
                self.trouble = Some(format!("{}: {error}", journal.path().display()));
            }
            self.journal = None;
        }
    }

    /// The memory, and nothing is added to this one any more.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Says if something could not be remembered.
    pub(crate) fn conclude(self, session: &mut Session) {
        if let Some(trouble) = self.trouble {
            session.remark(&format!("warning: undo does not know of this write: {trouble}"));
        }
    }
}

/// Remembers a write of one transaction.
pub(crate) fn remember(
    verb: &'static str,
    header: Option<&pb::ResponseHeader>,
    touched: &[KeyRange],
    session: &mut Session,
) {
    let Some(header) = header else { return };
    let mut memory = Memory::begin(verb, None, session);
    let (single, ranges): (Vec<_>, Vec<_>) = touched.iter().cloned().partition(KeyRange::is_single);
    let keys: Vec<_> = single.into_iter().map(|range| range.key).collect();
    let (cluster_id, revision) = (header.cluster_id, header.revision);
    memory.add(&Written { cluster_id, revision, keys: &keys, ranges: &ranges });
    memory.conclude(session);
}

/// Remembers that a write has been taken back as far as it can be.
pub(crate) fn settled(write: u64, cluster_id: u64, session: &mut Session) {
    let mut memory = Memory::begin("undo", Some(write), session);
    memory.add(&Written { cluster_id, revision: 0, keys: &[], ranges: &[] });
    memory.conclude(session);
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or_default())
}

/// Of two writes of one person at the same moment, the processes differ.
fn number() -> u64 {
    const PROCESSES: u64 = 10_000;
    now_ms() * PROCESSES + u64::from(std::process::id()) % PROCESSES
}
