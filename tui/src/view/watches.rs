//! The live watches, and the events of the selected one.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::figures;
use crate::layout;
use crate::model::watches::{Line, LineKind, Watch, WatchState};
use crate::model::{Model, Pane};
use crate::msg::{Change, Size, WatchEvent};
use crate::text;
use crate::view::{Look, pane, put, safe};

/// On narrower screens the value itself needs the room.
const SIZE_FROM_WIDTH: u16 = 100;

pub(super) fn draw(model: &Model, look: Look, size: Size, buffer: &mut Buffer) {
    let (list, events) = layout::watch_panes(size, model.watches.list.len());
    watch_list(model, look, list, buffer);
    event_list(model, look, events, buffer);
}

fn watch_list(model: &Model, look: Look, area: Rect, buffer: &mut Buffer) {
    let inside = pane(look, "watches", false, area, buffer);
    if model.watches.list.is_empty() {
        let text = " No watch is open. w opens one, here or on a key in the tree.";
        return put(buffer, inside, 0, text, look.dim());
    }
    let room = usize::from(inside.height).max(1);
    let first = model.watches.selected.saturating_sub(room - 1);
    let names: Vec<String> = model
        .watches
        .list
        .iter()
        .map(|watch| text::fit_end(&target(watch), usize::from(inside.width) / 2))
        .collect();
    let wide = names.iter().map(|name| text::width(name)).max().unwrap_or(0);
    for (nth, watch) in model.watches.list.iter().enumerate().skip(first).take(room) {
        let selected = nth == model.watches.selected;
        let (state, style) = match &watch.state {
            WatchState::Opening => ("opening".to_owned(), look.dim()),
            WatchState::Live => ("live".to_owned(), Style::default()),
            WatchState::Interrupted { since } => {
                (format!("interrupted since {}", since.strftime("%H:%M:%S")), look.warning_text())
            }
            WatchState::Ended { reason } => (format!("ended: {}", safe(reason)), look.bad_text()),
        };
        let sign = if selected { ">" } else { " " };
        let blanks = " ".repeat(wide - text::width(&names[nth]));
        let line = format!(
            "{sign} {}{blanks}  {} events, {state}",
            names[nth],
            figures::grouped(watch.events)
        );
        put(
            buffer,
            inside,
            nth - first,
            &line,
            if selected { style.patch(look.strong()) } else { style },
        );
    }
}

fn event_list(model: &Model, look: Look, area: Rect, buffer: &mut Buffer) {
    let Some(watch) = model.watches.current() else {
        pane(look, "events", model.pane == Pane::Watches, area, buffer);
        return;
    };
    let mut title =
        format!("events of {}", text::fit_end(&target(watch), usize::from(area.width) / 2));
    if watch.is_held() {
        title = format!("{title}, held still, {} newer", figures::grouped(watch.behind()));
    }
    if watch.given_up() > 0 {
        title = format!("{title}, {} older not kept", figures::grouped(watch.given_up()));
    }
    let inside = pane(look, &title, model.pane == Pane::Watches, area, buffer);
    let height = usize::from(inside.height);
    let lines: Vec<&Line> = watch.view(height).collect();
    let key_width = lines
        .iter()
        .filter_map(|line| match &line.what {
            LineKind::Event(event) => Some(text::width(&text::visible(&event.key))),
            LineKind::Notice(_) => None,
        })
        .max()
        .unwrap_or(0)
        .min(usize::from(inside.width) * 2 / 5);
    for (row, line) in lines.iter().enumerate() {
        let with_size = inside.width >= SIZE_FROM_WIDTH;
        let (text, style) = event_line(line, key_width, with_size, look);
        put(buffer, inside, row, &text, style);
    }
}

fn event_line(line: &Line, key_width: usize, with_size: bool, look: Look) -> (String, Style) {
    let at = line.at.strftime("%H:%M:%S");
    match &line.what {
        LineKind::Notice(text) => (format!(" {at}  -- {} --", safe(text)), look.warning_text()),
        LineKind::Event(event) => {
            (format!(" {at}  {}", told(event, key_width, with_size)), Style::default())
        }
    }
}

fn told(event: &WatchEvent, key_width: usize, with_size: bool) -> String {
    let key = text::fit_end(&text::visible(&event.key), key_width);
    let key = format!("{key}{}", " ".repeat(key_width - text::width(&key)));
    let revision = figures::grouped(event.revision);
    match &event.change {
        Change::Delete => format!("{revision:>7}  DELETE  {key}"),
        Change::Put { preview, size, created } => {
            let kind = if *created { "CREATE" } else { "PUT   " };
            let value = text::visible(preview);
            let size =
                if with_size { format!("{:>9}  ", figures::bytes(*size)) } else { String::new() };
            format!("{revision:>7}  {kind}  {key}  {size}{value}")
        }
    }
}

/// What a watch looks at.
fn target(watch: &Watch) -> String {
    match (watch.prefix, watch.key.is_empty()) {
        (true, true) => "every key".into(),
        (true, false) => format!("{}* (prefix)", text::visible(&watch.key)),
        (false, _) => text::visible(&watch.key),
    }
}
