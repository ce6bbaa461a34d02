//! What is open over the panes: help, fields, the editor, questions.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};
use unicode_segmentation::UnicodeSegmentation;

use crate::figures;
use crate::keymap::{self, HelpLine};
use crate::layout;
use crate::model::Model;
use crate::model::editor::Editor;
use crate::model::prompt::{DeletePrefix, EditForm, Prompt, PutForm};
use crate::msg::Size;
use crate::text;
use crate::view::{Look, pane, put, put_line, safe};

pub(super) fn draw(model: &Model, prompt: &Prompt, look: Look, size: Size, frame: &mut Frame<'_>) {
    match prompt {
        Prompt::Help { scroll } => help(model, *scroll, look, size, frame),
        Prompt::Filter { field, .. } => filter(model, field, look, size, frame),
        Prompt::Put(form) => put_form(form, look, size, frame),
        Prompt::Edit(form) => edit_form(form, look, size, frame),
        Prompt::Discard(_) => {
            question(
                look,
                size,
                "discard?",
                &["What you typed would be lost.", "", "y discards it, n goes on typing"],
                frame,
            );
        }
        Prompt::DeleteKey { key, .. } => {
            let name = text::fit_end(&text::visible(key), 60);
            question(
                look,
                size,
                "delete?",
                &[&name, "", "y deletes exactly this key, n leaves it"],
                frame,
            );
        }
        Prompt::DeletePrefix(form) => delete_prefix(form, look, size, frame),
        Prompt::NewWatch { field, prefix, problem } => {
            let inside = dialog(look, size, "watch", 70, 6, frame);
            let what = if *prefix { "every key that starts with this" } else { "exactly this key" };
            line_field(field, Rect { height: 1, ..inside }, true, frame);
            put(frame.buffer_mut(), inside, 2, &format!("{what} (Tab switches)"), look.dim());
            problem_line(problem.as_deref(), look, inside, 3, frame.buffer_mut());
        }
    }
}

fn dialog(
    look: Look,
    size: Size,
    title: &str,
    width: u16,
    height: u16,
    frame: &mut Frame<'_>,
) -> Rect {
    framed(look, layout::dialog(size, width, height), title, frame)
}

fn framed(look: Look, area: Rect, title: &str, frame: &mut Frame<'_>) -> Rect {
    Clear.render(area, frame.buffer_mut());
    let inside = pane(look, title, true, area, frame.buffer_mut());
    Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside }
}

fn question(look: Look, size: Size, title: &str, lines: &[&str], frame: &mut Frame<'_>) {
    let inside = dialog(look, size, title, 66, lines.len() as u16 + 2, frame);
    for (row, line) in lines.iter().enumerate() {
        let style = if row == 0 { look.strong() } else { Style::default() };
        put(frame.buffer_mut(), inside, row, line, style);
    }
}

/// In the bottom line, so that the tree stays in sight.
fn filter(model: &Model, field: &Editor, look: Look, size: Size, frame: &mut Frame<'_>) {
    let footer = layout::areas(size).footer;
    Clear.render(footer, frame.buffer_mut());
    put_line(frame.buffer_mut(), footer, 0, &Line::from(Span::styled(" filter: ", look.strong())));
    let told = if model.tree.is_partial() {
        "among the keys loaded so far; Enter keeps, Esc drops "
    } else {
        "Enter keeps, Esc drops "
    };
    let told_width = (told.len() as u16).min(footer.width / 2);
    let right = Rect { x: footer.right() - told_width, width: told_width, ..footer };
    put(frame.buffer_mut(), right, 0, told, look.dim());
    let area =
        Rect { x: footer.x + 9, width: footer.width.saturating_sub(10 + told_width), ..footer };
    line_field(field, area, true, frame);
}

fn put_form(form: &PutForm, look: Look, size: Size, frame: &mut Frame<'_>) {
    let inside = framed(look, layout::editor(size), "put a new key", frame);
    let label = |here: bool| if here { look.strong() } else { look.dim() };
    put(frame.buffer_mut(), inside, 0, "key", label(!form.in_value));
    let key = Rect { x: inside.x + 6, width: inside.width.saturating_sub(6), height: 1, ..inside };
    line_field(&form.key, key, !form.in_value, frame);
    put(frame.buffer_mut(), inside, 1, "value", label(form.in_value));
    let value = Rect { y: inside.y + 2, height: inside.height.saturating_sub(4), ..inside };
    text_field(&form.value, value, form.in_value, frame);
    let last = usize::from(inside.height).saturating_sub(1);
    let told = match (form.sending, form.in_value) {
        (true, _) => "writing",
        (false, false) => "Enter goes on to the value, Ctrl-S writes, Esc leaves",
        (false, true) => "Ctrl-S writes, Tab goes back to the key, Esc leaves",
    };
    put(frame.buffer_mut(), inside, last, told, look.dim());
    problem_line(form.problem.as_deref(), look, inside, last - 1, frame.buffer_mut());
}

fn edit_form(form: &EditForm, look: Look, size: Size, frame: &mut Frame<'_>) {
    let title =
        format!("edit {}", text::fit_end(&text::visible(&form.key), usize::from(size.width) / 2));
    let inside = framed(look, layout::editor(size), &title, frame);
    let area = Rect { height: inside.height.saturating_sub(3), ..inside };
    text_field(&form.editor, area, true, frame);
    let last = usize::from(inside.height).saturating_sub(1);
    let told = if form.sending {
        "writing"
    } else {
        "Ctrl-S writes if nobody else did meanwhile, Esc leaves"
    };
    put(frame.buffer_mut(), inside, last, told, look.dim());
    if let Some(problem) = &form.problem {
        let pieces = text::wrap_words(&safe(problem), inside.width.into());
        let rows = pieces.len().min(3);
        for (nth, piece) in pieces.iter().take(rows).enumerate() {
            put(
                frame.buffer_mut(),
                inside,
                last - rows + nth,
                &pad_line(piece, inside.width),
                look.bad_text(),
            );
        }
    }
}

fn delete_prefix(form: &DeletePrefix, look: Look, size: Size, frame: &mut Frame<'_>) {
    let inside = dialog(look, size, "delete all of these?", 70, 9, frame);
    put(
        frame.buffer_mut(),
        inside,
        0,
        &text::fit_end(&text::visible(&form.prefix), inside.width.into()),
        look.strong(),
    );
    let count = match form.count {
        None => "counting the keys".to_owned(),
        Some(count) => format!("{} start with this", figures::keys(count)),
    };
    put(frame.buffer_mut(), inside, 1, &count, Style::default());
    let label = "type the number of keys to delete them: ";
    put(frame.buffer_mut(), inside, 3, label, Style::default());
    let at = label.len() as u16;
    let field = Rect {
        x: inside.x + at,
        y: inside.y + 3,
        width: inside.width.saturating_sub(at),
        height: 1,
    };
    line_field(&form.typed, field, true, frame);
    problem_line(form.problem.as_deref(), look, inside, 5, frame.buffer_mut());
    put(frame.buffer_mut(), inside, 6, "Enter deletes, Esc leaves everything as it is", look.dim());
}

fn problem_line(problem: Option<&str>, look: Look, area: Rect, row: usize, buffer: &mut Buffer) {
    if let Some(problem) = problem {
        put(buffer, area, row, &safe(problem), look.bad_text());
    }
}

fn help(model: &Model, scroll: usize, look: Look, size: Size, frame: &mut Frame<'_>) {
    const COLUMN: u16 = 76;
    let body = layout::areas(size).body;
    let inside = framed(look, body, "keys", frame);
    let lines = keymap::help(model.pane.scope());
    let columns = usize::from((inside.width / COLUMN).max(1));
    let height = usize::from(inside.height);
    let scroll = scroll.min(lines.len().saturating_sub(height * columns));
    for (nth, line) in lines.iter().skip(scroll).take(height * columns).enumerate() {
        let column = Rect {
            x: inside.x + (nth / height) as u16 * COLUMN,
            width: COLUMN.min(inside.width),
            ..inside
        };
        let (text, style) = match line {
            HelpLine::Title(title) => ((*title).to_owned(), look.strong()),
            HelpLine::Key { presses, help } => (format!("  {presses:<18}{help}"), Style::default()),
            HelpLine::Blank => continue,
        };
        put(frame.buffer_mut(), column, nth % height, &text, style);
    }
    if lines.len() > height * columns {
        let place = format!(
            " {}-{} of {} ",
            scroll + 1,
            (scroll + height * columns).min(lines.len()),
            lines.len()
        );
        let x = body.right().saturating_sub(place.len() as u16 + 2);
        frame.buffer_mut().set_stringn(
            x,
            body.bottom().saturating_sub(1),
            &place,
            place.len(),
            look.dim(),
        );
    }
}

/// One line of input, scrolled so that the cursor is in it.
fn line_field(editor: &Editor, area: Rect, focused: bool, frame: &mut Frame<'_>) {
    text_field(editor, Rect { height: 1, ..area }, focused, frame);
}

/// Several lines of input, scrolled so that the cursor is in them.
fn text_field(editor: &Editor, area: Rect, focused: bool, frame: &mut Frame<'_>) {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    if width == 0 || height == 0 {
        return;
    }
    let column = text::width(&text::visible_line(editor.cursor().0));
    let shift = (column + 1).saturating_sub(width);
    let lines = editor.lines();
    let top = editor.row.saturating_sub(height / 2).min(lines.len().saturating_sub(height));
    for (row, line) in lines.iter().skip(top).take(height).enumerate() {
        let shown = text::visible_line(line);
        let shown = skip_columns(&shown, shift);
        frame.buffer_mut().set_stringn(area.x, area.y + row as u16, shown, width, Style::default());
    }
    if focused {
        frame.set_cursor_position(Position::new(
            area.x + (column - shift) as u16,
            area.y + (editor.row - top) as u16,
        ));
    }
}

fn skip_columns(line: &str, columns: usize) -> &str {
    let mut skipped = 0;
    for (at, grapheme) in line.grapheme_indices(true) {
        if skipped >= columns {
            return &line[at..];
        }
        skipped += text::width(grapheme);
    }
    ""
}

fn pad_line(text: &str, width: u16) -> String {
    format!("{text}{}", " ".repeat(usize::from(width).saturating_sub(text::width(text))))
}
