//! The heart of the dashboard: what a message makes of the model, and what is to be done about it.
//!
//! Pure: no clock (time comes with [`Msg::Tick`]), no I/O, nothing remembered outside the model.

mod answers;
mod asking;
mod browse;
mod prompts;
mod tick;

use crossterm::event::{KeyEvent, KeyEventKind};

use crate::cmd::Cmd;
use crate::keymap::{self, Action};
use crate::layout;
use crate::model::Model;
use crate::msg::{Msg, Size};

pub fn update(model: &mut Model, msg: Msg) -> Vec<Cmd> {
    let mut cmds = Vec::new();
    match msg {
        Msg::Tick { now } => tick::tick(model, now, &mut cmds),
        Msg::Resize(size) => resize(model, size, &mut cmds),
        Msg::Key(event) => press(model, event, &mut cmds),
        Msg::Paste(text) => prompts::paste(model, &text, &mut cmds),
        Msg::Answer(answer) => answers::take(model, answer, &mut cmds),
    }
    cmds
}

fn resize(model: &mut Model, size: Size, cmds: &mut Vec<Cmd>) {
    model.size = size;
    model.value.set_width(layout::value_text(size).width);
    model.value.scroll_by(0, layout::value_text(size).height.into());
    asking::settle_tree(model, cmds);
    cmds.push(Cmd::Draw);
}

fn press(model: &mut Model, event: KeyEvent, cmds: &mut Vec<Cmd>) {
    if event.kind == KeyEventKind::Release {
        return;
    }
    let action = keymap::action(&model.scopes(), &event);
    // What does nothing while nothing can be seen must not do anything either.
    let blind =
        layout::is_too_small(model.size) && !matches!(action, Some(Action::Quit | Action::Repaint));
    if blind {
        return;
    }
    if model.notice.take().is_some() {
        cmds.push(Cmd::Draw);
    }
    // What was wanted before is not wanted any more once something else is.
    model.after_reading = None;
    model.tree.goal = None;
    match action {
        Some(Action::Quit) => cmds.push(Cmd::Quit),
        Some(Action::Repaint) => cmds.push(Cmd::Repaint),
        Some(action) => {
            if model.prompt.is_some() {
                prompts::act(model, action, cmds);
            } else {
                browse::act(model, action, cmds);
            }
            cmds.push(Cmd::Draw);
        }
        None => prompts::type_in(model, &event, cmds),
    }
}
