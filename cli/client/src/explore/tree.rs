//! Keys as a tree, while they come.
//!
//! A branch is told when its first key comes, a key at once, and a branch that is folded when the
//! last of its keys has passed. What is remembered is one path.

use super::segments::Segments;

/// One line of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeRow<'a> {
    /// Counts from 0 right below what is skipped; the rows that follow a branch with a greater level
    /// are below it.
    pub level: usize,
    /// The last part of the path. Empty for a key that is called like the branch it is in.
    pub name: &'a [u8],
    pub path: &'a [u8],
    pub kind: TreeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeKind {
    /// Its path ends with the separator.
    Branch,
    Key,
    /// A branch at the greatest depth, with the number of keys below it.
    Folded(u64),
}

/// Makes a tree of keys that come in order.
#[derive(Debug)]
pub struct TreeFold {
    skip: usize,
    separator: u8,
    depth: usize,
    /// The last key.
    path: Vec<u8>,
    /// Where the names of the open branches end in it.
    open: Vec<usize>,
    /// Keys in the innermost branch, if that is folded.
    folded: Option<u64>,
}

impl TreeFold {
    /// `skip` is the length of the prefix that all keys have; `depth` the number of levels shown, 0
    /// for all.
    pub fn new(skip: usize, separator: u8, depth: usize) -> Self {
        let depth = if depth == 0 { usize::MAX } else { depth };
        Self { skip, separator, depth, path: Vec::new(), open: Vec::new(), folded: None }
    }

    /// Takes the next key.
    pub fn push<E>(
        &mut self,
        key: &[u8],
        mut row: impl FnMut(TreeRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let stays = |end: &usize| key.len() >= *end && key[..*end] == self.path[..*end];
        let common = self.open.iter().take_while(|end| stays(end)).count();
        if common < self.open.len() {
            self.leave(common, &mut row)?;
        }
        if let Some(keys) = &mut self.folded {
            *keys += 1;
            self.path.clear();
            self.path.extend_from_slice(key);
            return Ok(());
        }
        self.path.clear();
        self.path.extend_from_slice(key);
        let mut end = self.open.last().copied().unwrap_or(self.skip);
        let mut last = &key[..0];
        for name in Segments::new(key, end, self.separator) {
            let ends = name.len() > 1 && name.ends_with(&[self.separator]);
            if !ends {
                last = name;
                break;
            }
            end += name.len();
            let level = self.open.len();
            self.open.push(end);
            if level + 1 >= self.depth {
                self.folded = Some(1);
                return Ok(());
            }
            row(TreeRow { level, name, path: &key[..end], kind: TreeKind::Branch })?;
        }
        row(TreeRow { level: self.open.len(), name: last, path: key, kind: TreeKind::Key })
    }

    /// The last key has come.
    pub fn finish<E>(mut self, mut row: impl FnMut(TreeRow<'_>) -> Result<(), E>) -> Result<(), E> {
        self.leave(0, &mut row)
    }

    fn leave<E>(
        &mut self,
        common: usize,
        row: &mut impl FnMut(TreeRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let folded = self.folded.take();
        let level = self.open.len().saturating_sub(1);
        let start = if level == 0 { self.skip } else { self.open[level - 1] };
        let end = self.open.last().copied().unwrap_or(start);
        self.open.truncate(common);
        let (end, kind) = match folded {
            None => return Ok(()),
            // One key takes no more room than to say that it is one.
            Some(1) => (self.path.len(), TreeKind::Key),
            Some(keys) => (end, TreeKind::Folded(keys)),
        };
        row(TreeRow { level, name: &self.path[start..end], path: &self.path[..end], kind })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::{TreeFold, TreeKind, TreeRow};

    fn tree<'a>(
        keys: impl IntoIterator<Item = &'a str>,
        prefix: &str,
        depth: usize,
    ) -> Vec<String> {
        let mut fold = TreeFold::new(prefix.len(), b'/', depth);
        let mut lines = Vec::new();
        let mut row = |row: TreeRow<'_>| {
            assert!(row.path.ends_with(row.name));
            let text = format!("{}{}", "  ".repeat(row.level), String::from_utf8_lossy(row.name));
            lines.push(match row.kind {
                TreeKind::Branch | TreeKind::Key => text,
                TreeKind::Folded(keys) => format!("{text} {keys}"),
            });
            Ok::<_, Infallible>(())
        };
        for key in keys {
            fold.push(key.as_bytes(), &mut row).unwrap();
        }
        fold.finish(&mut row).unwrap();
        lines
    }

    #[test]
    fn keys_become_a_tree_in_key_order() {
        let keys = ["/a", "/a-b", "/a/1", "/a/2/x", "/a/2/y", "/b/1", "c"];
        let all = ["/a", "/a-b", "/a/", "  1", "  2/", "    x", "    y", "/b/", "  1", "c"];
        assert_eq!(tree(keys, "", 0), all);
        assert_eq!(tree(["/a/1", "/a/2/x"], "/a/", 0), ["1", "2/", "  x"]);
        assert!(tree([], "", 0).is_empty());
    }

    #[test]
    fn what_lies_deeper_is_counted() {
        let keys = ["/a/1", "/a/2/x", "/a/2/y", "/a/3/x/z", "/b/1", "/c/1", "/c/2"];
        assert_eq!(tree(keys, "", 1), ["/a/ 4", "/b/1", "/c/ 2"]);
        let two = ["/a/", "  1", "  2/ 2", "  3/x/z", "/b/", "  1", "/c/", "  1", "  2"];
        assert_eq!(tree(keys, "", 2), two);
    }

    #[test]
    fn a_key_called_like_its_branch_has_no_name_in_it() {
        assert_eq!(tree(["a/", "a/b"], "", 0), ["a/", "  ", "  b"]);
        assert_eq!(tree(["a", "a/"], "a", 0), ["", "/"]);
    }
}
