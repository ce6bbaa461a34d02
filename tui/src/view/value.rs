//! The selected key: what is known about it, and its value.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::figures;
use crate::layout::META_ROWS;
use crate::model::tree::Selected;
use crate::model::value::ValueState;
use crate::model::{Model, Pane};
use crate::msg::{Failure, KeyValue};
use crate::text;
use crate::view::{Look, pane, put, put_line, safe};

pub(super) fn draw(model: &Model, look: Look, area: Rect, buffer: &mut Buffer) {
    let name = model.value.key().map(|key| text::visible(key));
    let title = name.map_or_else(
        || "value".to_owned(),
        |name| text::fit_end(&name, usize::from(area.width).saturating_sub(6)),
    );
    let inside = pane(look, &title, model.pane == Pane::Value, area, buffer);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(1), ..inside };
    match &model.value.state {
        ValueState::Nothing => folder(model, look, inside, buffer),
        ValueState::Reading(_) => put(buffer, inside, 0, "reading", look.dim()),
        ValueState::Missing(_) => {
            let text = format!(
                "there is no such key at revision {}",
                figures::grouped(model.value.read_at)
            );
            put(buffer, inside, 0, &text, look.warning_text());
        }
        ValueState::Failed(_, failure) => failed(failure, "r tries again.", look, inside, buffer),
        ValueState::Shown(kv) => shown(model, kv, look, inside, buffer),
    }
}

fn shown(model: &Model, kv: &KeyValue, look: Look, area: Rect, buffer: &mut Buffer) {
    let value = &model.value;
    put_line(
        buffer,
        area,
        0,
        &facts(
            look,
            &[
                ("created", figures::grouped(kv.create_revision)),
                ("modified", figures::grouped(kv.mod_revision)),
                ("version", figures::grouped(kv.version)),
            ],
        ),
    );
    put_line(
        buffer,
        area,
        1,
        &facts(
            look,
            &[
                ("size", figures::bytes(kv.value.len() as u64)),
                ("shown as", value.format.name().to_owned()),
            ],
        ),
    );
    put_line(buffer, area, 2, &facts(look, &[("lease", lease(model, kv))]));
    let line = if look.ascii { "-" } else { "─" };
    put(buffer, area, 3, &line.repeat(area.width.into()), look.dim());
    let text = Rect {
        y: area.y + META_ROWS.min(area.height),
        height: area.height.saturating_sub(META_ROWS),
        ..area
    };
    let height = usize::from(text.height);
    for (row, piece) in value.rows().iter().skip(value.scroll).take(height).enumerate() {
        put(buffer, text, row, piece, Style::default());
    }
    if value.rows().is_empty() {
        put(buffer, text, 0, "(empty)", look.dim());
    }
    if value.rows().len() > height {
        let last = (value.scroll + height).min(value.rows().len());
        let place = format!(" {}-{last} of {} ", value.scroll + 1, value.rows().len());
        let x = area.right().saturating_sub(place.len() as u16 + 1);
        buffer.set_stringn(x, area.y + META_ROWS - 1, &place, place.len(), look.dim());
    }
}

fn lease(model: &Model, kv: &KeyValue) -> String {
    if kv.lease == 0 {
        return "none".into();
    }
    match model.value.lease_left_s(model.now) {
        None => format!("{:x}", kv.lease),
        Some(left) if left < 0 => format!("{:x} (expired)", kv.lease),
        Some(left) => format!("{:x} ({} left)", kv.lease, figures::seconds(left as u64)),
    }
}

fn facts<'a>(look: Look, facts: &[(&'static str, String)]) -> Line<'a> {
    let spans = facts.iter().flat_map(|(label, fact)| {
        [Span::styled(format!("{label} "), look.dim()), Span::raw(fact.clone()), Span::raw("  ")]
    });
    Line::from(spans.collect::<Vec<_>>())
}

fn failed(failure: &Failure, remedy: &str, look: Look, area: Rect, buffer: &mut Buffer) {
    let pieces = text::wrap_words(&safe(&failure.text), area.width.into());
    for (row, piece) in pieces.iter().enumerate() {
        put(buffer, area, row, piece, look.bad_text());
    }
    put(buffer, area, pieces.len() + 1, remedy, look.dim());
}

/// A folder has no value; what is known of it stands here instead.
fn folder(model: &Model, look: Look, area: Rect, buffer: &mut Buffer) {
    if let Some(failure) = model.tree.failure() {
        return failed(failure, "Enter tries again.", look, area, buffer);
    }
    let Some(Selected::Folder { prefix, keys }) = model.tree.selected() else { return };
    put(buffer, area, 0, &text::fit_end(&text::visible(&prefix), area.width.into()), look.strong());
    let count = keys.map_or_else(|| "counting the keys".to_owned(), figures::keys);
    put(buffer, area, 1, &count, Style::default());
    put(buffer, area, 3, "Enter opens it, w watches it.", look.dim());
}
