//! A file as it looks from one side: a table of pages that share what they have in common.
//!
//! So a sync costs what was written since the one before, a copy costs a table, and zeros cost
//! nothing.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

pub(super) const SECTOR: usize = 512;
pub(super) const PAGE: usize = 4096;

pub(super) type Page = [u8; PAGE];

/// The page that all pages of zeros are.
static BLANK: LazyLock<Arc<Page>> = LazyLock::new(|| Arc::new([0; PAGE]));

/// A file as it looks from one side.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pub(super) size: usize,
    /// Pages whose space was reserved, counted from the first.
    pub(super) reserved: usize,
    /// Pages that were written; the others are zeros.
    pages: Vec<Option<Arc<Page>>>,
    /// Pages that have space of their own.
    pub(super) allocated: usize,
}

impl Image {
    pub(super) fn page(&self, number: usize) -> &Page {
        self.pages.get(number).and_then(Option::as_ref).unwrap_or(&BLANK)
    }

    pub(super) fn has_space(&self, number: usize) -> bool {
        number < self.reserved || self.pages.get(number).is_some_and(Option::is_some)
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: usize) -> usize {
        let len = self.size.saturating_sub(offset).min(buffer.len());
        let mut rest = &mut buffer[..len];
        for (page, range) in pages(offset, len) {
            let (now, later) = rest.split_at_mut(range.len());
            rest = later;
            now.copy_from_slice(&self.page(page)[range]);
        }
        len
    }

    #[cfg(test)]
    pub(super) fn pages_in_memory(&self) -> usize {
        self.pages.iter().flatten().filter(|page| !Arc::ptr_eq(page, &BLANK)).count()
    }

    /// How many bytes are not zero.
    pub(super) fn used(&self) -> usize {
        (0..self.pages.len()).map(|page| used(self.page(page))).sum()
    }

    /// Where the `nth` byte is that is not zero.
    pub(super) fn nth_used(&self, mut nth: usize) -> Option<usize> {
        for number in 0..self.pages.len() {
            let page = self.page(number);
            let here = used(page);
            if nth < here {
                let inside = (0..PAGE).filter(|at| page[*at] != 0).nth(nth)?;
                return Some(number * PAGE + inside);
            }
            nth -= here;
        }
        None
    }

    /// Writes a part of one page, lengthening the file if it must; answers the page after it.
    pub(super) fn write(&mut self, number: usize, range: Range<usize>, bytes: &[u8]) -> Arc<Page> {
        self.size = self.size.max(number * PAGE + range.end);
        if number >= self.pages.len() {
            self.pages.resize(number + 1, None);
        }
        let slot = &mut self.pages[number];
        self.allocated += usize::from(slot.is_none() && number >= self.reserved);
        let mut page = slot.take().unwrap_or_else(|| Arc::clone(&BLANK));
        let blank = range.len() == PAGE || Arc::ptr_eq(&page, &BLANK);
        if blank && bytes == &BLANK[..bytes.len()] {
            page = Arc::clone(&BLANK);
        } else {
            Arc::make_mut(&mut page)[range].copy_from_slice(bytes);
        }
        *slot = Some(Arc::clone(&page));
        page
    }

    /// Makes one page that of `other`.
    pub(super) fn take(&mut self, number: usize, other: &Image) {
        let page = other.pages.get(number).cloned().flatten();
        if number >= self.pages.len() {
            self.pages.resize(number + 1, None);
        }
        let before = usize::from(self.pages[number].is_some() && number >= self.reserved);
        self.allocated -= before;
        self.allocated += usize::from(page.is_some() && number >= self.reserved);
        self.pages[number] = page;
    }

    /// Cuts the file, or lengthens it by zeros that take no space.
    pub(super) fn resize(&mut self, size: usize) {
        self.settle(size, self.reserved.min(size.div_ceil(PAGE)));
    }

    pub(super) fn reserve(&mut self, size: usize) {
        self.settle(self.size.max(size), self.reserved.max(size.div_ceil(PAGE)));
    }

    pub(super) fn settle(&mut self, size: usize, reserved: usize) {
        if size < self.size {
            self.pages.truncate(size.div_ceil(PAGE));
            if let Some(Some(page)) = self.pages.get_mut(size / PAGE)
                && !Arc::ptr_eq(page, &BLANK)
            {
                Arc::make_mut(page)[size % PAGE..].fill(0);
            }
        } else if self.reserved == reserved {
            self.size = size;
            return;
        }
        (self.size, self.reserved) = (size, reserved);
        let beyond = self.pages.iter().skip(reserved).filter(|page| page.is_some());
        self.allocated = reserved + beyond.count();
    }
}

/// The pages of a range of a file, each with the part of it that is in the range.
pub(super) fn pages(offset: usize, len: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    parts(offset..offset + len, PAGE).map(|part| {
        let page = part.start / PAGE;
        (page, part.start - page * PAGE..part.end - page * PAGE)
    })
}

/// The sectors of a range of a page, as far as they are in it.
pub(super) fn sectors(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    parts(range, SECTOR)
}

/// A range cut at all multiples of `step`.
fn parts(range: Range<usize>, step: usize) -> impl Iterator<Item = Range<usize>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let start = at;
        at = range.end.min((start / step + 1) * step);
        (start < range.end).then_some(start..at)
    })
}

fn used(page: &Page) -> usize {
    if std::ptr::eq(page, &raw const **BLANK) {
        return 0;
    }
    page.iter().filter(|byte| **byte != 0).count()
}
