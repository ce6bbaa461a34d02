//! What the model looks like. Drawing reads the model and changes nothing.
//!
//! Every text that came from outside goes through [`crate::text`] on its way into a cell.

mod look;
mod overview;
mod prompt;
mod tree;
mod value;
mod watches;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Widget};

pub use look::Look;

use crate::figures;
use crate::keymap;
use crate::layout;
use crate::model::verdict::Severity;
use crate::model::{Conn, Model, Pane};
use crate::msg::Size;
use crate::text;

pub fn draw(model: &Model, look: Look, frame: &mut Frame<'_>) {
    let screen = frame.area();
    let size = Size { width: screen.width, height: screen.height };
    if layout::is_too_small(size) {
        let text = format!(
            "too small: {}x{} of at least {}x{}",
            size.width,
            size.height,
            layout::MIN.width,
            layout::MIN.height
        );
        for (nth, piece) in
            text::wrap(&text, usize::from(size.width)).iter().take(size.height.into()).enumerate()
        {
            frame.buffer_mut().set_stringn(
                0,
                nth as u16,
                piece,
                size.width.into(),
                Style::default(),
            );
        }
        return;
    }
    // A frame may be one resize ahead of the model: what is drawn goes by the frame.
    let areas = layout::areas(size);
    header(model, look, areas.header, frame.buffer_mut());
    match model.pane {
        Pane::Overview => overview::draw(model, look, areas.body, frame.buffer_mut()),
        Pane::Tree | Pane::Value => {
            let (tree, value) = layout::panes(size);
            tree::draw(model, look, tree, frame.buffer_mut());
            value::draw(model, look, value, frame.buffer_mut());
        }
        Pane::Watches => watches::draw(model, look, size, frame.buffer_mut()),
    }
    footer(model, look, areas.footer, frame.buffer_mut());
    if let Some(open) = &model.prompt {
        prompt::draw(model, open, look, size, frame);
    }
}

fn header(model: &Model, look: Look, area: Rect, buffer: &mut Buffer) {
    let tabs = [
        (matches!(model.pane, Pane::Overview), "1 Overview".to_owned()),
        (matches!(model.pane, Pane::Tree | Pane::Value), "2 Keys".to_owned()),
        (
            matches!(model.pane, Pane::Watches),
            match model.watches.list.len() {
                0 => "3 Watches".to_owned(),
                open => format!("3 Watches ({open})"),
            },
        ),
    ];
    let tabs: Vec<Span<'_>> = tabs
        .into_iter()
        .map(|(here, name)| {
            if here {
                Span::styled(format!("[{name}]"), look.strong())
            } else {
                Span::raw(format!(" {name} "))
            }
        })
        .collect();
    let tabs = Line::from(tabs);
    let tabs_width = tabs.width() as u16;
    buffer.set_line(area.right().saturating_sub(tabs_width + 1), area.y, &tabs, tabs_width);
    let address = model.reach.first().map(|address| safe(address)).unwrap_or_default();
    let room = usize::from(area.width.saturating_sub(tabs_width + 11));
    let left = Line::from(vec![
        Span::styled(" Kvorum ", look.strong()),
        Span::styled(format!(" {}", text::fit(&address, room)), look.dim()),
    ]);
    buffer.set_line(area.x, area.y, &left, area.width.saturating_sub(tabs_width + 1));

    let (badge, style) = match model.verdict.severity {
        Severity::Unknown => (" ... ", look.dim()),
        Severity::Fine => (" OK ", look.good()),
        Severity::Warning => (" WARNING ", look.warning()),
        Severity::Critical => (" CRITICAL ", look.bad()),
    };
    let again = match (model.conn, model.cluster.next_try_s(model.now)) {
        (Conn::Lost { .. }, Some(0)) => " (trying)".to_owned(),
        (Conn::Lost { .. }, Some(seconds)) => format!(" (retry in {})", figures::seconds(seconds)),
        _ => String::new(),
    };
    let badge_width = badge.len() + 2;
    let sentence = format!("{}{again}", safe(&model.verdict.sentence));
    let line = Line::from(vec![
        Span::raw(" "),
        Span::styled(badge, style),
        Span::raw(" "),
        Span::raw(text::fit(&sentence, usize::from(area.width).saturating_sub(badge_width))),
    ]);
    buffer.set_line(area.x, area.y + 1, &line, area.width);
}

fn footer(model: &Model, look: Look, area: Rect, buffer: &mut Buffer) {
    if let Some(notice) = &model.notice {
        return put(buffer, area, 0, &format!(" {}", safe(&notice.text)), look.strong());
    }
    let reads = format!(" {} reads ", model.reads);
    let right = reads.len() as u16;
    buffer.set_stringn(
        area.right().saturating_sub(right),
        area.y,
        &reads,
        right.into(),
        look.dim(),
    );
    let room = usize::from(area.width.saturating_sub(right + 1));
    let mut spans = vec![Span::raw(" ")];
    let mut used = 1;
    for (press, hint) in keymap::hints(&model.scopes()) {
        let wide = press.len() + hint.len() + 3;
        if used + wide > room {
            break;
        }
        used += wide;
        spans.push(Span::styled(press, look.strong()));
        spans.push(Span::raw(" "));
        spans.push(Span::styled(hint, look.dim()));
        spans.push(Span::raw("  "));
    }
    buffer.set_line(area.x, area.y, &Line::from(spans), room as u16);
}

/// Text from outside, for one line.
fn safe(line: &str) -> String {
    text::visible_line(line)
}

/// A frame around a pane with its title; returns what is inside. The pane that has the keys stands
/// out.
fn pane(look: Look, title: &str, focused: bool, area: Rect, buffer: &mut Buffer) -> Rect {
    let room = usize::from(area.width.saturating_sub(4));
    let title = format!(" {} ", text::fit(title, room.saturating_sub(2)));
    let style = if focused { look.strong() } else { look.dim() };
    let block = Block::bordered()
        .border_set(look.border(focused))
        .border_style(if focused { look.focus() } else { look.dim() })
        .title(Span::styled(title, style));
    let inside = block.inner(area);
    block.render(area, buffer);
    inside
}

/// A line of text inside an area, cut to fit; rows outside the area are not drawn.
fn put(buffer: &mut Buffer, area: Rect, row: usize, text: &str, style: Style) {
    if row < usize::from(area.height) {
        let room = usize::from(area.width);
        buffer.set_stringn(area.x, area.y + row as u16, text::fit(text, room), room, style);
    }
}

fn put_line(buffer: &mut Buffer, area: Rect, row: usize, line: &Line<'_>) {
    if row < usize::from(area.height) {
        buffer.set_line(area.x, area.y + row as u16, line, area.width);
    }
}
