//! A persistent (copy-on-write) B+tree with subtree counts.
//!
//! `Tree::clone` is O(1) and gives an immutable snapshot; a later change of either copy
//! re-creates only the nodes of one path from the root to a leaf, and only those that are still
//! shared. Inner nodes store the summed [`Entry::weight`] of each child, so a count over a range
//! is O(log n); weight 0 lets deletions stay in the tree without being counted.
//!
//! Every key routed to a node lies between the separators left and right of it (its fences), and
//! so shares their common prefix of `skip` bytes. A node keeps, per entry, the 8 bytes after
//! `skip` as a number (its head), and most comparisons never touch the entry.
//!
//! Invariants, verified by `Tree::check`: all leaves are at one depth; a node other than the root
//! holds at least a quarter of its capacity, but for the right edge, which insertion in key order
//! leaves thin on purpose; `skip` never exceeds the common prefix of a node's fences.

mod head;
mod inner;
mod iter;
mod leaf;
mod node;
mod tree;

pub use iter::Iter;
pub use tree::Tree;

/// What the tree stores. Cloning should be cheap: copying a leaf clones all of its entries.
pub trait Entry: Clone {
    fn key(&self) -> &[u8];

    /// 1 for an entry that counts, 0 for one that only has to stay findable.
    fn weight(&self) -> u32 {
        1
    }
}
