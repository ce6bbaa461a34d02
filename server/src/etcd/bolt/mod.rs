//! bbolt's file format: the B+tree file that etcd keeps its state in, and that a snapshot is.
//!
//! A file is a sequence of pages. Pages 0 and 1 are the two meta pages, of which the valid one with
//! the higher transaction counts; it names the page where the tree of buckets begins. A bucket is
//! a tree of its own: branch pages lead to leaf pages, which hold keys and values in the order of
//! the keys. A page whose content is longer goes on over the pages behind it (`overflow`). A small
//! bucket may lie in its parent's leaf, without a page. All numbers are little-endian.
//!
//! - [`Bolt`] reads a file that may be anything: it takes nothing on trust, so a damaged or
//!   malicious file leads to a [`BoltError`], never to a panic or an endless walk. It holds a page of
//!   each level of the tree, with what those go on over: kilobytes in a file of etcd's, and never more
//!   than the file has. It reads through the file; nothing is mapped.
//! - [`Builder`] writes a file front to back, and never holds more than the page being filled and
//!   the branches above it. Since the first pages name the last, it goes over the content twice:
//!   once to measure, once to write.
//!
//! Facts from bbolt's `page.go`, `db.go`, `bucket.go` (1.3 and 1.4, which share the format).

mod build;
mod format;
mod read;
#[cfg(test)]
mod tests;

pub use build::{BuildError, Builder, Layout, Measure, Sink};
pub use format::PAGE_BYTES;
pub use read::{Bolt, BoltError, Entries};
