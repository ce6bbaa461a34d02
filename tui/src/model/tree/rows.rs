//! The flat list of what is open and not filtered away.

use std::ops::Range;

use bytes::Bytes;

use super::filter::Filter;
use super::{DEPTH_MAX, Folder, LevelState, ROOT, Row, RowKind, RowView, Tree};

impl Tree {
    /// The lines in `range`, with their depths.
    pub fn view(&self, range: Range<usize>) -> impl Iterator<Item = (u16, RowView<'_>)> {
        self.rows[range.start.min(self.rows.len())..range.end.min(self.rows.len())].iter().map(
            |row| {
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
                            Some(folder) => RowView::Folder {
                                name: &node.name,
                                open: folder.open,
                                keys: folder.keys,
                            },
                        }
                    }
                };
                (row.depth, view)
            },
        )
    }

    pub(super) fn rebuild(&mut self) {
        let cursor = self.rows.get(self.selected).copied();
        let name =
            cursor.and_then(|row| self.name_at(row)).map(|(name, folder)| (name.clone(), folder));
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        self.push_level(&mut rows, ROOT, 0);
        self.rows = rows;
        // The nodes of a level that was read again have moved: the cursor follows the name.
        let same = cursor.and_then(|cursor| {
            self.rows.iter().position(|row| {
                row.level == cursor.level
                    && match (row.what, &name) {
                        (RowKind::Node(_), Some((name, folder))) => {
                            self.name_at(*row) == Some((name, *folder))
                        }
                        (what, None) => what == cursor.what,
                        _ => false,
                    }
            })
        });
        self.move_to(same.unwrap_or(self.selected));
    }

    pub(super) fn name_at(&self, row: Row) -> Option<(&Bytes, bool)> {
        let RowKind::Node(nth) = row.what else { return None };
        let node = self.levels[row.level as usize].nodes.get(nth as usize)?;
        Some((&node.name, node.folder.is_some()))
    }

    fn push_level(&self, rows: &mut Vec<Row>, id: u32, depth: u16) {
        let level = &self.levels[id as usize];
        let mut filter = Filter::new(&self.filter, &level.prefix);
        for (nth, node) in level.nodes.iter().enumerate() {
            let row = Row { level: id, depth, what: RowKind::Node(nth as u32) };
            let matches = filter.matches(&node.name, node.folder.map(|_| self.separator));
            let from = rows.len();
            rows.push(row);
            if let Some(Folder { open: true, level: Some(child), .. }) = node.folder
                && depth < DEPTH_MAX
            {
                self.push_level(rows, child, depth + 1);
            }
            if !matches && rows.len() == from + 1 {
                rows.pop();
            }
        }
        let end = match &level.state {
            LevelState::Failed(_) => Some(RowKind::Failed),
            LevelState::Loading if self.filter.is_empty() => Some(RowKind::Loading),
            LevelState::Loaded
                if level.rest.is_some() && (self.filter.is_empty() || depth == 0) =>
            {
                Some(RowKind::More)
            }
            _ => None,
        };
        rows.extend(end.map(|what| Row { level: id, depth, what }));
    }
}
