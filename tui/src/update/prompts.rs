//! Keys and pastes while a prompt is open.

use bytes::Bytes;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::cmd::{Cmd, Request, Slot};
use crate::keymap::{self, Action, Scope};
use crate::layout;
use crate::model::Model;
use crate::model::editor::{Editor, Step};
use crate::model::prompt::{EditForm, Prompt, PutForm};
use crate::text;
use crate::update::asking::settle_tree;
use crate::update::browse::watch;

/// An action of the keymap, with `model.prompt` open.
pub(super) fn act(model: &mut Model, action: Action, cmds: &mut Vec<Cmd>) {
    let help_lines = keymap::help(model.pane.scope()).len();
    let Some(prompt) = &mut model.prompt else { return };
    let page = usize::from(layout::editor(model.size).height);
    match (action, prompt) {
        (Action::Cancel, _) => cancel(model, cmds),
        (Action::Up, Prompt::Help { scroll }) => *scroll = scroll.saturating_sub(1),
        (Action::Down, Prompt::Help { scroll }) => *scroll = (*scroll + 1).min(help_lines),
        (Action::PageUp, Prompt::Help { scroll }) => *scroll = scroll.saturating_sub(page),
        (Action::PageDown, Prompt::Help { scroll }) => *scroll = (*scroll + page).min(help_lines),
        (Action::Yes, _) => confirm(model, cmds),
        (Action::Submit, _) => submit(model, cmds),
        (Action::Save, Prompt::Put(_) | Prompt::Edit(_)) => save(model, cmds),
        (Action::TakeTheirs, Prompt::Edit(form)) => {
            if let Some(theirs) = form.theirs.take() {
                let text = String::from_utf8_lossy(&theirs.value).into_owned();
                form.editor = Editor::new(&text);
                (form.original, form.lease) = (text, theirs.lease);
                form.problem = None;
            }
        }
        (Action::NextField, Prompt::Put(form)) => form.in_value = !form.in_value,
        (Action::NextField, Prompt::NewWatch { prefix, .. }) => *prefix = !*prefix,
        (Action::NextField, Prompt::Edit(_)) => type_text(model, "\t", cmds),
        (Action::NewLine, _) => type_text(model, "\n", cmds),
        (action, prompt) => {
            if let Some(editor) = prompt.input() {
                edit(editor, action, page);
                typed(model, cmds);
            }
        }
    }
}

/// A key that the keymap does not know: a character, if there is somewhere to put it.
pub(super) fn type_in(model: &mut Model, event: &KeyEvent, cmds: &mut Vec<Cmd>) {
    let KeyCode::Char(letter) = event.code else { return };
    if event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
        return;
    }
    type_text(model, letter.encode_utf8(&mut [0; 4]), cmds);
}

/// Pasted text goes into the open field and nowhere else: it is never taken for keys.
pub(super) fn paste(model: &mut Model, pasted: &str, cmds: &mut Vec<Cmd>) {
    cmds.push(Cmd::Draw);
    let open = !layout::is_too_small(model.size);
    if let Some(Prompt::DeletePrefix(form)) = &mut model.prompt {
        form.problem = Some("pasted text is ignored here: type the number".into());
        return;
    }
    let field =
        model.prompt.as_mut().and_then(|prompt| prompt.input().is_some().then(|| prompt.scope()));
    let lines = pasted.replace("\r\n", "\n").replace('\r', "\n");
    match field.filter(|_| open) {
        // One line, in which escapes are understood: what was pasted is escaped to mean itself.
        Some(Scope::Field) => {
            type_text(model, &text::visible(lines.trim_end_matches('\n').as_bytes()), cmds);
        }
        Some(_) => type_text(model, &lines, cmds),
        None => model.say("pasted text was ignored: no input field is open"),
    }
}

fn type_text(model: &mut Model, text: &str, cmds: &mut Vec<Cmd>) {
    let Some(editor) = model.prompt.as_mut().and_then(Prompt::input) else { return };
    if let Err(error) = editor.insert(text) {
        model.say(error.to_string());
    }
    typed(model, cmds);
}

/// What follows from the text of a field having changed.
fn typed(model: &mut Model, cmds: &mut Vec<Cmd>) {
    cmds.push(Cmd::Draw);
    if let Some(Prompt::Filter { field, .. }) = &model.prompt {
        let typed = field.text();
        let filter = text::parse(&typed).unwrap_or_else(|_| typed.into_bytes());
        if filter != model.tree.filter() {
            model.tree.set_filter(filter);
            settle_tree(model, cmds);
        }
    }
}

fn edit(editor: &mut Editor, action: Action, page: usize) {
    match action {
        Action::CursorLeft => editor.step(Step::Left),
        Action::CursorRight => editor.step(Step::Right),
        Action::CursorUp => editor.step(Step::Up),
        Action::CursorDown => editor.step(Step::Down),
        Action::CursorHome => editor.step(Step::Home),
        Action::CursorEnd => editor.step(Step::End),
        Action::PageUp => editor.go_to_row(editor.row.saturating_sub(page)),
        Action::PageDown => editor.go_to_row(editor.row + page),
        Action::EraseBack => editor.erase_back(),
        Action::EraseForward => editor.erase_forward(),
        Action::EraseWord => editor.erase_word(),
        Action::EraseLine => editor.erase_line(),
        _ => {}
    }
}

fn cancel(model: &mut Model, cmds: &mut Vec<Cmd>) {
    match model.prompt.take() {
        Some(Prompt::Filter { before, .. }) => {
            model.tree.set_filter(before);
            settle_tree(model, cmds);
        }
        Some(Prompt::Discard(form)) => model.prompt = Some(*form),
        Some(prompt @ Prompt::DeletePrefix(_)) => {
            cmds.extend(model.requests.cancel(&Slot::Count));
            drop(prompt);
        }
        Some(
            Prompt::Put(PutForm { sending: true, .. })
            | Prompt::Edit(EditForm { sending: true, .. }),
        ) => {
            cmds.extend(model.requests.cancel(&Slot::Write));
            model.say("cancelled while it was being written: it may or may not have happened");
            super::asking::refresh(model, cmds);
        }
        Some(prompt) if prompt.is_changed() => {
            model.prompt = Some(Prompt::Discard(Box::new(prompt)));
        }
        Some(_) | None => {}
    }
}

/// A question was answered with yes.
fn confirm(model: &mut Model, cmds: &mut Vec<Cmd>) {
    if let Some(Prompt::DeleteKey { key, expected }) = model.prompt.take() {
        model.writing = key.clone();
        cmds.push(model.requests.ask(Slot::Write, Request::Delete { key, expected }));
    }
}

/// Enter in a field of one line.
fn submit(model: &mut Model, cmds: &mut Vec<Cmd>) {
    match model.prompt.take() {
        Some(Prompt::Put(mut form)) => {
            form.in_value = true;
            model.prompt = Some(Prompt::Put(form));
        }
        Some(Prompt::NewWatch { field, prefix, .. }) => match text::parse(&field.text()) {
            Ok(key) if key.is_empty() && !prefix => {
                let problem = Some("a key is not empty; Tab switches to everything".into());
                model.prompt = Some(Prompt::NewWatch { field, prefix, problem });
            }
            Ok(key) => watch(model, Bytes::from(key), prefix, cmds),
            Err(error) => {
                model.prompt =
                    Some(Prompt::NewWatch { field, prefix, problem: Some(error.to_string()) });
            }
        },
        Some(Prompt::DeletePrefix(mut form)) => {
            let typed = form.typed.text().trim().replace(',', "");
            match form.count {
                Some(count) if typed == count.to_string() => {
                    model.writing = form.prefix.clone();
                    model.say("deleting");
                    cmds.push(
                        model
                            .requests
                            .ask(Slot::Write, Request::DeletePrefix { prefix: form.prefix }),
                    );
                }
                count => {
                    form.problem = Some(match count {
                        Some(_) => "that is not the number of keys".into(),
                        None => "the keys are still being counted".into(),
                    });
                    model.prompt = Some(Prompt::DeletePrefix(form));
                }
            }
        }
        // A filter stays as it was typed.
        Some(Prompt::Filter { .. }) | None => {}
        other => model.prompt = other,
    }
}

fn save(model: &mut Model, cmds: &mut Vec<Cmd>) {
    let (key, value, expected, lease) = match &mut model.prompt {
        Some(Prompt::Put(form)) if !form.sending => match text::parse(&form.key.text()) {
            Ok(key) if key.is_empty() => {
                form.problem = Some("the key is empty".into());
                return;
            }
            Ok(key) => {
                form.sending = true;
                form.problem = None;
                (Bytes::from(key), form.value.text(), 0, 0)
            }
            Err(error) => {
                form.problem = Some(error.to_string());
                return;
            }
        },
        Some(Prompt::Edit(form)) if !form.sending => {
            form.sending = true;
            form.problem = None;
            // The lease stays only if the key is still there.
            let lease = if form.expected == 0 { 0 } else { form.lease };
            (form.key.clone(), form.editor.text(), form.expected, lease)
        }
        _ => return,
    };
    model.writing = key.clone();
    let request = Request::Put { key, value: Bytes::from(value), expected, lease };
    cmds.push(model.requests.ask(Slot::Write, request));
}
