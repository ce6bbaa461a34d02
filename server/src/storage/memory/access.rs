//! The way in: what storage calls, and what becomes of it on a disk with faults.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};

use super::contents::Contents;
use super::faults::{self, Effect, Op};
use super::names::{NameChange, Node};
use super::{MemoryDisk, State};
use crate::storage::disk::{Disk, DiskFile, Guard, Kind, Lock};

impl Disk for MemoryDisk {
    fn kind(&self, path: &Path) -> io::Result<Option<Kind>> {
        let mut state = self.state();
        state.begin(Op::Look, path)?;
        Ok(state.names.get(path).map(|node| match node {
            Node::Dir => Kind::Dir,
            Node::File(_) => Kind::File,
        }))
    }

    fn is_private(&self, path: &Path) -> io::Result<bool> {
        self.state().begin(Op::Look, path)?;
        Ok(true)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin(Op::Create, path)?;
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
        let mut state = self.state();
        state.begin(Op::Look, dir)?;
        if state.names.get(dir) != Some(Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(state.names.inside(dir))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.begin(Op::Open, path)?;
        let file = state.file(path)?;
        MemoryFile::open(self, &mut state, file)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.begin(Op::Create, path)?;
        if state.names.get(path).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if path.parent().is_none_or(|dir| state.names.get(dir) != Some(Node::Dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = state.next_file;
        state.next_file += 1;
        state.files.insert(file, Contents::default());
        state.names.change(NameChange::Add(path.to_owned(), Node::File(file)));
        MemoryFile::open(self, &mut state, file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin(Op::Rename, from)?;
        if state.names.get(from).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.names.change(NameChange::Rename(from.to_owned(), to.to_owned()));
        state.forget_nameless();
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin(Op::Remove, path)?;
        state.file(path)?;
        state.names.change(NameChange::Remove(path.to_owned()));
        state.forget_nameless();
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin(Op::Remove, path)?;
        if state.names.get(path) != Some(Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.names.change(NameChange::Remove(path.to_owned()));
        state.forget_nameless();
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        if state.begin(Op::SyncDir, dir)? != Some(Effect::Lose) {
            state.names.sync(dir);
            state.forget_nameless();
        }
        Ok(())
    }

    fn lock(&self, path: &Path, note: &str) -> io::Result<Lock> {
        let mut state = self.state();
        state.begin(Op::Lock, path)?;
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
    file: u64,
    life: u64,
}

impl MemoryFile {
    fn open(disk: &MemoryDisk, state: &mut State, file: u64) -> io::Result<Arc<dyn DiskFile>> {
        state.contents(file)?.open += 1;
        Ok(Arc::new(MemoryFile { disk: disk.clone(), file, life: state.life }))
    }

    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.life != self.life {
            return Err(io::Error::other("the process that opened the file is gone"));
        }
        Ok(state)
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        let Ok(mut state) = self.state() else { return };
        let Ok(contents) = state.contents(self.file) else { return };
        contents.open -= 1;
        if contents.open == 0 && !state.names.hold(self.file) {
            state.files.remove(&self.file);
        }
    }
}

impl DiskFile for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        let mut state = self.state()?;
        state.begin_on(Op::Look, self.file, 0)?;
        Ok(state.contents(self.file)?.size() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state()?;
        state.begin_on(Op::Read, self.file, buffer.len())?;
        Ok(state.contents(self.file)?.read(buffer, offset as usize))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.state()?.write(self.file, offset as usize, bytes)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let mut state = self.state()?;
        state.begin_on(Op::Resize, self.file, 0)?;
        state.contents(self.file)?.resize(size as usize);
        Ok(())
    }

    fn preallocate(&self, size: u64) -> io::Result<()> {
        let mut state = self.state()?;
        state.begin_on(Op::Resize, self.file, 0)?;
        let free = state.free_pages();
        let contents = state.contents(self.file)?;
        if free != usize::MAX && contents.fits(0, size as usize, free) < size as usize {
            return Err(faults::full());
        }
        contents.reserve(size as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state()?;
        let effect = state.begin_on(Op::Sync, self.file, 0)?;
        let contents = state.contents(self.file)?;
        match effect {
            Some(Effect::Fail(errno) | Effect::Short { errno, .. }) => {
                contents.fail_sync();
                return Err(errno.error());
            }
            Some(Effect::Lose) => contents.lose_sync(),
            None | Some(Effect::Die | Effect::Misdirect { .. }) => {
                let moved = contents.sync();
                state.work.synced_bytes += moved;
            }
        }
        Ok(())
    }

    fn forget_cache(&self) -> io::Result<()> {
        self.state()?.contents(self.file)?.forget_clean();
        Ok(())
    }
}
