//! A virtual disk that forgets what was not synced.
//!
//! It takes pessimistic promises literally: bytes survive a crash only by a sync of their file,
//! names only by a sync of their directory. Of what was not synced, any selection of 512-byte
//! sectors may survive, and names up to any moment. Whoever crashes it chooses, so that one seed
//! gives one outcome. It can also fail: from a chosen operation on, every write and sync errs.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod names;

use super::disk::{Disk, DiskFile, Guard, Kind, Lock};

use names::{NameChange, Names, Node};

const SECTOR: usize = 512;

/// A disk in memory; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    names: Names,
    files: Vec<Contents>,
    locks: BTreeMap<PathBuf, (Arc<()>, String)>,
    /// Grows by one with every crash; handles of an earlier life no longer work.
    life: u64,
    operations: u64,
    fail_from: Option<u64>,
}

#[derive(Debug, Default)]
struct Contents {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<ByteChange>,
}

#[derive(Debug)]
enum ByteChange {
    Write { offset: usize, bytes: Vec<u8> },
    Size(usize),
}

impl MemoryDisk {
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    /// Loses power: of each change that was not synced, `survives` decides.
    pub fn crash(&self, mut survives: impl FnMut() -> bool) {
        let mut state = self.state();
        state.life += 1;
        state.fail_from = None;
        state.locks.clear();
        state.names.crash(&mut survives);
        for file in &mut state.files {
            for change in std::mem::take(&mut file.pending) {
                match change {
                    ByteChange::Size(size) if survives() => file.durable.resize(size, 0),
                    ByteChange::Size(_) => {}
                    ByteChange::Write { offset, bytes } => {
                        write_sectors(&mut file.durable, offset, &bytes, &mut survives);
                    }
                }
            }
            file.bytes.clone_from(&file.durable);
        }
    }

    /// Lets every change and sync err from the `after`-th on, counted from now.
    pub fn fail_after(&self, after: u64) {
        let mut state = self.state();
        state.fail_from = Some(state.operations + after);
    }

    /// Lets everything succeed again.
    pub fn heal(&self) {
        self.state().fail_from = None;
    }

    /// How many changes and syncs there were.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// A file's bytes, to look at or to damage; damage is durable.
    pub fn with_bytes<T>(
        &self,
        path: &Path,
        work: impl FnOnce(&mut Vec<u8>) -> T,
    ) -> io::Result<T> {
        let mut state = self.state();
        let file = state.file(path)?;
        let contents = &mut state.files[file];
        let out = work(&mut contents.bytes);
        contents.durable.clone_from(&contents.bytes);
        contents.pending.clear();
        Ok(out)
    }

    /// A disk of its own with the same durable and undurable contents.
    pub fn copy(&self) -> MemoryDisk {
        let state = self.state();
        let files = state.files.iter().map(|file| Contents {
            bytes: file.bytes.clone(),
            durable: file.bytes.clone(),
            pending: Vec::new(),
        });
        let copy = State { names: state.names.copy(), files: files.collect(), ..State::default() };
        MemoryDisk { state: Arc::new(Mutex::new(copy)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn change(&mut self) -> io::Result<()> {
        self.operations += 1;
        if self.fail_from.is_some_and(|from| self.operations > from) {
            return Err(io::Error::other("injected fault"));
        }
        Ok(())
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Disk for MemoryDisk {
    fn kind(&self, path: &Path) -> io::Result<Option<Kind>> {
        Ok(self.state().names.get(path).map(|node| match node {
            Node::Dir => Kind::Dir,
            Node::File(_) => Kind::File,
        }))
    }

    fn is_private(&self, _: &Path) -> io::Result<bool> {
        Ok(true)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        let mut missing: Vec<PathBuf> = path.ancestors().map(Path::to_owned).collect();
        missing.retain(|dir| !dir.as_os_str().is_empty());
        for dir in missing.into_iter().rev() {
            match state.names.get(&dir) {
                Some(Node::Dir) => {}
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => state.names.change(NameChange::Add(dir, Node::Dir)),
            }
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        if state.names.get(dir) != Some(Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(state.names.inside(dir))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.state();
        let (file, life) = (state.file(path)?, state.life);
        Ok(Arc::new(MemoryFile { disk: self.clone(), file, life }))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.change()?;
        if state.names.get(path).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if path.parent().is_none_or(|dir| state.names.get(dir) != Some(Node::Dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (file, life) = (state.files.len(), state.life);
        state.files.push(Contents::default());
        state.names.change(NameChange::Add(path.to_owned(), Node::File(file)));
        Ok(Arc::new(MemoryFile { disk: self.clone(), file, life }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        if state.names.get(from).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.names.change(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.file(path)?;
        state.names.change(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        if state.names.get(path) != Some(Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.names.change(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.names.sync(dir);
        Ok(())
    }

    fn lock(&self, path: &Path, note: &str) -> io::Result<Lock> {
        let mut state = self.state();
        if let Some((holder, note)) = state.locks.get(path)
            && Arc::strong_count(holder) > 1
        {
            return Ok(Lock::Busy { note: note.clone() });
        }
        let holder = Arc::new(());
        state.locks.insert(path.to_owned(), (Arc::clone(&holder), note.to_owned()));
        Ok(Lock::Held(Guard::new(holder)))
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    file: usize,
    life: u64,
}

impl MemoryFile {
    fn with<T>(&self, changes: bool, work: impl FnOnce(&mut Contents) -> T) -> io::Result<T> {
        let mut state = self.disk.state();
        if state.life != self.life {
            return Err(io::Error::other("the machine crashed"));
        }
        if changes {
            state.change()?;
        }
        Ok(work(&mut state.files[self.file]))
    }
}

impl DiskFile for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        self.with(false, |file| file.bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(false, |file| {
            let rest = file.bytes.get(offset as usize..).unwrap_or_default();
            let len = rest.len().min(buffer.len());
            buffer[..len].copy_from_slice(&rest[..len]);
            len
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(true, |file| {
            let offset = offset as usize;
            write_sectors(&mut file.bytes, offset, bytes, &mut || true);
            file.pending.push(ByteChange::Write { offset, bytes: bytes.to_vec() });
        })
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.with(true, |file| {
            file.bytes.resize(size as usize, 0);
            file.pending.push(ByteChange::Size(size as usize));
        })
    }

    fn preallocate(&self, size: u64) -> io::Result<()> {
        self.set_size(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.with(true, |file| {
            file.durable.clone_from(&file.bytes);
            file.pending.clear();
        })
    }
}

/// Writes those sectors that survive.
fn write_sectors(
    file: &mut Vec<u8>,
    offset: usize,
    bytes: &[u8],
    survives: &mut impl FnMut() -> bool,
) {
    let mut at = 0;
    while at < bytes.len() {
        let len = (SECTOR - (offset + at) % SECTOR).min(bytes.len() - at);
        if survives() {
            let end = offset + at + len;
            if file.len() < end {
                file.resize(end, 0);
            }
            file[offset + at..end].copy_from_slice(&bytes[at..at + len]);
        }
        at += len;
    }
}
