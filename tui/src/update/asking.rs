//! What has to be asked for when something else has changed.

use bytes::Bytes;

use crate::cmd::{Cmd, Request, Slot};
use crate::layout;
use crate::model::tree::{PAGE_ROWS, Selected, Wanted};
use crate::model::value::ValueState;
use crate::model::{Model, Pane};

/// Asks for what the tree and the value pane show and do not have. Called whenever the cursor, the
/// rows or the size changed.
pub(super) fn settle_tree(model: &mut Model, cmds: &mut Vec<Cmd>) {
    model.tree.scroll_to_cursor(layout::tree_rows(model.size));
    if !matches!(model.pane, Pane::Tree | Pane::Value) {
        return;
    }
    if !model.tree.is_loaded() && model.tree.want_failed().is_empty() {
        ask_root(model, cmds);
    }
    if let Some(wanted) = model.tree.want_more_in(model.tree_window()) {
        // One page at a time: the end is in sight again when this one is there.
        if !model.requests.is_waiting(&Slot::Level(wanted.prefix.clone())) {
            ask_level(model, wanted, cmds);
        }
    }
    ask_sizes(model, cmds);
    follow_cursor(model, cmds);
}

pub(super) fn ask_level(model: &mut Model, wanted: Wanted, cmds: &mut Vec<Cmd>) {
    let Wanted { prefix, from, limit } = wanted;
    let separator = model.tree.separator();
    let request =
        Request::Level { prefix: prefix.clone(), separator, from, limit, reads: model.reads };
    cmds.push(model.requests.ask(Slot::Level(prefix), request));
}

/// Counts the keys of the folders in sight, one screen at a time.
pub(super) fn ask_sizes(model: &mut Model, cmds: &mut Vec<Cmd>) {
    if model.requests.is_waiting(&Slot::Sizes) {
        return;
    }
    let prefixes = model.tree.unsized_in(model.tree_window());
    if !prefixes.is_empty() {
        cmds.push(model.requests.ask(Slot::Sizes, Request::Sizes { prefixes }));
    }
}

pub(super) fn ask_value(model: &mut Model, key: Bytes, cmds: &mut Vec<Cmd>) {
    model.value.asked_at = model.cluster.revision;
    let request = Request::Value { key, reads: model.reads };
    cmds.push(model.requests.ask(Slot::Value, request));
}

pub(super) fn ask_lease(model: &mut Model, cmds: &mut Vec<Cmd>) {
    if let Some(id) = model.value.lease_due(model.now)
        && !model.requests.is_waiting(&Slot::Lease)
    {
        cmds.push(model.requests.ask(Slot::Lease, Request::Lease { id }));
    }
}

/// Reads again what may have changed because `key` was written.
pub(super) fn reread_around(model: &mut Model, key: &[u8], cmds: &mut Vec<Cmd>) {
    for wanted in model.tree.want_around(key) {
        ask_level(model, wanted, cmds);
    }
    if let Some(shown) = model.value.key().cloned() {
        ask_value(model, shown, cmds);
    }
}

/// Reads again what is on the screen.
pub(super) fn refresh(model: &mut Model, cmds: &mut Vec<Cmd>) {
    model.cluster.hurry();
    super::tick::poll(model, cmds);
    if matches!(model.pane, Pane::Tree | Pane::Value) {
        for wanted in model.tree.want_again() {
            ask_level(model, wanted, cmds);
        }
        if let Some(shown) = model.value.key().cloned() {
            ask_value(model, shown, cmds);
        }
    }
}

/// Tries again what failed while nobody answered.
pub(super) fn recover(model: &mut Model, cmds: &mut Vec<Cmd>) {
    for wanted in model.tree.want_failed() {
        ask_level(model, wanted, cmds);
    }
    if let ValueState::Failed(key, _) = &model.value.state {
        let key = key.clone();
        ask_value(model, key, cmds);
    }
}

fn ask_root(model: &mut Model, cmds: &mut Vec<Cmd>) {
    if !model.requests.is_waiting(&Slot::Level(Bytes::new())) {
        ask_level(model, Wanted { prefix: Bytes::new(), from: None, limit: PAGE_ROWS }, cmds);
    }
}

/// The value pane shows the key under the cursor.
fn follow_cursor(model: &mut Model, cmds: &mut Vec<Cmd>) {
    let selected = match model.tree.selected() {
        Some(Selected::Key(key)) => Some(key),
        _ => None,
    };
    if model.value.key() == selected.as_ref() {
        return;
    }
    cmds.extend(model.requests.cancel(&Slot::Value));
    cmds.extend(model.requests.cancel(&Slot::Lease));
    match selected {
        None => model.value.turn_to(ValueState::Nothing),
        Some(key) => {
            model.value.turn_to(ValueState::Reading(key.clone()));
            ask_value(model, key, cmds);
        }
    }
}
