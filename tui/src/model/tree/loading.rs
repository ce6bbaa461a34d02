//! Which levels have to be asked for, and what their rows become.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;

use super::{
    DEPTH_MAX, Folder, LevelState, Node, PAGE_ROWS, ROOT, ROWS_MAX, RowKind, Tree, Wanted, join,
};
use crate::msg::{Entry, Failure, LevelPart};

impl Tree {
    /// Folders in `range` of which it is not known how many keys they hold.
    pub fn unsized_in(&self, range: Range<usize>) -> Vec<Bytes> {
        self.rows[range.start.min(self.rows.len())..range.end.min(self.rows.len())]
            .iter()
            .filter_map(|row| {
                let RowKind::Node(nth) = row.what else { return None };
                let level = &self.levels[row.level as usize];
                let node = &level.nodes[nth as usize];
                let unknown =
                    node.folder.is_some_and(|folder| folder.keys.is_none() || folder.stale);
                unknown.then(|| join(&level.prefix, &node.name, Some(self.separator)))
            })
            .collect()
    }

    pub fn set_size(&mut self, prefix: &[u8], keys: u64) {
        let separator = self.separator;
        let Some(path) = prefix.strip_suffix(&[separator]) else { return };
        let cut = path.iter().rposition(|byte| *byte == separator).map_or(0, |at| at + 1);
        let (parent, name) = path.split_at(cut);
        let Some(level) = self.by_prefix.get(parent) else { return };
        let nodes = &mut self.levels[*level as usize].nodes;
        let found = nodes
            .binary_search_by(|node| order(node, separator).cmp(order_of(name, true, separator)));
        if let Some(folder) = found.ok().and_then(|nth| nodes[nth].folder.as_mut()) {
            (folder.keys, folder.stale) = (Some(keys), false);
        }
    }

    /// The rest of a level whose end is in sight; not while a filter makes every end be in sight.
    pub fn want_more_in(&mut self, range: Range<usize>) -> Option<Wanted> {
        if !self.filter.is_empty() {
            return None;
        }
        let level = self.rows[range.start.min(self.rows.len())..range.end.min(self.rows.len())]
            .iter()
            .find(|row| row.what == RowKind::More)?
            .level;
        self.want_more(level)
    }

    /// All open levels, to be read again.
    pub fn want_again(&mut self) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        self.collect_open(ROOT, &mut wanted, 0);
        wanted.into_iter().map(|level| self.want_whole(level)).collect()
    }

    /// The levels that could not be loaded, to be tried again.
    pub fn want_failed(&mut self) -> Vec<Wanted> {
        let mut open = Vec::new();
        self.collect_open(ROOT, &mut open, 0);
        open.retain(|level| matches!(self.levels[*level as usize].state, LevelState::Failed(_)));
        open.into_iter().map(|level| self.want_whole(level)).collect()
    }

    /// The level that holds `key`, if it is open: it has to be read again when the key was written.
    pub fn want_around(&mut self, key: &[u8]) -> Vec<Wanted> {
        let mut open = Vec::new();
        self.collect_open(ROOT, &mut open, 0);
        open.retain(|level| key.starts_with(&self.levels[*level as usize].prefix));
        open.into_iter().map(|level| self.want_whole(level)).collect()
    }

    /// Takes some rows of a level. Returns a level to be asked for next, if there is an obvious
    /// one.
    pub fn take(&mut self, prefix: &Bytes, part: LevelPart) -> Option<Wanted> {
        let id = *self.by_prefix.get(prefix)?;
        let level = &mut self.levels[id as usize];
        let (first_load, continued) = (level.state != LevelState::Loaded, part.continued);
        let into = level.arriving.get_or_insert_with(Vec::new);
        into.extend(part.entries.into_iter().map(Node::from));
        level.revision = part.revision;
        if !part.done {
            return None;
        }
        level.rest = part.rest;
        level.state = LevelState::Loaded;
        let fresh = level.arriving.take().unwrap_or_default();
        if continued {
            level.nodes.extend(fresh);
        } else {
            let before = std::mem::replace(&mut level.nodes, fresh);
            self.carry_over(id, before);
        }
        self.rebuild();
        // A level that only leads on is not worth a key press.
        let nodes = &self.levels[id as usize].nodes;
        let leads_on = first_load
            && !continued
            && nodes.len() == 1
            && nodes[0].folder.is_some_and(|folder| !folder.open);
        if leads_on { self.set_open(id, 0, true) } else { None }
    }

    pub fn fail(&mut self, prefix: &Bytes, failure: Failure) {
        let Some(id) = self.by_prefix.get(prefix) else { return };
        let level = &mut self.levels[*id as usize];
        level.arriving = None;
        if level.state != LevelState::Loaded {
            level.state = LevelState::Failed(failure);
        }
        self.rebuild();
    }

    pub(super) fn want_whole(&mut self, id: u32) -> Wanted {
        let level = &mut self.levels[id as usize];
        level.arriving = None;
        let pages = level.nodes.len().div_ceil(PAGE_ROWS).max(1);
        Wanted { prefix: level.prefix.clone(), from: None, limit: pages * PAGE_ROWS }
    }

    pub(super) fn want_more(&mut self, id: u32) -> Option<Wanted> {
        let kept: usize = self.levels.iter().map(|level| level.nodes.len()).sum();
        let level = &mut self.levels[id as usize];
        if kept + PAGE_ROWS > ROWS_MAX {
            return None;
        }
        let from = level.rest.clone()?;
        level.arriving = None;
        Some(Wanted { prefix: level.prefix.clone(), from: Some(from), limit: PAGE_ROWS })
    }

    fn collect_open(&self, id: u32, into: &mut Vec<u32>, depth: u16) {
        into.push(id);
        if depth == DEPTH_MAX {
            return;
        }
        for folder in self.levels[id as usize].nodes.iter().filter_map(|node| node.folder) {
            if let (true, Some(level)) = (folder.open, folder.level) {
                self.collect_open(level, into, depth + 1);
            }
        }
    }

    /// Folders that were open stay open; levels of folders that are gone are given up.
    fn carry_over(&mut self, id: u32, before: Vec<Node>) {
        let mut known: HashMap<Bytes, Folder> = before
            .into_iter()
            .filter_map(|node| node.folder.map(|folder| (node.name, folder)))
            .collect();
        if known.is_empty() {
            return;
        }
        for node in &mut self.levels[id as usize].nodes {
            if let Some(folder) = node.folder.as_mut()
                && let Some(was) = known.remove(&node.name)
            {
                // The old size is shown until the new one is known.
                *folder = Folder { stale: true, ..was };
            }
        }
        for orphan in known.into_values().filter_map(|folder| folder.level) {
            self.give_up(orphan);
        }
    }

    fn give_up(&mut self, id: u32) {
        let level = std::mem::take(&mut self.levels[id as usize]);
        self.by_prefix.remove(&level.prefix);
        for child in
            level.nodes.iter().filter_map(|node| node.folder.and_then(|folder| folder.level))
        {
            self.give_up(child);
        }
    }
}

/// The order of rows in a level is the order of keys: a folder is placed by its name with the
/// separator.
fn order(node: &Node, separator: u8) -> impl Iterator<Item = u8> {
    order_of(&node.name, node.folder.is_some(), separator)
}

fn order_of(name: &[u8], folder: bool, separator: u8) -> impl Iterator<Item = u8> {
    name.iter().copied().chain(folder.then_some(separator))
}

impl From<Entry> for Node {
    fn from(entry: Entry) -> Self {
        Self { name: entry.name, folder: entry.folder.then(Folder::default) }
    }
}
