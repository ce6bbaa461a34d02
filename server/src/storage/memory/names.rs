//! Which names there are, and which of them a crash would leave.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File(u64),
}

#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Add(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

impl NameChange {
    /// The names that are other ones after it.
    fn paths(&self) -> impl Iterator<Item = &Path> {
        let (first, second) = match self {
            NameChange::Add(path, _) | NameChange::Remove(path) => (path, None),
            NameChange::Rename(from, to) => (from, Some(to)),
        };
        [first].into_iter().chain(second).map(PathBuf::as_path)
    }
}

/// A tree of names, by their full paths.
#[derive(Debug)]
pub(super) struct Names {
    live: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    /// Changes since their directories were synced, oldest first.
    pending: Vec<NameChange>,
}

impl Default for Names {
    fn default() -> Names {
        let live = BTreeMap::from([(PathBuf::from("/"), Node::Dir)]);
        Names { durable: live.clone(), live, pending: Vec::new() }
    }
}

impl Names {
    pub(super) fn get(&self, path: &Path) -> Option<Node> {
        self.live.get(path).copied()
    }

    /// The name of a file, if it has one.
    pub(super) fn path(&self, file: u64) -> Option<&Path> {
        let mut named = self.files();
        named.find_map(|(path, named)| (named == file).then_some(path))
    }

    /// All files that have a name, sorted by it.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.live.iter().filter_map(|(path, node)| match node {
            Node::File(file) => Some((path.as_path(), *file)),
            Node::Dir => None,
        })
    }

    /// Whether a file has a name, or may have one after a crash.
    pub(super) fn hold(&self, file: u64) -> bool {
        let is = |node: &Node| *node == Node::File(file);
        self.live.values().any(is)
            || self.durable.values().any(is)
            || self
                .pending
                .iter()
                .any(|change| matches!(change, NameChange::Add(_, node) if is(node)))
    }

    /// The names in a directory, sorted.
    pub(super) fn inside(&self, dir: &Path) -> Vec<String> {
        let inside = self.live.keys().filter(|path| path.parent() == Some(dir));
        let names = inside.filter_map(|path| path.file_name());
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    pub(super) fn change(&mut self, change: NameChange) {
        apply_name(&mut self.live, &change);
        self.pending.push(change);
    }

    /// Makes the changes of names in `dir` durable.
    pub(super) fn sync(&mut self, dir: &Path) {
        if self.pending.is_empty() {
            return;
        }
        for change in std::mem::take(&mut self.pending) {
            if change.paths().any(|path| path.parent() == Some(dir)) {
                apply_name(&mut self.durable, &change);
            } else {
                self.pending.push(change);
            }
        }
    }

    /// Keeps what is durable and any of the changes after it, but none that follows on a lost one:
    /// of the same name, or inside that directory. A rename is kept as a whole or not at all.
    pub(super) fn crash(&mut self, survives: &mut impl FnMut() -> bool) {
        let mut lost: Vec<PathBuf> = Vec::new();
        for change in std::mem::take(&mut self.pending) {
            let follows = |path: &Path| lost.iter().any(|lost| path.starts_with(lost));
            if !change.paths().any(follows) && survives() {
                apply_name(&mut self.durable, &change);
            } else {
                lost.extend(change.paths().map(Path::to_owned));
            }
        }
        self.durable = reachable(&self.durable);
        self.live = self.durable.clone();
    }

    /// The same names, all of them durable.
    pub(super) fn copy(&self) -> Names {
        Names { live: self.live.clone(), durable: self.live.clone(), pending: Vec::new() }
    }
}

/// Without what lies in directories that did not survive.
fn reachable(names: &BTreeMap<PathBuf, Node>) -> BTreeMap<PathBuf, Node> {
    let mut reachable = BTreeMap::new();
    for (path, node) in names {
        let in_dir = path.parent().is_none_or(|dir| reachable.get(dir) == Some(&Node::Dir));
        if in_dir {
            reachable.insert(path.clone(), *node);
        }
    }
    reachable
}

fn apply_name(names: &mut BTreeMap<PathBuf, Node>, change: &NameChange) {
    match change {
        NameChange::Add(path, node) => {
            names.insert(path.clone(), *node);
        }
        NameChange::Remove(path) => names.retain(|name, _| !name.starts_with(path)),
        NameChange::Rename(from, to) => {
            let moved: Vec<PathBuf> =
                names.keys().filter(|name| name.starts_with(from)).cloned().collect();
            for name in moved {
                if let (Some(node), Ok(rest)) = (names.remove(&name), name.strip_prefix(from)) {
                    let new = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
                    names.insert(new, node);
                }
            }
        }
    }
}
