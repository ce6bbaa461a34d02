//! `snapshot save|status|restore`

use std::io::Write as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::part::{Part, PartError};
use super::{CommandError, Session, files};
use crate::args::{SnapshotArgs, SnapshotCommand};
use crate::exit;
use crate::mode::Mode;
use crate::output::go;

pub(super) async fn execute(
    args: &SnapshotArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    match &args.command {
        SnapshotCommand::Save(args) => save(args.file()?, session).await,
        SnapshotCommand::Status(args) => files::status(args, &mut session.printout()),
        SnapshotCommand::Restore(args) => files::restore(args, &mut session.printout()),
    }
}

async fn save(file: &Path, session: &mut Session) -> Result<(), CommandError> {
    let endpoints = session.connection.endpoints();
    let [endpoint] = endpoints else {
        let all: Vec<_> = endpoints.iter().map(ToString::to_string).collect();
        return Err(interrupted(format!(
            "snapshot must be requested to one selected node, not multiple [{}]",
            all.join(" ")
        )));
    };
    let endpoint = endpoint.clone();
    let refused =
        |failure| CommandError::Failure { failure, code: exit::INTERRUPTED, context: None };
    let mut received = Received::begin(file)?;
    let mut stream = session.connection.snapshot(&endpoint).await.map_err(refused)?;
    let mut version = String::new();
    while let Some(message) = stream.next().await.map_err(refused)? {
        received.put(&message.blob)?;
        version = message.version;
    }
    let bytes = received.complete()?;
    received.keep_as(file)?;
    if session.mode == Mode::Kvorum {
        session.remark(&format!("{} from {endpoint}, its hash is right", go::size(bytes)));
    }
    let saved = format!("Snapshot saved at {}", file.display());
    session.say(&session.style.shown(&saved))?;
    if version.is_empty() { Ok(()) } else { session.say(&format!("Server version {version}")) }
}

fn interrupted(message: String) -> CommandError {
    CommandError::Other { code: exit::INTERRUPTED, message }
}

/// A snapshot being received into a file, of which it is found out whether it is whole.
pub(super) struct Received<'a> {
    part: Part<'a>,
    bytes: u64,
    hasher: Sha256,
    /// The last bytes, which may be the hash and not a part of what is hashed.
    tail: Vec<u8>,
}

const HASH_BYTES: usize = 32;
/// Files of bbolt are multiples of it.
const SECTOR: u64 = 512;

impl Received<'_> {
    pub(super) fn begin(to: &Path) -> Result<Received<'_>, CommandError> {
        let part = Part::begin(to).map_err(|error| match error {
            PartError::Busy(_) => {
                interrupted(format!("another snapshot is being saved to {}", to.display()))
            }
            other => interrupted(other.to_string()),
        })?;
        Ok(Received { part, bytes: 0, hasher: Sha256::new(), tail: Vec::new() })
    }

    pub(super) fn put(&mut self, blob: &[u8]) -> Result<(), CommandError> {
        let written = self.part.write_all(blob);
        written.map_err(|error| interrupted(format!("could not write snapshot: {error}")))?;
        self.bytes += blob.len() as u64;
        self.tail.extend_from_slice(blob);
        let content = self.tail.len().saturating_sub(HASH_BYTES);
        self.hasher.update(&self.tail[..content]);
        self.tail.drain(..content);
        Ok(())
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it is until it is kept.
    pub(super) fn path(&self) -> &Path {
        self.part.path()
    }

    /// Finds out whether all of it has come; answers the bytes of the file.
    pub(super) fn complete(&mut self) -> Result<u64, CommandError> {
        if self.bytes % SECTOR != HASH_BYTES as u64 {
            return Err(interrupted(format!("sha256 checksum not found [bytes: {}]", self.bytes)));
        }
        if self.hasher.finalize_reset()[..] != self.tail[..] {
            return Err(interrupted(
                "what came is not what was sent: the sha256 does not fit".to_owned(),
            ));
        }
        Ok(self.bytes)
    }

    /// Makes it durable and gives it a name, in the folder that it is in.
    pub(super) fn keep_as(self, to: &Path) -> Result<(), CommandError> {
        self.part.keep_as(to).map_err(|error| interrupted(error.to_string()))
    }
}
