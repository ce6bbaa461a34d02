//! The newest term and vote once more, outside the log.
//!
//! A member that has forgotten to whom it gave its vote, or in which term it was, may promise two
//! things that exclude each other; so it must not go on after damage that may have taken a vote.
//! The file `vote` beside the segments has it twice, in two pages written and synced one after the
//! other: as long as one of them is whole, no damage to the log hides it. It is written after the
//! log is durable and before anybody hears of it. So if it has a later vote than the log, the log
//! has lost its end.
//!
//! Each page has these 60 bytes, then zeros:
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 8 | `KVORUMVT` |
//! | 8 | 24 | cluster id, member id, incarnation |
//! | 32 | 16 | term, vote |
//! | 48 | 8 | zeros |
//! | 56 | 4 | checksum of bytes 0 to 55 |

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raft_proto::eraftpb::HardState;

use super::LogError;
use super::format::{get_identity, get_u32, get_u64, put_identity, put_u32, put_u64};
use crate::identity::Identity;
use crate::storage::disk::{Disk, DiskFile};

const NAME: &str = "vote";
const MAGIC: &[u8; 8] = b"KVORUMVT";
const PAGE: usize = 4096;
const FIELDS: usize = 60;

/// A term, and who got the vote in it, 0 for nobody. The later of two is the greater one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Vote {
    pub(super) term: u64,
    pub(super) vote: u64,
}

#[derive(Debug)]
pub(super) struct VoteFile {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    identity: Identity,
    /// What both pages say; `None` while they may not.
    newest: Option<Vote>,
}

impl Vote {
    pub(super) fn of(hard_state: &HardState) -> Vote {
        Vote { term: hard_state.term, vote: hard_state.vote }
    }
}

impl VoteFile {
    /// What the file in `dir` says of the member `identity`: nothing if there is none that is
    /// whole. Nothing is changed.
    pub(super) fn read(
        disk: &dyn Disk,
        dir: &Path,
        identity: Identity,
    ) -> Result<Option<Vote>, LogError> {
        let path = dir.join(NAME);
        if disk.kind(&path).map_err(LogError::io("look for", &path))?.is_none() {
            return Ok(None);
        }
        let file = disk.open(&path).map_err(LogError::io("open", &path))?;
        let pages = [0, PAGE].map(|at| -> io::Result<Option<Vote>> {
            let mut page = [0; PAGE];
            let read = file.read_at(&mut page, at as u64)?;
            Ok(if read == PAGE { decode(&page, identity) } else { None })
        });
        // A page that cannot be read is not whole; with the other one nothing is lost.
        match pages {
            [Ok(a), Ok(b)] => Ok(a.max(b)),
            [Ok(Some(vote)), Err(_)] | [Err(_), Ok(Some(vote))] => Ok(Some(vote)),
            [Err(error), _] | [_, Err(error)] => Err(LogError::io("read", &path)(error)),
        }
    }

    /// The file to write to, made if there is none.
    pub(super) fn open(
        disk: &dyn Disk,
        dir: &Path,
        identity: Identity,
    ) -> Result<VoteFile, LogError> {
        let path = dir.join(NAME);
        let file = if disk.kind(&path).map_err(LogError::io("look for", &path))?.is_some() {
            disk.open(&path).map_err(LogError::io("open", &path))?
        } else {
            let file = disk.create(&path).map_err(LogError::io("make", &path))?;
            disk.sync_dir(dir).map_err(LogError::io("sync", dir))?;
            file
        };
        Ok(VoteFile { path, file, identity, newest: None })
    }

    /// Why a damaged log without a vote cannot be gone on with.
    pub(super) fn lost(dir: &Path) -> LogError {
        LogError::VoteLost { path: dir.join(NAME) }
    }

    /// Makes a vote durable in both pages, unless it is.
    pub(super) fn write(&mut self, vote: Vote) -> Result<(), LogError> {
        if self.newest == Some(vote) {
            return Ok(());
        }
        self.newest = None;
        let page = encode(vote, self.identity);
        for at in [0, PAGE] {
            let write = self.file.write_at(&page, at as u64);
            write.map_err(LogError::io("write", &self.path))?;
            self.file.sync().map_err(LogError::io("sync", &self.path))?;
        }
        self.newest = Some(vote);
        Ok(())
    }
}

fn encode(vote: Vote, identity: Identity) -> [u8; PAGE] {
    let mut page = [0; PAGE];
    page[..8].copy_from_slice(MAGIC);
    put_identity(&mut page, 8, identity);
    put_u64(&mut page, 32, vote.term);
    put_u64(&mut page, 40, vote.vote);
    let crc = crc32fast::hash(&page[..FIELDS - 4]);
    put_u32(&mut page, FIELDS - 4, crc);
    page
}

fn decode(page: &[u8], identity: Identity) -> Option<Vote> {
    let whole = page[..8] == *MAGIC
        && get_u32(page, FIELDS - 4) == crc32fast::hash(&page[..FIELDS - 4])
        && get_identity(page, 8) == identity;
    whole.then(|| Vote { term: get_u64(page, 32), vote: get_u64(page, 40) })
}
