//! Keys while no prompt is open.

use bytes::Bytes;

use crate::cmd::{Cmd, Reads, Request, Slot};
use crate::keymap::Action;
use crate::layout;
use crate::model::editor::Editor;
use crate::model::prompt::{DeletePrefix, EditForm, Prompt, PutForm};
use crate::model::tree::Selected;
use crate::model::value::{ValueState, readable};
use crate::model::watches::WATCHES_MAX;
use crate::model::{Model, Pane};
use crate::msg::KeyValue;
use crate::text;
use crate::update::asking::{ask_level, refresh, settle_tree};

/// Larger values are changed from a file, not on a screen.
const EDIT_MAX_BYTES: usize = 256 * 1024;

pub(super) fn act(model: &mut Model, action: Action, cmds: &mut Vec<Cmd>) {
    match action {
        Action::Help => model.prompt = Some(Prompt::Help { scroll: 0 }),
        Action::Refresh => refresh(model, cmds),
        Action::ToggleReads => toggle_reads(model, cmds),
        Action::NextPane => step_pane(model, 1, cmds),
        Action::PreviousPane => step_pane(model, Pane::ALL.len() - 1, cmds),
        Action::ShowOverview => show(model, Pane::Overview, cmds),
        Action::ShowKeys => show(model, Pane::Tree, cmds),
        Action::ShowWatches => show(model, Pane::Watches, cmds),
        Action::Put | Action::Edit | Action::Delete if model.requests.is_waiting(&Slot::Write) => {
            model.say("the last write is still on its way");
        }
        Action::Put => open_put(model),
        Action::NewWatch => {
            let field = Editor::new(&text::visible(&near(model)));
            model.prompt = Some(Prompt::NewWatch { field, prefix: true, problem: None });
        }
        action => match model.pane {
            Pane::Overview => act_overview(model, action),
            Pane::Tree => act_tree(model, action, cmds),
            Pane::Value => act_value(model, action, cmds),
            Pane::Watches => act_watches(model, action, cmds),
        },
    }
}

/// Opens a watch, or shows the one that is open on the same keys.
pub(super) fn watch(model: &mut Model, key: Bytes, prefix: bool, cmds: &mut Vec<Cmd>) {
    if let Some(open) = model.watches.find(&key, prefix) {
        model.watches.selected = open;
    } else {
        let Some(id) = model.watches.add(key.clone(), prefix) else {
            model.say(format!("{WATCHES_MAX} watches are open: stop one with x first"));
            return;
        };
        cmds.push(model.requests.ask(Slot::Watch(id), Request::Watch { key, prefix }));
    }
    show(model, Pane::Watches, cmds);
}

fn show(model: &mut Model, pane: Pane, cmds: &mut Vec<Cmd>) {
    model.pane = pane;
    settle_tree(model, cmds);
}

fn step_pane(model: &mut Model, by: usize, cmds: &mut Vec<Cmd>) {
    let at = Pane::ALL.iter().position(|pane| *pane == model.pane).unwrap_or(0);
    show(model, Pane::ALL[(at + by) % Pane::ALL.len()], cmds);
}

fn toggle_reads(model: &mut Model, cmds: &mut Vec<Cmd>) {
    model.reads = match model.reads {
        Reads::Serializable => Reads::Linearizable,
        Reads::Linearizable => Reads::Serializable,
    };
    let meaning = match model.reads {
        Reads::Serializable => "one member answers, and may lag behind",
        Reads::Linearizable => "the cluster confirms every read",
    };
    model.say(format!("reads are {} now: {meaning}", model.reads));
    refresh(model, cmds);
}

fn act_overview(model: &mut Model, action: Action) {
    let last = model.cluster.members().len().saturating_sub(1);
    let selected = &mut model.cluster.selected;
    match action {
        Action::Up => *selected = selected.saturating_sub(1),
        Action::Down => *selected = (*selected + 1).min(last),
        _ => {}
    }
}

fn act_tree(model: &mut Model, action: Action, cmds: &mut Vec<Cmd>) {
    let page = layout::tree_rows(model.size) as isize - 1;
    match action {
        Action::Up => model.tree.move_by(-1),
        Action::Down => model.tree.move_by(1),
        Action::PageUp => model.tree.move_by(-page),
        Action::PageDown => model.tree.move_by(page),
        Action::First => model.tree.move_to(0),
        Action::Last => model.tree.move_to(usize::MAX),
        Action::Open => return open(model, cmds),
        Action::Close => model.tree.close(),
        Action::Filter => {
            let before = model.tree.filter().to_vec();
            model.prompt =
                Some(Prompt::Filter { field: Editor::new(&text::visible(&before)), before });
        }
        Action::Cancel => model.tree.set_filter(Vec::new()),
        Action::Format => next_format(model),
        Action::Edit => open_edit(model),
        Action::Delete => open_delete(model, cmds),
        Action::Watch => match model.tree.selected() {
            Some(Selected::Key(key)) => return watch(model, key, false, cmds),
            Some(Selected::Folder { prefix, .. }) => return watch(model, prefix, true, cmds),
            _ => {}
        },
        Action::WatchBelow => match model.tree.selected() {
            Some(Selected::Key(key)) => return watch(model, key, true, cmds),
            // Without the separator, so that the key of the same name is watched as well.
            Some(Selected::Folder { prefix, .. }) => {
                return watch(model, prefix.slice(..prefix.len() - 1), true, cmds);
            }
            _ => {}
        },
        _ => {}
    }
    settle_tree(model, cmds);
}

fn open(model: &mut Model, cmds: &mut Vec<Cmd>) {
    if let Some(Selected::Key(_)) = model.tree.selected() {
        return show(model, Pane::Value, cmds);
    }
    if let Some(wanted) = model.tree.toggle() {
        ask_level(model, wanted, cmds);
    }
    settle_tree(model, cmds);
}

fn act_value(model: &mut Model, action: Action, cmds: &mut Vec<Cmd>) {
    let height: usize = layout::value_text(model.size).height.into();
    let page = height as isize - 1;
    match action {
        Action::Up => model.value.scroll_by(-1, height),
        Action::Down => model.value.scroll_by(1, height),
        Action::PageUp => model.value.scroll_by(-page, height),
        Action::PageDown => model.value.scroll_by(page, height),
        Action::First => model.value.scroll_by(isize::MIN, height),
        Action::Last => model.value.scroll_by(isize::MAX, height),
        Action::Close => show(model, Pane::Tree, cmds),
        Action::Format => next_format(model),
        Action::Edit => open_edit(model),
        Action::Delete => open_delete(model, cmds),
        Action::Watch => {
            if let Some(key) = model.value.key().cloned() {
                watch(model, key, false, cmds);
            }
        }
        _ => {}
    }
}

fn act_watches(model: &mut Model, action: Action, cmds: &mut Vec<Cmd>) {
    let height: usize =
        layout::inside(layout::watch_panes(model.size, model.watches.list.len()).1).height.into();
    let page = height as i64 - 1;
    let mut scroll = |lines: i64| {
        if let Some(watch) = model.watches.current_mut() {
            watch.scroll_by(lines, height);
        }
    };
    match action {
        Action::Up => scroll(-1),
        Action::Down => scroll(1),
        Action::PageUp => scroll(-page),
        Action::PageDown => scroll(page),
        Action::First => scroll(i64::MIN),
        Action::Last => scroll(i64::MAX),
        Action::PreviousWatch => model.watches.select_by(-1),
        Action::NextWatch => model.watches.select_by(1),
        Action::Pause => {
            if let Some(watch) = model.watches.current_mut() {
                watch.toggle_hold();
            }
        }
        Action::StopWatch => {
            if let Some(id) = model.watches.remove_current() {
                cmds.extend(model.requests.cancel(&Slot::Watch(id)));
            }
        }
        _ => {}
    }
}

fn next_format(model: &mut Model) {
    model.value.next_format();
}

/// A prefix worth starting from when a key is to be typed.
fn near(model: &Model) -> Bytes {
    match model.pane {
        Pane::Tree | Pane::Value => model.tree.current_prefix(),
        Pane::Overview | Pane::Watches => Bytes::new(),
    }
}

fn open_put(model: &mut Model) {
    model.prompt = Some(Prompt::Put(PutForm {
        key: Editor::new(&text::visible(&near(model))),
        value: Editor::default(),
        in_value: false,
        sending: false,
        problem: None,
    }));
}

fn open_edit(model: &mut Model) {
    let Some(kv) = shown_or_later(model, Action::Edit) else { return };
    if kv.value.len() > EDIT_MAX_BYTES {
        return model
            .say("the value is too large to edit here: write it from a file with kvorum put");
    }
    let Some(text) = readable(&kv.value, false) else {
        return model.say("the value is binary: write it from a file with kvorum put");
    };
    model.prompt = Some(Prompt::Edit(EditForm {
        key: kv.key.clone(),
        original: text.to_owned(),
        expected: kv.mod_revision,
        lease: kv.lease,
        editor: Editor::new(text),
        sending: false,
        problem: None,
        theirs: None,
    }));
}

fn open_delete(model: &mut Model, cmds: &mut Vec<Cmd>) {
    let selected = if model.pane == Pane::Tree { model.tree.selected() } else { None };
    if let Some(Selected::Folder { prefix, .. }) = selected {
        cmds.push(model.requests.ask(Slot::Count, Request::Count { prefix: prefix.clone() }));
        let form = DeletePrefix { prefix, count: None, typed: Editor::default(), problem: None };
        model.prompt = Some(Prompt::DeletePrefix(form));
        return;
    }
    if let Some(kv) = shown_or_later(model, Action::Delete) {
        model.prompt = Some(Prompt::DeleteKey { key: kv.key, expected: kv.mod_revision });
    }
}

/// The value under the cursor. When it is on its way, `action` is done as soon as it is there.
fn shown_or_later(model: &mut Model, action: Action) -> Option<KeyValue> {
    match &model.value.state {
        ValueState::Shown(kv) => return Some(kv.clone()),
        ValueState::Reading(_) => {
            model.after_reading = Some(action);
            model.say("reading the value first");
        }
        _ => model.say("no key with a value is selected"),
    }
    None
}
