//! What a file holds: in the cache, on the medium, and on the way from one to the other.
//!
//! As in Linux, a page is written back whole, and a page that could not be written back is called
//! clean: it is read as it should be until a crash, and no later sync makes it durable unless it
//! is written again.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::image::{Image, PAGE, Page, pages, sectors};

/// A file: the cache, the medium, and what is between them.
#[derive(Debug, Default)]
pub(super) struct Contents {
    cache: Image,
    medium: Image,
    /// What was done since the last sync, oldest first.
    pending: Vec<Change>,
    /// Pages that are called clean although the medium does not hold what the cache holds.
    astray: BTreeSet<usize>,
    /// Handles of this file.
    pub(super) open: usize,
}

#[derive(Debug)]
enum Change {
    /// Bytes of one page, which looks like `image` after it.
    Write {
        page: usize,
        bytes: Range<usize>,
        image: Arc<Page>,
    },
    /// The same, but writing it back failed: no sync takes it any more, and it may have arrived.
    Failed {
        page: usize,
        bytes: Range<usize>,
        image: Arc<Page>,
    },
    Size {
        size: usize,
        reserved: usize,
    },
}

impl Contents {
    pub(super) fn size(&self) -> usize {
        self.cache.size
    }

    /// Pages that this file takes from the disk's capacity.
    pub(super) fn allocated(&self) -> usize {
        self.cache.allocated
    }

    /// How many of these bytes find room if so many pages are free.
    pub(super) fn fits(&self, offset: usize, len: usize, mut free: usize) -> usize {
        let mut fits = 0;
        for (page, range) in pages(offset, len) {
            if !self.cache.has_space(page) {
                if free == 0 {
                    return fits;
                }
                free -= 1;
            }
            fits += range.len();
        }
        fits
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: usize) -> usize {
        self.cache.read(buffer, offset)
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let mut rest = bytes;
        for (page, range) in pages(offset, bytes.len()) {
            let (now, later) = rest.split_at(range.len());
            rest = later;
            let image = self.cache.write(page, range.clone(), now);
            // Of a page that is astray all is dirty, not just what is written here.
            let whole = 0..PAGE.min(self.cache.size - page * PAGE);
            let range = if self.astray.contains(&page) { whole } else { range };
            self.pending.push(Change::Write { page, bytes: range, image });
        }
    }

    /// A write that the medium acknowledges and does not perform.
    pub(super) fn write_and_lose(&mut self, offset: usize, bytes: &[u8]) {
        let mut rest = bytes;
        for (page, range) in pages(offset, bytes.len()) {
            let (now, later) = rest.split_at(range.len());
            rest = later;
            self.cache.write(page, range, now);
            self.astray.insert(page);
        }
    }

    /// Bytes that the medium gets although nobody wrote them to this file. Pages of the cache stay
    /// as they are.
    pub(super) fn overwrite(&mut self, offset: usize, bytes: &[u8]) {
        let mut rest = bytes;
        for (page, range) in pages(offset, bytes.len()) {
            let (now, later) = rest.split_at(range.len());
            rest = later;
            self.medium.write(page, range, now);
            self.astray.insert(page);
        }
    }

    pub(super) fn resize(&mut self, size: usize) {
        self.cache.resize(size);
        self.pending.push(Change::Size { size, reserved: self.cache.reserved });
    }

    pub(super) fn reserve(&mut self, size: usize) {
        self.cache.reserve(size);
        let (size, reserved) = (self.cache.size, self.cache.reserved);
        self.pending.push(Change::Size { size, reserved });
    }

    /// Makes the medium equal to the cache, but for what is astray; answers how many bytes moved.
    pub(super) fn sync(&mut self) -> u64 {
        for change in &self.pending {
            if let Change::Size { size, reserved } = change {
                self.medium.settle(*size, *reserved);
            }
        }
        let mut moved = 0;
        for change in &self.pending {
            if let Change::Write { page, .. } = change {
                self.medium.take(*page, &self.cache);
                self.astray.remove(page);
                moved += PAGE as u64;
            }
        }
        self.medium.settle(self.cache.size, self.cache.reserved);
        let astray = &self.astray;
        self.pending.retain(
            |change| matches!(change, Change::Failed { page, .. } if astray.contains(page)),
        );
        moved
    }

    /// Writing back fails: every dirty page is called clean. The size is not data and stays dirty.
    pub(super) fn fail_sync(&mut self) {
        for change in &mut self.pending {
            if let Change::Write { page, bytes, image } = change {
                self.astray.insert(*page);
                let (page, bytes, image) = (*page, bytes.clone(), Arc::clone(image));
                *change = Change::Failed { page, bytes, image };
            }
        }
    }

    /// A sync that is acknowledged and does nothing.
    pub(super) fn lose_sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Write { page, .. } => {
                    self.astray.insert(page);
                }
                Change::Failed { .. } => self.pending.push(change),
                Change::Size { .. } => {}
            }
        }
    }

    /// Loses the cache: of what is pending `survives` decides, sector by sector.
    pub(super) fn crash(&mut self, survives: &mut impl FnMut() -> bool) {
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Size { size, reserved } => {
                    if survives() {
                        self.medium.settle(size, reserved);
                    }
                }
                Change::Write { page, bytes, image } | Change::Failed { page, bytes, image } => {
                    for sector in sectors(bytes) {
                        if survives() {
                            self.medium.write(page, sector.clone(), &image[sector]);
                        }
                    }
                }
            }
        }
        self.astray.clear();
        self.cache = self.medium.clone();
    }

    /// Drops the pages that are called clean, so that they are what the medium says: what failed
    /// to be written back did not arrive.
    pub(super) fn forget_clean(&mut self) {
        self.pending.retain(|change| !matches!(change, Change::Failed { .. }));
        for page in std::mem::take(&mut self.astray) {
            if self.is_dirty(page) {
                self.astray.insert(page);
            } else {
                self.cache.take(page, &self.medium);
            }
        }
    }

    fn is_dirty(&self, page: usize) -> bool {
        let writes =
            |change: &Change| matches!(change, Change::Write { page: at, .. } if *at == page);
        self.pending.iter().any(writes)
    }

    /// The same bytes, durable.
    pub(super) fn copy(&self) -> Contents {
        let (cache, medium) = (self.cache.clone(), self.cache.clone());
        Contents { cache, medium, ..Contents::default() }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.cache.size];
        self.cache.read(&mut bytes, 0);
        bytes
    }

    /// Puts durable bytes in the place of all there is.
    pub(super) fn replace(&mut self, bytes: &[u8]) {
        self.cache.resize(bytes.len());
        for (page, range) in pages(0, bytes.len()) {
            let now = &bytes[page * PAGE..][..range.len()];
            if self.cache.page(page)[..range.len()] != *now {
                self.cache.write(page, range, now);
            }
        }
        self.medium = self.cache.clone();
        self.pending.clear();
        self.astray.clear();
    }

    /// How many bytes of the medium are not zero.
    pub(super) fn used(&self) -> usize {
        self.medium.used()
    }

    /// Where the `nth` byte of the medium is that is not zero.
    pub(super) fn nth_used(&self, nth: usize) -> Option<usize> {
        self.medium.nth_used(nth)
    }

    #[cfg(test)]
    pub(super) fn pages_in_memory(&self) -> usize {
        self.cache.pages_in_memory() + self.medium.pages_in_memory()
    }

    /// Flips a bit of the medium, and of the cache where that is clean.
    pub(super) fn flip(&mut self, offset: usize, bit: u8) -> bool {
        if offset >= self.medium.size {
            return false;
        }
        let (page, at) = (offset / PAGE, offset % PAGE);
        let byte = [self.medium.page(page)[at] ^ 1 << (bit % 8)];
        self.medium.write(page, at..at + 1, &byte);
        if !self.is_dirty(page) && !self.astray.contains(&page) {
            self.cache.take(page, &self.medium);
        }
        true
    }
}
