//! What can go wrong with a disk, when the caller says so.

use std::io;
use std::path::{Path, PathBuf};

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// Whether something is there, its size, its permissions, what a directory holds.
    Look,
    Lock,
    Open,
    Read,
    Write,
    /// Cutting and lengthening a file, preallocation included.
    Resize,
    Sync,
    /// Of a file or of directories.
    Create,
    Rename,
    Remove,
    SyncDir,
}

impl Op {
    pub const ALL: [Op; 11] = [
        Op::Look,
        Op::Lock,
        Op::Open,
        Op::Read,
        Op::Write,
        Op::Resize,
        Op::Sync,
        Op::Create,
        Op::Rename,
        Op::Remove,
        Op::SyncDir,
    ];
    /// Those that change something or make it durable.
    pub const CHANGES: [Op; 7] =
        [Op::Write, Op::Resize, Op::Sync, Op::Create, Op::Rename, Op::Remove, Op::SyncDir];
    /// Those that a disk without space refuses. A sync is one of them: space for what was
    /// written may be looked for only then.
    pub const TAKE_SPACE: [Op; 4] = [Op::Write, Op::Resize, Op::Sync, Op::Create];
    /// Those that a disk which cannot be written refuses.
    pub const NEED_WRITABLE: [Op; 7] =
        [Op::Lock, Op::Open, Op::Write, Op::Resize, Op::Create, Op::Rename, Op::Remove];
}

/// What an operation says that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    Eio,
    Enospc,
    Erofs,
}

impl Errno {
    pub(super) fn error(self) -> io::Error {
        match self {
            Errno::Eio => io::Error::other("injected fault"),
            Errno::Enospc => full(),
            Errno::Erofs => {
                let kind = io::ErrorKind::ReadOnlyFilesystem;
                io::Error::new(kind, "injected fault: the disk is read-only")
            }
        }
    }
}

pub(super) fn full() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "injected fault: the disk is full")
}

/// What happens to an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It fails and has changed nothing; but a sync of a file that fails has called every dirty
    /// page clean, so that no later one makes them durable, although they can be read until the
    /// crash. Until then nobody knows which sectors arrived.
    Fail(Errno),
    /// The process dies before it: it does not take place, nor does it harm what came before. It
    /// errs, so that whoever asked for it stops.
    Die,
    /// A write puts its first sectors into the cache, so many of them, and then fails. Anything
    /// else fails.
    Short { sectors: usize, errno: Errno },
    /// It is acknowledged. A write can be read until the crash and never reaches the medium,
    /// whatever is synced; a sync of a file or of a directory does nothing. Other operations do
    /// as they should.
    Lose,
    /// A write is acknowledged and can be read until the crash, but on the medium it goes to the
    /// byte `offset` of this file or of another. Other operations do as they should.
    Misdirect { file: Option<PathBuf>, offset: u64 },
}

/// One fault: what happens to which operations.
#[derive(Clone, Debug)]
pub struct Fault {
    effect: Effect,
    ops: Vec<Op>,
    under: Option<PathBuf>,
    skip: u64,
    times: Option<u64>,
}

impl Fault {
    /// Happens to every operation of these kinds, until the disk is healed.
    pub fn new(effect: Effect, ops: &[Op]) -> Fault {
        Fault { effect, ops: ops.to_vec(), under: None, skip: 0, times: None }
    }

    /// Only to what is at or below a path. A file is where its name is when the operation comes;
    /// a renaming is where it begins.
    pub fn under(self, path: &Path) -> Fault {
        Fault { under: Some(path.to_owned()), ..self }
    }

    /// Lets so many operations of its kind pass first.
    pub fn after(self, skip: u64) -> Fault {
        Fault { skip, ..self }
    }

    /// So many times and then no more.
    pub fn times(self, times: u64) -> Fault {
        Fault { times: Some(times), ..self }
    }

    /// Once, after so many operations of its kind.
    pub fn once_after(self, skip: u64) -> Fault {
        self.after(skip).times(1)
    }
}

/// The faults of a disk, the one that goes first in front.
#[derive(Debug, Default)]
pub(super) struct Faults {
    faults: Vec<Fault>,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
    }

    /// Whether anybody asks for paths.
    pub(super) fn know_paths(&self) -> bool {
        self.faults.iter().any(|fault| fault.under.is_some())
    }

    /// What happens to an operation. Every fault counts it, the first that is due strikes.
    pub(super) fn strike(&mut self, op: Op, path: Option<&Path>) -> Option<Effect> {
        let mut struck = None;
        for fault in &mut self.faults {
            let inside = fault
                .under
                .as_ref()
                .is_none_or(|under| path.is_some_and(|path| path.starts_with(under)));
            if !inside || !fault.ops.contains(&op) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if struck.is_none() && fault.times != Some(0) {
                fault.times = fault.times.map(|times| times - 1);
                struck = Some(fault.effect.clone());
            }
        }
        struck
    }
}
