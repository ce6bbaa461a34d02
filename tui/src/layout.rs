//! Where things are on a screen of a given size.
//!
//! `update` needs it too: how far a page is and where lines are wrapped depends on it.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::msg::Size;

/// Below this nothing can be told apart, so the dashboard says only that.
pub(crate) const MIN: Size = Size { width: 60, height: 15 };

/// Lines about a value above the value itself.
pub(crate) const META_ROWS: u16 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Areas {
    /// Two lines: where we are, and the verdict.
    pub(crate) header: Rect,
    pub(crate) body: Rect,
    pub(crate) footer: Rect,
}

pub(crate) fn is_too_small(size: Size) -> bool {
    size.width < MIN.width || size.height < MIN.height
}

pub(crate) fn areas(size: Size) -> Areas {
    let screen = Rect::new(0, 0, size.width, size.height);
    let [header, body, footer] =
        Layout::vertical([Constraint::Length(2), Constraint::Min(1), Constraint::Length(1)])
            .areas(screen);
    Areas { header, body, footer }
}

/// The tree and the value, borders included.
pub(crate) fn panes(size: Size) -> (Rect, Rect) {
    let body = areas(size).body;
    let tree = (body.width * 2 / 5).clamp(24, 80).min(body.width);
    let [tree, value] =
        Layout::horizontal([Constraint::Length(tree), Constraint::Min(1)]).areas(body);
    (tree, value)
}

/// What a border leaves.
pub(crate) fn inside(area: Rect) -> Rect {
    Rect {
        x: area.x + 1.min(area.width),
        y: area.y + 1.min(area.height),
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(2),
    }
}

pub(crate) fn tree_rows(size: Size) -> usize {
    inside(panes(size).0).height.into()
}

/// The text of a value, below what is said about it; one column stays free beside the border.
pub(crate) fn value_text(size: Size) -> Rect {
    let pane = inside(panes(size).1);
    Rect {
        x: pane.x + 1.min(pane.width),
        y: pane.y + META_ROWS.min(pane.height),
        width: pane.width.saturating_sub(1),
        height: pane.height.saturating_sub(META_ROWS),
    }
}

/// The list of watches, and the events of the selected one.
pub(crate) fn watch_panes(size: Size, watches: usize) -> (Rect, Rect) {
    let body = areas(size).body;
    let list = u16::try_from(watches).unwrap_or(u16::MAX).clamp(1, (body.height / 3).max(1)) + 2;
    let [list, events] =
        Layout::vertical([Constraint::Length(list), Constraint::Min(1)]).areas(body);
    (list, events)
}

/// A box over the panes.
pub(crate) fn dialog(size: Size, width: u16, height: u16) -> Rect {
    let body = areas(size).body;
    let width = width.min(body.width.saturating_sub(2));
    let height = height.min(body.height);
    Rect {
        x: body.x + (body.width - width) / 2,
        y: body.y + (body.height - height) / 2,
        width,
        height,
    }
}

/// The box in which a value is edited.
pub(crate) fn editor(size: Size) -> Rect {
    dialog(size, (size.width * 9 / 10).min(160), (size.height * 8 / 10).max(10))
}
