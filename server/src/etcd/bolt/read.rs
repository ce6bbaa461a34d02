//! Reading a file of which nothing is known.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use super::format::{
    BRANCH, BUCKET_HEADER, ELEMENT, Header, IS_BUCKET, LEAF, META, Meta, PAGE_HEADER, u32_at,
    u64_at,
};
use crate::storage::disk::DiskFile;

/// Page sizes that a file may have; bbolt takes that of the machine, 4 KiB to 64 KiB.
const PAGE_SIZES: std::ops::RangeInclusive<u32> = 1024..=1 << 20;
/// Levels of a tree. A page has two children at least and hundreds as a rule: no file that fits
/// on a disk has more.
const DEPTH_MAX: usize = 32;
/// A page with its overflow, which is held in memory: bbolt puts up to four items on a page that
/// they do not fit on, and the largest request that a member can be told to take has 16 MiB. That
/// goes for branches too: bbolt's keys have 32 KiB at most, but the name of a user or role of ours may
/// be as long as a request.
const PAGE_BYTES_MAX: u64 = 128 << 20;
/// Buckets of one file. etcd makes a dozen; each may lead through the whole file once more.
const BUCKETS_MAX: u64 = 256;

/// Why a file cannot be read.
#[derive(Debug, Error)]
pub enum BoltError {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is no file of bbolt: neither of its first two pages is sound")]
    NoMeta,
    #[error("it is {found} bytes long, and its first pages speak of {expected}: its end is lost")]
    Short { expected: u64, found: u64 },
    #[error("page {page} is damaged: {what}")]
    Page { page: u64, what: &'static str },
    #[error("bucket {name:?} is damaged: {what}")]
    Bucket { name: String, what: &'static str },
}

/// A file of bbolt, open for reading.
#[derive(Clone, Debug)]
pub struct Bolt {
    file: Arc<dyn DiskFile>,
    meta: Meta,
}

/// A place where a tree begins.
#[derive(Clone, Debug)]
enum Root {
    Page(u64),
    Inline(Bytes),
}

/// The items of one bucket in the order of their keys. They end at the first error.
#[derive(Debug)]
pub struct Entries {
    bolt: Bolt,
    path: Vec<Level>,
    /// Pages read, with those that they go on over; a walk that sees more than there are goes round
    /// in circles.
    seen: u64,
    /// Items handed out.
    count: u64,
    last_key: Option<Bytes>,
    /// Whether the items must be buckets, or must not.
    buckets: bool,
    failed: bool,
}

#[derive(Debug)]
struct Level {
    page: Page,
    next: usize,
}

#[derive(Debug)]
struct Page {
    id: u64,
    header: Header,
    bytes: Bytes,
}

impl Bolt {
    /// Opens a file that has `file_bytes` bytes of bbolt's; what is behind those does not count.
    pub fn open(file: Arc<dyn DiskFile>, file_bytes: u64) -> Result<Bolt, BoltError> {
        let meta = newest_meta(&*file)?.ok_or(BoltError::NoMeta)?;
        let bolt = Bolt { file, meta };
        let expected = meta.end.checked_mul(u64::from(meta.page_bytes));
        let expected = expected.ok_or(BoltError::NoMeta)?;
        if expected > file_bytes {
            return Err(BoltError::Short { expected, found: file_bytes });
        }
        Ok(bolt)
    }

    /// Bytes of the pages in use and of those between them that are free.
    pub fn size_bytes(&self) -> u64 {
        self.meta.end * u64::from(self.meta.page_bytes)
    }

    /// The names of all buckets, in their order, with their items.
    pub fn buckets(
        &self,
    ) -> Result<impl Iterator<Item = Result<(Bytes, Entries), BoltError>> + use<>, BoltError> {
        let bolt = self.clone();
        let buckets = Entries::new(self, &Root::Page(self.meta.root), true)?;
        Ok(buckets.map(move |bucket| {
            let (name, value) = bucket?;
            let entries = bolt.entries(&name, &value)?;
            Ok((name, entries))
        }))
    }

    /// The items of one bucket; `None` if there is no such bucket.
    pub fn bucket(&self, name: &str) -> Result<Option<Entries>, BoltError> {
        for bucket in self.buckets()? {
            let (found, entries) = bucket?;
            if found == name.as_bytes() {
                return Ok(Some(entries));
            }
        }
        Ok(None)
    }

    fn entries(&self, name: &Bytes, value: &Bytes) -> Result<Entries, BoltError> {
        let damaged = |what| BoltError::Bucket { name: shown(name), what };
        let root = u64_at(value, 0).filter(|_| value.len() >= BUCKET_HEADER);
        let root = match root.ok_or_else(|| damaged("its header is cut short"))? {
            0 => Root::Inline(value.slice(BUCKET_HEADER..)),
            page => Root::Page(page),
        };
        Entries::new(self, &root, false)
    }

    fn page(&self, id: u64) -> Result<Page, BoltError> {
        let damaged = |what| BoltError::Page { page: id, what };
        let page_bytes = u64::from(self.meta.page_bytes);
        if id < 2 || id >= self.meta.end {
            return Err(damaged("it is not among the pages in use"));
        }
        let mut header = [0; PAGE_HEADER];
        self.read(&mut header, id * page_bytes)?;
        let header = Header::decode(&header).ok_or_else(|| damaged("it has no header"))?;
        if header.id != id {
            return Err(damaged("it says that it is another page"));
        }
        if !matches!(header.kind, BRANCH | LEAF) {
            return Err(damaged("it is neither a branch nor a leaf"));
        }
        let pages = header.pages();
        if id + pages > self.meta.end || pages * page_bytes > PAGE_BYTES_MAX {
            return Err(damaged("it goes on over more pages than it can"));
        }
        let mut bytes = vec![0; (pages * page_bytes) as usize];
        self.read(&mut bytes, id * page_bytes)?;
        Page::new(id, header, bytes.into())
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), BoltError> {
        if self.file.read_at(buffer, offset)? < buffer.len() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }
}

/// The sound meta page with the higher transaction. Where the second is depends on the page size,
/// which only the first tells: without that one, every place where it may be is looked at.
fn newest_meta(file: &dyn DiskFile) -> Result<Option<Meta>, BoltError> {
    let meta_at = |page: u64| -> Result<Option<Meta>, BoltError> {
        let mut bytes = [0; META];
        let read = file.read_at(&mut bytes, page + PAGE_HEADER as u64)?;
        let meta = Meta::decode(&bytes).filter(|_| read == META);
        let is_size = |bytes: u32| bytes.is_power_of_two() && PAGE_SIZES.contains(&bytes);
        Ok(meta.filter(|meta| is_size(meta.page_bytes)))
    };
    let first = meta_at(0)?;
    let mut sizes = match first {
        Some(meta) => vec![meta.page_bytes],
        None => (0..).map(|shift| PAGE_SIZES.start() << shift).take(11).collect(),
    };
    sizes.retain(|size| PAGE_SIZES.contains(size));
    let mut newest = first;
    for size in sizes {
        let second = meta_at(u64::from(size))?.filter(|meta| meta.page_bytes == size);
        newest = [newest, second].into_iter().flatten().max_by_key(|meta| meta.transaction);
    }
    Ok(newest)
}

impl Entries {
    fn new(bolt: &Bolt, root: &Root, buckets: bool) -> Result<Entries, BoltError> {
        let page = match root {
            Root::Page(id) => bolt.page(*id)?,
            Root::Inline(bytes) => {
                let damaged = |what| BoltError::Page { page: 0, what };
                let header = Header::decode(bytes).ok_or_else(|| damaged("it has no header"))?;
                if header.kind != LEAF {
                    return Err(damaged("a bucket without a page is no leaf"));
                }
                Page::new(0, header, bytes.clone())?
            }
        };
        let bolt = bolt.clone();
        let seen = page.header.pages();
        let path = vec![Level { page, next: 0 }];
        Ok(Entries { bolt, path, seen, count: 0, last_key: None, buckets, failed: false })
    }

    fn step(&mut self) -> Result<Option<(Bytes, Bytes)>, BoltError> {
        while let Some(level) = self.path.last_mut() {
            if level.next == usize::from(level.page.header.count) {
                self.path.pop();
                continue;
            }
            let at = level.next;
            level.next += 1;
            if level.page.header.kind == BRANCH {
                let child = level.page.child(at)?;
                let page = self.bolt.page(child)?;
                self.seen += page.header.pages();
                if self.seen > self.bolt.meta.end || self.path.len() == DEPTH_MAX {
                    return Err(BoltError::Page {
                        page: child,
                        what: "the tree above it goes round in a circle",
                    });
                }
                self.path.push(Level { page, next: 0 });
                continue;
            }
            let (flags, key, value) = level.page.item(at)?;
            let damaged = |what| BoltError::Page { page: level.page.id, what };
            if (flags & IS_BUCKET != 0) != self.buckets {
                return Err(damaged("it has a bucket where there is none, or none where there is"));
            }
            if self.last_key.as_ref().is_some_and(|last| *last >= key) {
                return Err(damaged("its keys are out of order"));
            }
            self.count += 1;
            if self.buckets && self.count > BUCKETS_MAX {
                return Err(damaged("it has more buckets than any etcd makes"));
            }
            // Not a part of the page, which may be large.
            self.last_key = Some(Bytes::copy_from_slice(&key));
            return Ok(Some((key, value)));
        }
        Ok(None)
    }
}

impl Iterator for Entries {
    type Item = Result<(Bytes, Bytes), BoltError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}

impl Page {
    fn new(id: u64, header: Header, bytes: Bytes) -> Result<Page, BoltError> {
        if PAGE_HEADER + usize::from(header.count) * ELEMENT > bytes.len() {
            return Err(BoltError::Page { page: id, what: "it has more elements than room" });
        }
        Ok(Page { id, header, bytes })
    }

    /// The page that an element of a branch leads to.
    fn child(&self, at: usize) -> Result<u64, BoltError> {
        let page = u64_at(&self.bytes, PAGE_HEADER + at * ELEMENT + 8);
        page.ok_or_else(|| self.cut_short())
    }

    /// Flags, key and value of an element of a leaf.
    fn item(&self, at: usize) -> Result<(u32, Bytes, Bytes), BoltError> {
        let element = PAGE_HEADER + at * ELEMENT;
        let number = |field: usize| u32_at(&self.bytes, element + 4 * field);
        let read = || -> Option<_> {
            let (flags, distance) = (number(0)?, number(1)? as usize);
            let (key_len, value_len) = (number(2)? as usize, number(3)? as usize);
            let key = element.checked_add(distance)?;
            let value = key.checked_add(key_len)?;
            let end = value.checked_add(value_len)?;
            let is_inside = end <= self.bytes.len();
            is_inside.then(|| (flags, self.bytes.slice(key..value), self.bytes.slice(value..end)))
        };
        read().ok_or_else(|| self.cut_short())
    }

    fn cut_short(&self) -> BoltError {
        BoltError::Page { page: self.id, what: "an element of it lies outside" }
    }
}

fn shown(name: &[u8]) -> String {
    const SHOWN_BYTES: usize = 64;
    String::from_utf8_lossy(&name[..name.len().min(SHOWN_BYTES)]).into_owned()
}
