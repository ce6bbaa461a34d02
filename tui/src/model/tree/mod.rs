//! The key space as a tree, loaded level by level as it is opened.
//!
//! Names are bytes. A level holds its rows in key order, as they came; `rows` is the flat list of
//! what is open and not filtered away, rebuilt only when that changes. Moving about and drawing
//! cost what is on the screen.

mod filter;
mod loading;
mod rows;

use std::collections::HashMap;

use bytes::{BufMut, Bytes, BytesMut};

use crate::msg::Failure;

/// Rows asked for at a time: some screens full, and a fraction of a second even on a server that
/// walks the index.
pub const PAGE_ROWS: usize = 2048;
/// Rows kept altogether, about 100 bytes each; nobody scrolls further than that.
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
    Folder {
        prefix: Bytes,
        keys: Option<u64>,
    },
    /// A level goes on here, or could not be loaded.
    Rest {
        prefix: Bytes,
    },
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
            _ => self
                .rows
                .get(self.selected)
                .map_or_else(Bytes::new, |row| self.levels[row.level as usize].prefix.clone()),
        }
    }

    /// Opens the folder under the cursor, or closes it. Returns the level if it has to be asked
    /// for.
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
        if let RowKind::Node(nth) = row.what
            && self.levels[row.level as usize].nodes[nth as usize]
                .folder
                .is_some_and(|folder| folder.open)
        {
            self.set_open(row.level, nth, false);
            return;
        }
        let around = self.rows[..self.selected].iter().rposition(|other| other.depth < row.depth);
        if let Some(around) = around {
            self.selected = around;
        }
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
            let nth = level
                .nodes
                .iter()
                .position(|node| node.name == name && node.folder.is_some() == end.is_some())?;
            let Some(folder) = level.nodes[nth].folder else {
                let what = RowKind::Node(nth as u32);
                if let Some(row) =
                    self.rows.iter().position(|row| row.level == id && row.what == what)
                {
                    self.goal = None;
                    self.move_to(row);
                }
                return None;
            };
            if !folder.open
                && let Some(wanted) = self.set_open(id, nth as u32, true)
            {
                return Some(wanted);
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
}

fn join(prefix: &[u8], name: &[u8], separator: Option<u8>) -> Bytes {
    let mut path = BytesMut::with_capacity(prefix.len() + name.len() + 1);
    path.put_slice(prefix);
    path.put_slice(name);
    path.extend(separator);
    path.freeze()
}

#[cfg(test)]
mod tests;
