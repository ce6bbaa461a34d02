//! A file that is looked at and not touched: what redb writes stays in memory.
//!
//! redb writes to every file it opens, if only to note that it is open.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use redb::StorageBackend;

use crate::storage::disk::DiskFile;

const PAGE: usize = 4096;
/// Opening writes a few pages, and after a crash the allocator's tables: a thousandth of the file.
const PAGES_MAX: usize = 16 * 1024;

/// A file below, and what was written since above it.
#[derive(Debug)]
pub(super) struct Overlay {
    file: Arc<dyn DiskFile>,
    above: Mutex<Above>,
}

#[derive(Debug)]
struct Above {
    size: u64,
    /// What of the file below counts; behind it there are zeros.
    below: u64,
    pages: BTreeMap<u64, Box<[u8; PAGE]>>,
}

impl Overlay {
    pub(super) fn new(file: Arc<dyn DiskFile>) -> io::Result<Overlay> {
        let size = file.size()?;
        let above = Mutex::new(Above { size, below: size, pages: BTreeMap::new() });
        Ok(Overlay { file, above })
    }

    fn read_below(&self, below: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let counts = below.saturating_sub(offset).min(out.len() as u64) as usize;
        let read = self.file.read_at(&mut out[..counts], offset)?;
        out[read..].fill(0);
        Ok(())
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.above.lock().size)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let above = self.above.lock();
        if offset + out.len() as u64 > above.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut at = offset;
        let mut rest = out;
        while !rest.is_empty() {
            let within = (at % PAGE as u64) as usize;
            let (part, behind) = rest.split_at_mut(rest.len().min(PAGE - within));
            match above.pages.get(&(at / PAGE as u64)) {
                Some(page) => part.copy_from_slice(&page[within..within + part.len()]),
                None => self.read_below(above.below, at, part)?,
            }
            at += part.len() as u64;
            rest = behind;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut above = self.above.lock();
        above.pages.split_off(&len.div_ceil(PAGE as u64));
        if let Some(page) = above.pages.get_mut(&(len / PAGE as u64)) {
            page[(len % PAGE as u64) as usize..].fill(0);
        }
        above.below = above.below.min(len);
        above.size = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut above = self.above.lock();
        let mut at = offset;
        let mut rest = data;
        while !rest.is_empty() {
            let number = at / PAGE as u64;
            let within = (at % PAGE as u64) as usize;
            let (part, behind) = rest.split_at(rest.len().min(PAGE - within));
            if !above.pages.contains_key(&number) {
                if above.pages.len() == PAGES_MAX {
                    return Err(io::ErrorKind::QuotaExceeded.into());
                }
                let mut page = Box::new([0; PAGE]);
                self.read_below(above.below, number * PAGE as u64, &mut page[..])?;
                above.pages.insert(number, page);
            }
            if let Some(page) = above.pages.get_mut(&number) {
                page[within..within + part.len()].copy_from_slice(part);
            }
            at += part.len() as u64;
            rest = behind;
        }
        above.size = above.size.max(at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::storage::disk::Disk;
    use crate::storage::memory::MemoryDisk;

    fn read(overlay: &Overlay, offset: u64, len: usize) -> Vec<u8> {
        let mut out = vec![0xee; len];
        overlay.read(offset, &mut out).unwrap();
        out
    }

    #[test]
    fn what_is_written_is_read_back_and_the_file_stays_as_it_is() {
        let disk = MemoryDisk::new();
        let file = disk.create(Path::new("/file")).unwrap();
        file.write_at(&[1; 10_000], 0).unwrap();
        let operations = disk.operations();
        let overlay = Overlay::new(Arc::clone(&file)).unwrap();
        overlay.write(4090, &[2; 12]).unwrap();
        assert_eq!(read(&overlay, 4088, 16), [&[1; 2][..], &[2; 12], &[1; 2]].concat());
        overlay.write(9_999, &[3; 3]).unwrap();
        assert_eq!(overlay.len().unwrap(), 10_002);
        assert_eq!(read(&overlay, 9_998, 4), [1, 3, 3, 3]);
        assert!(overlay.read(10_000, &mut [0; 3]).is_err());
        // What was cut off is gone, above and below.
        overlay.set_len(4094).unwrap();
        overlay.set_len(12_000).unwrap();
        assert_eq!(read(&overlay, 4092, 4), [2, 2, 0, 0]);
        assert_eq!(read(&overlay, 8000, 4000), [0; 4000]);
        assert_eq!(disk.operations(), operations);
        assert_eq!(file.size().unwrap(), 10_000);
    }
}
