//! A virtual disk that forgets what was not synced, and fails as it is told.
//!
//! It takes pessimistic promises literally: bytes survive a crash only by a sync of their file,
//! names only by a sync of their directory. Of what was not synced, any selection of 512-byte
//! sectors may survive, and any of the changes of names that does not follow on a lost one. Whoever
//! crashes it chooses, so that one seed gives one outcome.
//!
//! Three things can be wrong with it, each when the caller says so and never by chance:
//! - operations fail, lie or go astray, by [`MemoryDisk::inject`] and [`Fault`];
//! - it is full, by [`MemoryDisk::set_capacity`];
//! - bytes change at rest, by [`MemoryDisk::flip`] and [`MemoryDisk::with_bytes`].
//!
//! It has no clock. [`MemoryDisk::take_work`] says what there was to do, for whoever has one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod access;
mod contents;
mod faults;
mod image;
mod names;
#[cfg(test)]
mod tests;
mod work;

pub use faults::{Effect, Errno, Fault, Op};
pub use work::{Operation, Work};

use contents::Contents;
use faults::Faults;
use image::{PAGE, SECTOR};
use names::{Names, Node};

/// A disk in memory; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    names: Names,
    /// Files that have a name, may have one after a crash, or are open.
    files: BTreeMap<u64, Contents>,
    next_file: u64,
    locks: BTreeMap<PathBuf, (Arc<()>, String)>,
    /// Grows by one whenever the process ends; handles of an earlier life no longer work.
    life: u64,
    operations: u64,
    faults: Faults,
    capacity: Option<u64>,
    work: Work,
    record: Option<Vec<Operation>>,
}

impl MemoryDisk {
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    /// Loses power: of each change that was not synced, `survives` decides. Heals the disk.
    pub fn crash(&self, mut survives: impl FnMut() -> bool) {
        let mut state = self.state();
        state.names.crash(&mut survives);
        for file in state.files.values_mut() {
            file.crash(&mut survives);
        }
        state.end_life();
    }

    /// Ends the process, by which everything stays as it was written but for locks and handles:
    /// what closes files in an orderly way reaches nothing any more. Heals the disk.
    pub fn kill(&self) {
        self.state().end_life();
    }

    /// Adds a fault, behind those there are: the first that is due strikes.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.add(fault);
    }

    /// Lets no change and no sync take place from the `after`-th on, counted from now: what a
    /// process leaves that dies there. Takes the place of all faults there are.
    pub fn fail_after(&self, after: u64) {
        let mut state = self.state();
        state.faults.clear();
        let fault = Fault::new(Effect::Die, &Op::CHANGES);
        state.faults.add(fault.after(after));
    }

    /// Lets everything succeed again, but for what capacity forbids.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// Bytes that the files may take, in whole pages of 4 KiB; zeros that were only reserved take
    /// space, holes do not. A file takes space until no name of it can come back and no handle is
    /// left.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Bytes that the files take of the capacity.
    pub fn allocated_bytes(&self) -> u64 {
        self.state().allocated_bytes()
    }

    /// How many changes and syncs there were.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// What was done since the last time this was asked.
    pub fn take_work(&self) -> Work {
        std::mem::take(&mut self.state().work)
    }

    /// Begins to write down every operation; [`MemoryDisk::take_record`] ends it.
    pub fn record(&self) {
        self.state().record = Some(Vec::new());
    }

    /// Every operation since [`MemoryDisk::record`].
    pub fn take_record(&self) -> Vec<Operation> {
        self.state().record.take().unwrap_or_default()
    }

    /// All files, sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        self.state().names.files().map(|(path, _)| path.to_owned()).collect()
    }

    /// Flips a durable bit; answers whether there is one. The cache keeps a page that is dirty.
    pub fn flip(&self, path: &Path, offset: u64, bit: u8) -> io::Result<bool> {
        let mut state = self.state();
        let file = state.file(path)?;
        Ok(state.contents(file)?.flip(offset as usize, bit))
    }

    /// A durable byte that is not zero, in a file that is `wanted`: `pick` is given how many there
    /// are and answers which.
    pub fn pick_byte(
        &self,
        wanted: impl Fn(&Path) -> bool,
        pick: impl FnOnce(usize) -> usize,
    ) -> Option<(PathBuf, u64)> {
        let state = self.state();
        let mut files = Vec::new();
        for (path, file) in state.names.files().filter(|(path, _)| wanted(path)) {
            let contents = state.files.get(&file)?;
            files.push((path, contents, contents.used()));
        }
        let count = files.iter().map(|(_, _, used)| used).sum();
        let mut nth = if count == 0 { return None } else { pick(count) };
        for (path, contents, used) in files {
            if nth < used {
                return Some((path.to_owned(), contents.nth_used(nth)? as u64));
            }
            nth -= used;
        }
        None
    }

    /// A file's bytes, to look at or to damage; damage is durable.
    pub fn with_bytes<T>(
        &self,
        path: &Path,
        work: impl FnOnce(&mut Vec<u8>) -> T,
    ) -> io::Result<T> {
        let mut state = self.state();
        let file = state.file(path)?;
        let contents = state.contents(file)?;
        let mut bytes = contents.bytes();
        let out = work(&mut bytes);
        contents.replace(&bytes);
        Ok(out)
    }

    /// A disk of its own that durably holds what this one holds, without its faults.
    pub fn copy(&self) -> MemoryDisk {
        let state = self.state();
        let copy = State {
            names: state.names.copy(),
            files: state.files.iter().map(|(file, contents)| (*file, contents.copy())).collect(),
            next_file: state.next_file,
            capacity: state.capacity,
            ..State::default()
        };
        MemoryDisk { state: Arc::new(Mutex::new(copy)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end_life(&mut self) {
        self.life += 1;
        self.faults.clear();
        self.locks.clear();
        for file in self.files.values_mut() {
            file.open = 0;
        }
        self.forget_nameless();
    }

    /// Counts an operation on a path, and fails it if it is to fail.
    fn begin(&mut self, op: Op, path: &Path) -> io::Result<Option<Effect>> {
        self.operations += u64::from(Op::CHANGES.contains(&op));
        self.work.add(op, 0);
        let effect = self.faults.strike(op, Some(path));
        self.outcome(op, Some(path.to_owned()), 0, effect)
    }

    /// The same for an operation on an open file. What a write is to do instead is its matter.
    fn begin_on(&mut self, op: Op, file: u64, bytes: usize) -> io::Result<Option<Effect>> {
        self.operations += u64::from(Op::CHANGES.contains(&op));
        self.work.add(op, bytes as u64);
        let wanted = self.record.is_some() || self.faults.know_paths();
        let path = if wanted { self.names.path(file).map(Path::to_owned) } else { None };
        let effect = self.faults.strike(op, path.as_deref());
        self.outcome(op, path, bytes, effect)
    }

    fn outcome(
        &mut self,
        op: Op,
        path: Option<PathBuf>,
        bytes: usize,
        effect: Option<Effect>,
    ) -> io::Result<Option<Effect>> {
        let failed = matches!(effect, Some(Effect::Fail(_) | Effect::Die | Effect::Short { .. }));
        if let Some(record) = &mut self.record {
            record.push(Operation { op, path, bytes: bytes as u64, failed });
        }
        match effect {
            Some(Effect::Die) => Err(Errno::Eio.error()),
            // What else a failed sync does is the sync's matter.
            Some(Effect::Fail(errno)) if op != Op::Sync => Err(errno.error()),
            Some(Effect::Short { errno, .. }) if op != Op::Write && op != Op::Sync => {
                Err(errno.error())
            }
            effect => Ok(effect),
        }
    }

    fn file(&self, path: &Path) -> io::Result<u64> {
        match self.names.get(path) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn contents(&mut self, file: u64) -> io::Result<&mut Contents> {
        self.files.get_mut(&file).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn allocated_bytes(&self) -> u64 {
        self.files.values().map(|file| (file.allocated() * PAGE) as u64).sum()
    }

    /// Pages that the capacity still has.
    fn free_pages(&self) -> usize {
        let Some(capacity) = self.capacity else { return usize::MAX };
        (capacity.saturating_sub(self.allocated_bytes()) / PAGE as u64) as usize
    }

    fn forget_nameless(&mut self) {
        let State { files, names, .. } = self;
        files.retain(|file, contents| contents.open > 0 || names.hold(*file));
    }

    fn write(&mut self, file: u64, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let effect = self.begin_on(Op::Write, file, bytes.len())?;
        let free = self.free_pages();
        let contents = self.contents(file)?;
        let fits =
            if free == usize::MAX { bytes.len() } else { contents.fits(offset, bytes.len(), free) };
        if fits < bytes.len() {
            contents.write(offset, &bytes[..fits]);
            if let Some(last) = self.record.as_mut().and_then(|record| record.last_mut()) {
                last.failed = true;
            }
            return Err(faults::full());
        }
        match effect {
            None | Some(Effect::Die | Effect::Fail(_)) => contents.write(offset, bytes),
            Some(Effect::Short { sectors, errno }) => {
                let end = (offset / SECTOR + sectors) * SECTOR;
                let len = end.saturating_sub(offset).min(bytes.len());
                contents.write(offset, &bytes[..len]);
                return Err(errno.error());
            }
            Some(Effect::Lose) => contents.write_and_lose(offset, bytes),
            Some(Effect::Misdirect { file: other, offset: astray }) => {
                contents.write_and_lose(offset, bytes);
                // Without the file that it is to hit, the write is only lost.
                let target = other.map_or(Ok(file), |path| self.file(&path));
                if let Ok(target) = target {
                    self.contents(target)?.overwrite(astray as usize, bytes);
                }
            }
        }
        Ok(())
    }
}
