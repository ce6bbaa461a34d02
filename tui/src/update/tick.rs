//! What happens because time went on.

use crate::cmd::{Cmd, Request, Slot};
use crate::model::{Conn, Model, Pane};
use crate::msg::Moment;
use crate::update::asking::ask_lease;

pub(super) fn tick(model: &mut Model, now: Moment, cmds: &mut Vec<Cmd>) {
    let new_second = now.mono_ms / 1000 != model.now.mono_ms / 1000;
    model.now = now;
    if model.notice.as_ref().is_some_and(|notice| notice.until_ms <= now.mono_ms) {
        model.notice = None;
        cmds.push(Cmd::Draw);
    }
    if new_second && counts_seconds(model) {
        cmds.push(Cmd::Draw);
    }
    if matches!(model.pane, Pane::Tree | Pane::Value) {
        ask_lease(model, cmds);
    }
    poll(model, cmds);
}

/// Asks every address whose turn it is, and for the members now and then.
pub(super) fn poll(model: &mut Model, cmds: &mut Vec<Cmd>) {
    let due: Vec<String> = model.cluster.due(model.now).map(str::to_owned).collect();
    for address in due {
        let slot = Slot::Status(address.clone());
        if !model.requests.is_waiting(&slot) {
            cmds.push(model.requests.ask(slot, Request::Status { address }));
        }
    }
    if model.cluster.membership_is_due(model.now) && !model.requests.is_waiting(&Slot::Membership) {
        model.cluster.asked_membership(model.now);
        cmds.push(model.requests.ask(Slot::Membership, Request::Membership));
    }
}

/// Whether the screen shows seconds that pass.
fn counts_seconds(model: &Model) -> bool {
    let lease = matches!(model.pane, Pane::Tree | Pane::Value) && model.value.lease.is_some();
    lease || matches!(model.conn, Conn::Lost { .. })
}
