//! The key space as a tree, loaded level by level as it is opened.
//!
//! Names are bytes. A level holds its rows in key order, as they came; `rows` is the flat list of what is open and not
//! filtered away, rebuilt only when that changes. Moving about and drawing cost what is on the screen.

use std::collections::HashMap;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use crate::msg::{Entry, Failure, LevelPart};

/// Rows asked for at a time: some screens full, and a fraction of a second even on a server that walks the index.
pub const PAGE_ROWS: usize = 2048;
/// Rows kept altogether, about 100 bytes each; beyond that nobody scrolls, one filters on the server.
const ROWS_MAX: usize = 500_000;
/// A tree indented further than this is not readable.
const DEPTH_MAX: u16 = 64;
const ROOT: u32 = 0;

#[derive(Debug)]
pub struct Tree {
    separator: u8,
    levels: Vec<Level>,
    by_prefix: HashMap<Bytes, u32>,
    rows: Vec<Row>,
    pub selected: usize,
    /// The first row on the screen.
    pub offset: usize,
    filter: Vec<u8>,
    /// A key to go to as soon as the levels around it are read.
    pub goal: Option<Bytes>,
}

#[derive(Debug, Default)]
struct Level {
    prefix: Bytes,
    nodes: Vec<Node>,
    /// Rows of a reload, shown when they are complete.
    arriving: Option<Vec<Node>>,
    state: LevelState,
    rest: Option<Bytes>,
    revision: i64,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
enum LevelState {
    #[default]
    Loading,
    Loaded,
    Failed(Failure),
}

#[derive(Debug, Clone)]
struct Node {
    name: Bytes,
    folder: Option<Folder>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Folder {
    keys: Option<u64>,
    /// The level was read again since the keys were counted.
    stale: bool,
    open: bool,
    level: Option<u32>,
}

/// One line of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    level: u32,
    depth: u16,
    what: RowKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowKind {
    Node(u32),
    Loading,
    More,
    Failed,
}

/// One line of the tree, for the view.
#[derive(Debug, PartialEq, Eq)]
pub enum RowView<'a> {
    Key { name: &'a [u8] },
    Folder { name: &'a [u8], open: bool, keys: Option<u64> },
    Loading,
    More,
    Failed(&'a Failure),
}

/// What is under the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selected {
    Key(Bytes),
    /// The prefix, separator included.
    Folder { prefix: Bytes, keys: Option<u64> },
    /// A level goes on here, or could not be loaded.
    Rest { prefix: Bytes },
}

/// A level that has to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub prefix: Bytes,
    pub from: Option<Bytes>,
    pub limit: usize,
}

impl Tree {
    pub fn new(separator: u8) -> Self {
        Self {
            separator,
            levels: vec![Level::default()],
            by_prefix: HashMap::from([(Bytes::new(), ROOT)]),
            rows: vec![Row { level: ROOT, depth: 0, what: RowKind::Loading }],
            selected: 0,
            offset: 0,
            filter: Vec::new(),
            goal: None,
        }
    }

    pub fn separator(&self) -> u8 {
        self.separator
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether the cluster was seen to hold no key at all.
    pub fn has_no_keys(&self) -> bool {
        let root = &self.levels[ROOT as usize];
        root.state == LevelState::Loaded && root.nodes.is_empty()
    }

    pub fn filter(&self) -> &[u8] {
        &self.filter
    }

    /// The revision at which the top of the tree was read.
    pub fn revision(&self) -> i64 {
        self.levels[ROOT as usize].revision
    }

    pub fn is_loaded(&self) -> bool {
        self.levels[ROOT as usize].state == LevelState::Loaded
    }

    /// Whether some open level has rows that were not loaded.
    pub fn is_partial(&self) -> bool {
        self.rows.iter().any(|row| row.what == RowKind::More)
    }

    /// The lines in `range`, with their depths.
    pub fn view(&self, range: Range<usize>) -> impl Iterator<Item = (u16, RowView<'_>)> {
        self.rows[range.start.min(self.rows.len())..range.end.min(self.rows.len())].iter().map(|row| {
            let level = &self.levels[row.level as usize];
            let view = match row.what {
                RowKind::Loading => RowView::Loading,
                RowKind::More => RowView::More,
                RowKind::Failed => match &level.state {
                    LevelState::Failed(failure) => RowView::Failed(failure),
                    _ => RowView::Loading,
                },
                RowKind::Node(nth) => {
                    let node = &level.nodes[nth as usize];
                    match node.folder {
                        None => RowView::Key { name: &node.name },
                        Some(folder) => RowView::Folder { name: &node.name, open: folder.open, keys: folder.keys },
                    }
                }
            };
            (row.depth, view)
        })
    }

    pub fn selected(&self) -> Option<Selected> {
        let row = self.rows.get(self.selected)?;
        let level = &self.levels[row.level as usize];
        Some(match row.what {
            RowKind::Node(nth) => {
                let node = &level.nodes[nth as usize];
                match node.folder {
                    None => Selected::Key(join(&level.prefix, &node.name, None)),
                    Some(folder) => Selected::Folder {
                        prefix: join(&level.prefix, &node.name, Some(self.separator)),
                        keys: folder.keys,
                    },
                }
            }
            RowKind::Loading => return None,
            RowKind::More | RowKind::Failed => Selected::Rest { prefix: level.prefix.clone() },
        })
    }

    /// Why the level under the cursor could not be loaded.
    pub fn failure(&self) -> Option<&Failure> {
        let row = self.rows.get(self.selected).filter(|row| row.what == RowKind::Failed)?;
        match &self.levels[row.level as usize].state {
            LevelState::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// The prefix of the level in which the cursor is: where a new key would go.
    pub fn current_prefix(&self) -> Bytes {
        match self.selected() {
            Some(Selected::Folder { prefix, .. } | Selected::Rest { prefix }) => prefix,
            _ => self.rows.get(self.selected).map_or_else(Bytes::new, |row| self.levels[row.level as usize].prefix.clone()),
        }
    }

    /// Opens the folder under the cursor, or closes it. Returns the level if it has to be asked for.
    pub fn toggle(&mut self) -> Option<Wanted> {
        let row = *self.rows.get(self.selected)?;
        match row.what {
            RowKind::Node(nth) => {
                let open = self.levels[row.level as usize].nodes[nth as usize].folder?.open;
                self.set_open(row.level, nth, !open)
            }
            RowKind::More => self.want_more(row.level),
            RowKind::Failed => {
                self.levels[row.level as usize].state = LevelState::Loading;
                self.rebuild();
                Some(self.want_whole(row.level))
            }
            RowKind::Loading => None,
        }
    }

    /// Closes the folder under the cursor, or goes to the one around it.
    pub fn close(&mut self) {
        let Some(row) = self.rows.get(self.selected).copied() else { return };
        if let RowKind::Node(nth) = row.what {
            if self.levels[row.level as usize].nodes[nth as usize].folder.is_some_and(|folder| folder.open) {
                self.set_open(row.level, nth, false);
                return;
            }
        }
        let around = self.rows[..self.selected].iter().rposition(|other| other.depth < row.depth);
        if let Some(around) = around {
            self.selected = around;
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

    /// Folders in `range` of which it is not known how many keys they hold.
    pub fn unsized_in(&self, range: Range<usize>) -> Vec<Bytes> {
        self.rows[range.start.min(self.rows.len())..range.end.min(self.rows.len())]
            .iter()
            .filter_map(|row| {
                let RowKind::Node(nth) = row.what else { return None };
                let level = &self.levels[row.level as usize];
                let node = &level.nodes[nth as usize];
                let unknown = node.folder.is_some_and(|folder| folder.keys.is_none() || folder.stale);
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
        let found = nodes.binary_search_by(|node| order(node, separator).cmp(order_of(name, true, separator)));
        if let Some(folder) = found.ok().and_then(|nth| nodes[nth].folder.as_mut()) {
            (folder.keys, folder.stale) = (Some(keys), false);
        }
    }

    /// Takes some rows of a level. Returns a level to be asked for next, if there is an obvious one.
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
        let leads_on = first_load && !continued && nodes.len() == 1 && nodes[0].folder.is_some_and(|folder| !folder.open);
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

    pub fn set_filter(&mut self, filter: Vec<u8>) {
        self.filter = filter;
        self.rebuild();
    }

    /// Opens the way to the goal and puts the cursor on it. Returns the level to be asked for next.
    pub fn approach(&mut self) -> Option<Wanted> {
        let goal = self.goal.clone()?;
        let mut id = ROOT;
        loop {
            let level = &self.levels[id as usize];
            let rest = goal.strip_prefix(&level.prefix[..])?;
            let end = rest.iter().position(|byte| *byte == self.separator);
            let name = &rest[..end.unwrap_or(rest.len())];
            let nth = level.nodes.iter().position(|node| node.name == name && node.folder.is_some() == end.is_some())?;
            let Some(folder) = level.nodes[nth].folder else {
                let what = RowKind::Node(nth as u32);
                if let Some(row) = self.rows.iter().position(|row| row.level == id && row.what == what) {
                    self.goal = None;
                    self.move_to(row);
                }
                return None;
            };
            if !folder.open {
                if let Some(wanted) = self.set_open(id, nth as u32, true) {
                    return Some(wanted);
                }
            }
            id = self.levels[id as usize].nodes[nth].folder?.level?;
        }
    }

    pub fn move_to(&mut self, row: usize) {
        self.selected = row.min(self.rows.len().saturating_sub(1));
    }

    pub fn move_by(&mut self, rows: isize) {
        self.move_to(self.selected.saturating_add_signed(rows));
    }

    /// Scrolls just so far that the cursor is among `height` visible lines.
    pub fn scroll_to_cursor(&mut self, height: usize) {
        let height = height.max(1);
        let last_offset = self.rows.len().saturating_sub(height);
        let lowest = self.selected.saturating_sub(height - 1);
        self.offset = self.offset.clamp(lowest, self.selected.max(lowest)).min(last_offset);
    }

    fn set_open(&mut self, id: u32, nth: u32, open: bool) -> Option<Wanted> {
        let child = u32::try_from(self.levels.len()).expect("fewer levels than rows");
        let level = &mut self.levels[id as usize];
        let node = &mut level.nodes[nth as usize];
        let folder = node.folder.as_mut()?;
        folder.open = open;
        let mut wanted = None;
        if open && folder.level.is_none() {
            let prefix = join(&level.prefix, &node.name, Some(self.separator));
            folder.level = Some(child);
            self.by_prefix.insert(prefix.clone(), child);
            self.levels.push(Level { prefix, ..Level::default() });
            wanted = Some(self.want_whole(child));
        }
        self.rebuild();
        wanted
    }

    fn want_whole(&mut self, id: u32) -> Wanted {
        let level = &mut self.levels[id as usize];
        level.arriving = None;
        let pages = level.nodes.len().div_ceil(PAGE_ROWS).max(1);
        Wanted { prefix: level.prefix.clone(), from: None, limit: pages * PAGE_ROWS }
    }

    fn want_more(&mut self, id: u32) -> Option<Wanted> {
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
        let mut known: HashMap<Bytes, Folder> =
            before.into_iter().filter_map(|node| node.folder.map(|folder| (node.name, folder))).collect();
        if known.is_empty() {
            return;
        }
        for node in &mut self.levels[id as usize].nodes {
            if let Some(folder) = node.folder.as_mut() {
                if let Some(was) = known.remove(&node.name) {
                    // The old size is shown until the new one is known.
                    *folder = Folder { stale: true, ..was };
                }
            }
        }
        for orphan in known.into_values().filter_map(|folder| folder.level) {
            self.give_up(orphan);
        }
    }

    fn give_up(&mut self, id: u32) {
        let level = std::mem::take(&mut self.levels[id as usize]);
        self.by_prefix.remove(&level.prefix);
        for child in level.nodes.iter().filter_map(|node| node.folder.and_then(|folder| folder.level)) {
            self.give_up(child);
        }
    }

    fn rebuild(&mut self) {
        let cursor = self.rows.get(self.selected).copied();
        let name = cursor.and_then(|row| self.name_at(row)).map(|(name, folder)| (name.clone(), folder));
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        self.push_level(&mut rows, ROOT, 0);
        self.rows = rows;
        // The nodes of a level that was read again have moved: the cursor follows the name.
        let same = cursor.and_then(|cursor| {
            self.rows.iter().position(|row| {
                row.level == cursor.level
                    && match (row.what, &name) {
                        (RowKind::Node(_), Some((name, folder))) => self.name_at(*row) == Some((name, *folder)),
                        (what, None) => what == cursor.what,
                        _ => false,
                    }
            })
        });
        self.move_to(same.unwrap_or(self.selected));
    }

    fn name_at(&self, row: Row) -> Option<(&Bytes, bool)> {
        let RowKind::Node(nth) = row.what else { return None };
        let node = self.levels[row.level as usize].nodes.get(nth as usize)?;
        Some((&node.name, node.folder.is_some()))
    }

    fn push_level(&self, rows: &mut Vec<Row>, id: u32, depth: u16) {
        let level = &self.levels[id as usize];
        let filter = Filter::new(&self.filter, &level.prefix);
        for (nth, node) in level.nodes.iter().enumerate() {
            let row = Row { level: id, depth, what: RowKind::Node(nth as u32) };
            let matches = filter.matches(&node.name, node.folder.map(|_| self.separator));
            let from = rows.len();
            rows.push(row);
            if let Some(Folder { open: true, level: Some(child), .. }) = node.folder {
                if depth < DEPTH_MAX {
                    self.push_level(rows, child, depth + 1);
                }
            }
            if !matches && rows.len() == from + 1 {
                rows.pop();
            }
        }
        let end = match &level.state {
            LevelState::Failed(_) => Some(RowKind::Failed),
            LevelState::Loading if self.filter.is_empty() => Some(RowKind::Loading),
            LevelState::Loaded if level.rest.is_some() && (self.filter.is_empty() || depth == 0) => Some(RowKind::More),
            _ => None,
        };
        rows.extend(end.map(|what| Row { level: id, depth, what }));
    }
}

/// Matches part of a whole name, however it is spread over levels. Lower case matches both cases.
struct Filter<'a> {
    wanted: &'a [u8],
    fold: bool,
    /// The end of the level's prefix that a match may start in.
    tail: &'a [u8],
    /// The prefix matches by itself, and so does everything below it.
    everything: bool,
}

impl<'a> Filter<'a> {
    fn new(wanted: &'a [u8], prefix: &'a [u8]) -> Self {
        let fold = !wanted.iter().any(u8::is_ascii_uppercase);
        let tail = &prefix[prefix.len().saturating_sub(wanted.len().saturating_sub(1))..];
        let everything = wanted.is_empty() || contains(prefix, wanted, fold);
        Self { wanted, fold, tail, everything }
    }

    fn matches(&self, name: &[u8], separator: Option<u8>) -> bool {
        if self.everything {
            return true;
        }
        if self.tail.is_empty() && separator.is_none() {
            return contains(name, self.wanted, self.fold);
        }
        let whole: Vec<u8> = self.tail.iter().chain(name).copied().chain(separator).collect();
        contains(&whole, self.wanted, self.fold)
    }
}

fn contains(name: &[u8], wanted: &[u8], fold: bool) -> bool {
    let Some((first, rest)) = wanted.split_first() else { return true };
    let same = |a: u8, b: u8| if fold { a.eq_ignore_ascii_case(&b) } else { a == b };
    let Some(last_start) = name.len().checked_sub(wanted.len()) else { return false };
    (0..=last_start).any(|at| {
        same(name[at], *first) && name[at + 1..=at + rest.len()].iter().zip(rest).all(|(a, b)| same(*a, *b))
    })
}

fn join(prefix: &[u8], name: &[u8], separator: Option<u8>) -> Bytes {
    let mut path = BytesMut::with_capacity(prefix.len() + name.len() + 1);
    path.put_slice(prefix);
    path.put_slice(name);
    path.extend(separator);
    path.freeze()
}

/// The order of rows in a level is the order of keys: a folder is placed by its name with the separator.
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{RowView, Selected, Tree};
    use crate::msg::{Entry, Failure, LevelPart};

    fn part(names: &[&str]) -> LevelPart {
        let entries = names.iter().map(|name| match name.strip_suffix('/') {
            Some(folder) => Entry { name: Bytes::copy_from_slice(folder.as_bytes()), folder: true },
            None => Entry { name: Bytes::copy_from_slice(name.as_bytes()), folder: false },
        });
        LevelPart { entries: entries.collect(), revision: 1, done: true, ..LevelPart::default() }
    }

    fn root() -> Bytes {
        Bytes::new()
    }

    fn shown(tree: &Tree) -> Vec<String> {
        tree.view(0..tree.len())
            .enumerate()
            .map(|(nth, (depth, row))| {
                let mark = if nth == tree.selected { ">" } else { "" };
                let text = match row {
                    RowView::Key { name } => String::from_utf8_lossy(name).into_owned(),
                    RowView::Folder { name, open, keys } => {
                        let sign = if open { "-" } else { "+" };
                        let keys = keys.map(|keys| format!(" {keys}")).unwrap_or_default();
                        format!("{sign}{}/{keys}", String::from_utf8_lossy(name))
                    }
                    RowView::Loading => "...".into(),
                    RowView::More => "more".into(),
                    RowView::Failed(failure) => format!("!{}", failure.text),
                };
                format!("{mark}{}{text}", " ".repeat(depth.into()))
            })
            .collect()
    }

    fn opened() -> Tree {
        let mut tree = Tree::new(b'/');
        assert!(tree.take(&root(), part(&["a", "app/", "b/", "z"])).is_none());
        tree.move_to(1);
        let wanted = tree.toggle().expect("an unread level has to be asked for");
        assert_eq!(&wanted.prefix[..], b"app/");
        tree.take(&wanted.prefix, part(&["one", "sub/", "two"]));
        tree
    }

    #[test]
    fn levels_are_asked_for_when_opened_and_only_then() {
        let mut tree = opened();
        assert_eq!(shown(&tree), ["a", ">-app/", " one", " +sub/", " two", "+b/", "z"]);
        assert!(tree.toggle().is_none(), "closing asks for nothing");
        assert_eq!(shown(&tree), ["a", ">+app/", "+b/", "z"]);
        assert!(tree.toggle().is_none(), "what was read is kept");
        assert_eq!(tree.len(), 7);
    }

    #[test]
    fn paths_are_the_raw_bytes() {
        let mut tree = Tree::new(b'/');
        let names = vec![
            Entry { name: Bytes::from_static(b"\xff\x00"), folder: false },
            Entry { name: Bytes::from_static(b"\xff\x1b"), folder: true },
        ];
        tree.take(&root(), LevelPart { entries: names, revision: 1, done: true, ..LevelPart::default() });
        assert_eq!(tree.selected(), Some(Selected::Key(Bytes::from_static(b"\xff\x00"))));
        tree.move_by(1);
        assert_eq!(tree.selected(), Some(Selected::Folder { prefix: Bytes::from_static(b"\xff\x1b/"), keys: None }));
    }

    #[test]
    fn a_reload_keeps_what_is_open_and_the_cursor_on_its_name() {
        let mut tree = opened();
        tree.move_to(4);
        assert_eq!(tree.selected(), Some(Selected::Key(Bytes::from_static(b"app/two"))));
        tree.take(&root(), part(&["0", "a", "app/", "z"]));
        tree.take(&Bytes::from_static(b"app/"), part(&["new", "one", "two"]));
        assert_eq!(shown(&tree), ["0", "a", "-app/", " new", " one", "> two", "z"]);
        tree.take(&root(), part(&["z"]));
        assert_eq!(shown(&tree), [">z"]);
        assert!(tree.want_again().len() == 1, "the level of a folder that is gone is given up");
    }

    #[test]
    fn closing_goes_to_the_folder_around() {
        let mut tree = opened();
        tree.move_to(4);
        tree.close();
        assert_eq!(tree.selected, 1);
        tree.close();
        assert_eq!(shown(&tree), ["a", ">+app/", "+b/", "z"]);
    }

    #[test]
    fn a_filter_finds_names_across_levels_and_keeps_the_way_to_them() {
        let mut tree = opened();
        for (filter, expected) in [
            ("p/T", vec![]),
            ("tw", vec!["-app/", " two"]),
            ("APP", vec![]),
            ("app", vec!["-app/", " one", " +sub/", " two"]),
            ("pp/o", vec!["-app/", " one"]),
            ("", vec!["a", "-app/", " one", " +sub/", " two", "+b/", "z"]),
        ] {
            tree.set_filter(filter.into());
            let rows: Vec<String> = shown(&tree).iter().map(|row| row.replace('>', "")).collect();
            assert_eq!(rows, expected, "{filter}");
        }
    }

    #[test]
    fn sizes_find_their_folder() {
        let mut tree = opened();
        assert_eq!(tree.unsized_in(0..100), ["app/", "app/sub/", "b/"].map(Bytes::from));
        tree.set_size(b"app/sub/", 12);
        tree.set_size(b"gone/", 12);
        tree.set_size(b"app/", 14);
        assert_eq!(shown(&tree)[1..4], [">-app/ 14", " one", " +sub/ 12"]);
    }

    #[test]
    fn a_level_goes_on_where_it_was_cut() {
        let mut tree = Tree::new(b'/');
        let cut = LevelPart { rest: Some(Bytes::from_static(b"b\0")), ..part(&["a", "b"]) };
        tree.take(&root(), cut);
        assert_eq!(shown(&tree), [">a", "b", "more"]);
        assert!(tree.want_more_in(0..2).is_none(), "not before its end is in sight");
        let wanted = tree.want_more_in(0..3).expect("its end is in sight");
        assert_eq!(wanted.from.as_deref(), Some(&b"b\0"[..]));
        tree.take(&root(), LevelPart { continued: true, ..part(&["c"]) });
        assert_eq!(shown(&tree), [">a", "b", "c"]);
    }

    #[test]
    fn a_level_that_cannot_be_read_says_so_and_can_be_tried_again() {
        let mut tree = Tree::new(b'/');
        let failure = Failure { text: "no".into(), refused: false, unreachable: true };
        tree.fail(&root(), failure.clone());
        assert_eq!(shown(&tree), [">!no"]);
        assert_eq!(tree.want_failed().len(), 1);
        tree.take(&root(), part(&["a"]));
        tree.fail(&root(), failure);
        assert_eq!(shown(&tree), [">a"], "what was read is still shown");
    }

    #[test]
    fn a_single_folder_at_the_top_opens_by_itself() {
        let mut tree = Tree::new(b'/');
        let wanted = tree.take(&root(), part(&["/"])).expect("it leads on");
        assert_eq!(&wanted.prefix[..], b"/");
    }

    #[test]
    fn the_cursor_stays_in_sight() {
        let mut tree = Tree::new(b'/');
        let names: Vec<String> = (0..100).map(|nth| format!("{nth:03}")).collect();
        tree.take(&root(), part(&names.iter().map(String::as_str).collect::<Vec<_>>()));
        for (to, height, offset) in [(50, 10, 41), (45, 10, 41), (40, 10, 40), (99, 10, 90), (0, 10, 0), (99, 200, 0)] {
            tree.move_to(to);
            tree.scroll_to_cursor(height);
            assert_eq!(tree.offset, offset);
        }
    }
}
