//! The tree of keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::figures;
use crate::model::tree::RowView;
use crate::model::{Model, Pane};
use crate::text;
use crate::view::{Look, pane, put, safe};

pub(super) fn draw(model: &Model, look: Look, area: Rect, buffer: &mut Buffer) {
    let tree = &model.tree;
    let focused = model.pane == Pane::Tree;
    let inside = pane(look, &title(model), focused, area, buffer);
    if tree.is_empty() || tree.has_no_keys() {
        return nothing(model, look, inside, buffer);
    }
    let width = usize::from(inside.width);
    let rows = tree.view(tree.offset..tree.offset + usize::from(inside.height));
    for (nth, (depth, row)) in rows.enumerate() {
        let selected = tree.offset + nth == tree.selected;
        let sign = if selected { ">" } else { " " };
        let indent = " ".repeat((usize::from(depth) * 2).min(width / 2));
        let separator = text::visible(&[tree.separator()]);
        let (name, count, style) = match row {
            RowView::Key { name } => {
                (format!("  {}", shown_name(name)), String::new(), Style::default())
            }
            RowView::Folder { name, open, keys } => (
                format!("{} {}{separator}", look.open_sign(open), text::visible(name)),
                keys.map(|keys| figures::grouped(keys as i64)).unwrap_or_default(),
                look.folder(),
            ),
            RowView::Loading => ("  reading".into(), String::new(), look.dim()),
            RowView::More if model.tree.filter().is_empty() => {
                ("  reading on".into(), String::new(), look.dim())
            }
            RowView::More => ("  more keys follow: Enter".into(), String::new(), look.dim()),
            RowView::Failed(failure) => {
                (format!("  {}", safe(&failure.text)), String::new(), look.bad_text())
            }
        };
        let room = width.saturating_sub(count.len() + 2);
        let line = text::fit(&format!("{sign}{indent}{name}"), room);
        let blanks = " ".repeat(width.saturating_sub(text::width(&line) + count.len() + 1));
        let style = if selected { style.patch(look.selected(focused)) } else { style };
        put(buffer, inside, nth, &format!("{line}{blanks}{count} "), style);
    }
}

fn title(model: &Model) -> String {
    let tree = &model.tree;
    if !tree.filter().is_empty() {
        return format!("keys with {}", text::visible(tree.filter()));
    }
    if !tree.is_loaded() {
        return "keys".into();
    }
    if model.cluster.revision > tree.revision() {
        return format!("keys at {}, now {}", tree.revision(), model.cluster.revision);
    }
    format!("keys at revision {}", tree.revision())
}

fn nothing(model: &Model, look: Look, area: Rect, buffer: &mut Buffer) {
    let lines: &[&str] = if model.tree.has_no_keys() {
        &["There are no keys.", "p puts the first one."]
    } else if model.tree.filter().is_empty() {
        &[]
    } else {
        &["No loaded key matches.", "Folders that were not", "opened were not searched."]
    };
    for (row, line) in lines.iter().enumerate() {
        put(buffer, area, row, &format!(" {line}"), look.dim());
    }
}

/// A key that ends with the separator has no last name.
fn shown_name(name: &[u8]) -> String {
    if name.is_empty() { "(no name)".into() } else { text::visible(name) }
}
