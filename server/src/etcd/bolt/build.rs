//! Writing a file, front to back, in two passes over the same content.

use bytes::Bytes;
use thiserror::Error;

use super::format::{
    BRANCH, BUCKET_HEADER, ELEMENT, FREELIST, Header, IS_BUCKET, LEAF, META_PAGE, Meta, PAGE_BYTES,
    PAGE_HEADER,
};

/// The page of the freelist, which is empty: a new file has nothing free.
const FREELIST_PAGE: u64 = 2;
const FIRST_PAGE: u64 = 3;
/// bbolt demands two keys of a branch: when it merges pages, each must have a neighbour. One more
/// than twice as many are gathered before a page is closed, so that one can be kept back for the
/// next page.
const BRANCH_KEYS_MIN: usize = 4;

/// Where a file's pages go.
pub trait Sink {
    type Error: From<BuildError>;
    /// Whether the bytes are wanted, and not only how many there are.
    const WRITES: bool;
    /// Takes the next bytes of the file.
    fn put(&mut self, bytes: Vec<u8>) -> Result<(), Self::Error>;
}

/// The sink of the first pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measure;

/// What is wrong with the content.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BuildError {
    #[error("a value of {found} bytes was measured as one of {measured}")]
    Length { measured: usize, found: usize },
    #[error("the content of the second pass is not that of the first")]
    Changed,
}

/// What the first pass finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Where the tree of buckets begins.
    root: u64,
    /// All pages of the file.
    pages: u64,
}

/// A file being built: buckets in the order of their names, the items of each in the order of
/// their keys.
#[derive(Debug)]
pub struct Builder<S> {
    sink: S,
    /// What the first pass found, in the second.
    layout: Option<Layout>,
    next_page: u64,
    /// The tree of buckets, of which the open one is not part yet.
    buckets: Tree,
    open: Option<(&'static str, Tree)>,
}

impl Layout {
    pub fn file_bytes(&self) -> u64 {
        self.pages * PAGE_BYTES as u64
    }
}

impl Sink for Measure {
    type Error = BuildError;
    const WRITES: bool = false;

    fn put(&mut self, _: Vec<u8>) -> Result<(), BuildError> {
        Ok(())
    }
}

impl Builder<Measure> {
    /// Begins the first pass.
    pub fn measure() -> Builder<Measure> {
        Builder::around(Measure, None)
    }
}

impl<S: Sink> Builder<S> {
    /// Begins the second pass, with what the first has found.
    pub fn write(mut sink: S, layout: Layout) -> Result<Builder<S>, S::Error> {
        sink.put(head(layout))?;
        Ok(Builder::around(sink, Some(layout)))
    }

    fn around(sink: S, layout: Option<Layout>) -> Builder<S> {
        Builder { sink, layout, next_page: FIRST_PAGE, buckets: Tree::default(), open: None }
    }

    /// Begins a bucket and ends the one before.
    pub fn bucket(&mut self, name: &'static str) -> Result<(), S::Error> {
        self.end_bucket()?;
        self.open = Some((name, Tree::default()));
        Ok(())
    }

    /// Adds an item to the bucket begun last. `value` is asked for only where bytes are wanted,
    /// and must have `value_len` of them.
    pub fn item(
        &mut self,
        key: &[u8],
        value_len: usize,
        value: impl FnOnce() -> Result<Bytes, S::Error>,
    ) -> Result<(), S::Error> {
        let mut content = Bytes::new();
        if S::WRITES {
            content = value()?;
            if content.len() != value_len {
                let (measured, found) = (value_len, content.len());
                return Err(BuildError::Length { measured, found }.into());
            }
        }
        let Builder { sink, next_page, open, .. } = self;
        let (_, tree) = open.as_mut().expect("an item belongs to a bucket");
        let item = Item { key: key.to_vec(), value_len, value: content, flags: 0 };
        tree.item(item, &mut Pages { sink, next_page })
    }

    /// Adds an item whose value is at hand.
    pub fn row(&mut self, key: &[u8], value: impl Into<Bytes>) -> Result<(), S::Error> {
        let value = value.into();
        self.item(key, value.len(), || Ok(value))
    }

    /// Ends the file.
    pub fn finish(mut self) -> Result<(Layout, S), S::Error> {
        self.end_bucket()?;
        let Builder { mut sink, layout, mut next_page, mut buckets, .. } = self;
        let mut pages = Pages { sink: &mut sink, next_page: &mut next_page };
        let root = match buckets.finish(&mut pages)? {
            Some(root) => root,
            None => pages.add(LEAF, 0, PAGE_HEADER, |_| {})?,
        };
        let found = Layout { root, pages: next_page };
        if layout.is_some_and(|layout| layout != found) {
            return Err(BuildError::Changed.into());
        }
        Ok((found, sink))
    }

    fn end_bucket(&mut self) -> Result<(), S::Error> {
        let Some((name, mut tree)) = self.open.take() else { return Ok(()) };
        let Builder { sink, next_page, buckets, .. } = self;
        let mut pages = Pages { sink, next_page };
        let mut value = vec![0; BUCKET_HEADER];
        match tree.finish(&mut pages)? {
            Some(root) => value[..8].copy_from_slice(&root.to_le_bytes()),
            // An empty bucket lies in its parent's leaf: no root page, and an empty page inline.
            None => value.extend(Header { id: 0, kind: LEAF, count: 0, overflow: 0 }.encode()),
        }
        let (key, value_len) = (name.as_bytes().to_vec(), value.len());
        let item = Item { key, value_len, value: value.into(), flags: IS_BUCKET };
        buckets.item(item, &mut pages)
    }
}

/// The pages that no content decides but the layout: two meta pages and the freelist.
fn head(layout: Layout) -> Vec<u8> {
    let mut out = Vec::with_capacity(FIRST_PAGE as usize * PAGE_BYTES);
    for id in 0..FREELIST_PAGE {
        out.extend(Header { id, kind: META_PAGE, count: 0, overflow: 0 }.encode());
        let meta = Meta {
            page_bytes: PAGE_BYTES as u32,
            root: layout.root,
            freelist: FREELIST_PAGE,
            end: layout.pages,
            transaction: id,
        };
        out.extend(meta.encode());
        out.resize((id as usize + 1) * PAGE_BYTES, 0);
    }
    out.extend(Header { id: FREELIST_PAGE, kind: FREELIST, count: 0, overflow: 0 }.encode());
    out.resize(FIRST_PAGE as usize * PAGE_BYTES, 0);
    out
}

/// Gives out pages one behind the other.
struct Pages<'a, S> {
    sink: &'a mut S,
    next_page: &'a mut u64,
}

impl<S: Sink> Pages<'_, S> {
    /// Adds a page with `used` bytes, header included, and as many behind it as that needs.
    fn add(
        &mut self,
        kind: u16,
        count: usize,
        used: usize,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<u64, S::Error> {
        let (id, pages) = (*self.next_page, used.div_ceil(PAGE_BYTES));
        *self.next_page += pages as u64;
        if S::WRITES {
            let mut out = Vec::with_capacity(pages * PAGE_BYTES);
            let (count, overflow) = (count as u16, (pages - 1) as u32);
            out.extend(Header { id, kind, count, overflow }.encode());
            fill(&mut out);
            out.resize(pages * PAGE_BYTES, 0);
            self.sink.put(out)?;
        }
        Ok(id)
    }
}

#[derive(Debug)]
struct Item {
    key: Vec<u8>,
    value_len: usize,
    /// Empty while measuring.
    value: Bytes,
    flags: u32,
}

#[derive(Debug)]
struct Child {
    first_key: Vec<u8>,
    page: u64,
}

/// One tree, built from its leaves up: of each level only the page that is not full yet is held.
#[derive(Debug, Default)]
struct Tree {
    leaf: Vec<Item>,
    leaf_bytes: usize,
    /// The branches that are being filled, the lowest level first.
    levels: Vec<Level>,
}

#[derive(Debug, Default)]
struct Level {
    children: Vec<Child>,
    bytes: usize,
}

impl Tree {
    fn item<S: Sink>(&mut self, item: Item, pages: &mut Pages<'_, S>) -> Result<(), S::Error> {
        let bytes = ELEMENT + item.key.len() + item.value_len;
        if !self.leaf.is_empty() && PAGE_HEADER + self.leaf_bytes + bytes > PAGE_BYTES {
            self.close_leaf(pages)?;
        }
        self.leaf_bytes += bytes;
        self.leaf.push(item);
        Ok(())
    }

    /// Closes what is open; answers the root page, unless there is nothing.
    fn finish<S: Sink>(&mut self, pages: &mut Pages<'_, S>) -> Result<Option<u64>, S::Error> {
        if !self.leaf.is_empty() {
            self.close_leaf(pages)?;
        }
        let mut depth = 0;
        while depth < self.levels.len() {
            let children = std::mem::take(&mut self.levels[depth].children);
            if depth + 1 == self.levels.len() && children.len() == 1 {
                return Ok(Some(children[0].page));
            }
            self.close_branch(depth, children, pages)?;
            depth += 1;
        }
        Ok(None)
    }

    fn close_leaf<S: Sink>(&mut self, pages: &mut Pages<'_, S>) -> Result<(), S::Error> {
        let items = std::mem::take(&mut self.leaf);
        let used = PAGE_HEADER + std::mem::take(&mut self.leaf_bytes);
        let page = pages.add(LEAF, items.len(), used, |out| {
            let mut distance = items.len() * ELEMENT;
            for item in &items {
                out.extend(item.flags.to_le_bytes());
                out.extend((distance as u32).to_le_bytes());
                out.extend((item.key.len() as u32).to_le_bytes());
                out.extend((item.value_len as u32).to_le_bytes());
                distance = distance + item.key.len() + item.value_len - ELEMENT;
            }
            for item in &items {
                out.extend_from_slice(&item.key);
                out.extend_from_slice(&item.value);
            }
        })?;
        let first_key = items.into_iter().next().expect("a leaf is closed with items").key;
        self.child(0, Child { first_key, page }, pages)
    }

    fn child<S: Sink>(
        &mut self,
        depth: usize,
        child: Child,
        pages: &mut Pages<'_, S>,
    ) -> Result<(), S::Error> {
        if self.levels.len() == depth {
            self.levels.push(Level::default());
        }
        let level = &mut self.levels[depth];
        let bytes = ELEMENT + child.first_key.len();
        let is_full = PAGE_HEADER + level.bytes + bytes > PAGE_BYTES;
        if is_full && level.children.len() > BRANCH_KEYS_MIN {
            let kept = level.children.pop().expect("it has more than the least");
            let full = std::mem::take(&mut level.children);
            level.bytes = ELEMENT + kept.first_key.len();
            level.children.push(kept);
            self.close_branch(depth, full, pages)?;
        }
        let level = &mut self.levels[depth];
        level.bytes += bytes;
        level.children.push(child);
        Ok(())
    }

    fn close_branch<S: Sink>(
        &mut self,
        depth: usize,
        children: Vec<Child>,
        pages: &mut Pages<'_, S>,
    ) -> Result<(), S::Error> {
        let keys: usize = children.iter().map(|child| child.first_key.len()).sum();
        let used = PAGE_HEADER + children.len() * ELEMENT + keys;
        let page = pages.add(BRANCH, children.len(), used, |out| {
            let mut distance = children.len() * ELEMENT;
            for child in &children {
                out.extend((distance as u32).to_le_bytes());
                out.extend((child.first_key.len() as u32).to_le_bytes());
                out.extend(child.page.to_le_bytes());
                distance = distance + child.first_key.len() - ELEMENT;
            }
            for child in &children {
                out.extend_from_slice(&child.first_key);
            }
        })?;
        let first_key = children.into_iter().next().expect("a branch has children").first_key;
        self.child(depth + 1, Child { first_key, page }, pages)
    }
}
