//! What came back from the cluster. An answer that nobody waits for any more changes nothing.

use bytes::Bytes;

use crate::cmd::{Cmd, Slot};
use crate::figures;
use crate::model::prompt::Prompt;
use crate::model::value::ValueState;
use crate::model::verdict::verdict;
use crate::model::{Conn, Model, Pane};
use crate::msg::{Answer, Failure, KeyValue, Reply, WatchSignal};
use crate::text;
use crate::update::asking::{
    ask_lease, ask_level, ask_sizes, ask_value, recover, reread_around, settle_tree,
};
use crate::update::browse;

pub(super) fn take(model: &mut Model, answer: Answer, cmds: &mut Vec<Cmd>) {
    let Answer { ticket, body } = answer;
    if !model.requests.is_current(&ticket) {
        return;
    }
    if !is_followed(&body) {
        model.requests.finish(&ticket);
    }
    match (ticket.slot, body) {
        (Slot::Status(address), body) => take_status(model, &address, body, cmds),
        (Slot::Membership, body) => take_membership(model, body, cmds),
        (slot, Ok(reply)) => {
            take_reply(model, slot, reply, cmds);
            cmds.push(Cmd::Draw);
        }
        (slot, Err(failure)) => {
            take_failure(model, slot, failure, cmds);
            cmds.push(Cmd::Draw);
        }
    }
}

/// Whether more answers come for the same request.
fn is_followed(body: &Result<Reply, Failure>) -> bool {
    match body {
        Ok(Reply::Level(part)) => !part.done,
        Ok(Reply::Size { done, .. }) => !done,
        Ok(Reply::Watch(signal)) => !matches!(signal, WatchSignal::Ended { .. }),
        _ => false,
    }
}

fn take_status(
    model: &mut Model,
    address: &str,
    body: Result<Reply, Failure>,
    cmds: &mut Vec<Cmd>,
) {
    let before = model.cluster.revision;
    let back = match body {
        Ok(Reply::Status(status)) => model.cluster.set_status(address, status, model.now),
        Ok(_) => false,
        Err(failure) => {
            model.cluster.set_silent(address, failure, model.now);
            false
        }
    };
    judge(model, cmds);
    if back {
        recover(model, cmds);
    }
    if model.cluster.membership.is_none() {
        super::tick::poll(model, cmds);
    }
    let seen = matches!(model.pane, Pane::Tree | Pane::Value);
    let newer = model.cluster.revision > model.value.read_at.max(model.value.asked_at);
    if seen
        && newer
        && !model.requests.is_waiting(&Slot::Value)
        && let Some(key) = model.value.key().cloned()
    {
        ask_value(model, key, cmds);
    }
    if model.pane == Pane::Overview || model.cluster.revision != before {
        cmds.push(Cmd::Draw);
    }
}

fn take_membership(model: &mut Model, body: Result<Reply, Failure>, cmds: &mut Vec<Cmd>) {
    match body {
        Ok(Reply::Membership(membership)) => model.cluster.set_membership(membership),
        Ok(_) => {}
        // Silence shows in the members themselves.
        Err(failure) if failure.unreachable => {}
        Err(failure) => model.cluster.membership_failure = Some(failure),
    }
    judge(model, cmds);
    super::tick::poll(model, cmds);
    if model.pane == Pane::Overview {
        cmds.push(Cmd::Draw);
    }
}

/// Draws the conclusions from what is known of the cluster.
fn judge(model: &mut Model, cmds: &mut Vec<Cmd>) {
    model.conn = match (model.cluster.is_answering(), model.conn) {
        (true, _) => Conn::Up,
        (false, Conn::Up) => Conn::Lost { since: model.now.wall },
        (false, conn) => conn,
    };
    let reach = model.cluster.reach();
    if reach != model.reach {
        model.reach.clone_from(&reach);
        cmds.push(Cmd::Reach(reach));
    }
    let verdict = verdict(&model.cluster);
    if verdict != model.verdict {
        model.verdict = verdict;
        cmds.push(Cmd::Draw);
    }
}

fn take_reply(model: &mut Model, slot: Slot, reply: Reply, cmds: &mut Vec<Cmd>) {
    match (slot, reply) {
        (Slot::Level(prefix), Reply::Level(part)) => {
            if let Some(wanted) = model.tree.take(&prefix, part) {
                ask_level(model, wanted, cmds);
            }
            if let Some(wanted) = model.tree.approach() {
                ask_level(model, wanted, cmds);
            }
            settle_tree(model, cmds);
        }
        (_, Reply::Size { prefix, keys, done }) => {
            model.tree.set_size(&prefix, keys);
            if done {
                ask_sizes(model, cmds);
            }
        }
        (_, Reply::Value { found, revision }) => take_value(model, found, revision, cmds),
        (_, Reply::Lease(lease)) => model.value.lease = Some((lease, model.now)),
        (_, Reply::Count { keys, .. }) => {
            if let Some(Prompt::DeletePrefix(form)) = &mut model.prompt {
                form.count = Some(keys);
            }
        }
        (_, Reply::Written { revision }) => {
            let new = matches!(model.prompt.take(), Some(Prompt::Put(_)));
            let key = std::mem::take(&mut model.writing);
            if new {
                model.tree.goal = Some(key.clone());
            }
            model.say(format!(
                "written at revision {}: {}",
                figures::grouped(revision),
                text::visible(&key)
            ));
            reread_around(model, &key, cmds);
        }
        (_, Reply::Deleted { keys, revision }) => {
            model.prompt = None;
            let key = std::mem::take(&mut model.writing);
            model.say(format!(
                "deleted {} at revision {}",
                figures::keys(keys),
                figures::grouped(revision)
            ));
            reread_around(model, &key, cmds);
        }
        (_, Reply::Conflict { current, .. }) => take_conflict(model, current, cmds),
        (Slot::Watch(id), Reply::Watch(signal)) => model.watches.take(id, signal, model.now.wall),
        _ => {}
    }
}

fn take_value(model: &mut Model, found: Option<KeyValue>, revision: i64, cmds: &mut Vec<Cmd>) {
    let Some(kv) = found else {
        let key = model.value.key().cloned().unwrap_or_default();
        model.value.turn_to(ValueState::Missing(key));
        model.value.read_at = revision;
        return;
    };
    model.value.show(kv, revision);
    if let Some(action) = model.after_reading.take() {
        model.notice = None;
        browse::act(model, action, cmds);
    }
    ask_lease(model, cmds);
}

fn take_conflict(model: &mut Model, current: Option<KeyValue>, cmds: &mut Vec<Cmd>) {
    match &mut model.prompt {
        Some(Prompt::Put(form)) => {
            form.sending = false;
            form.problem =
                Some("not written: there is such a key already; edit it with e in the tree".into());
        }
        Some(Prompt::Edit(form)) => {
            form.sending = false;
            form.expected = current.as_ref().map_or(0, |kv| kv.mod_revision);
            form.problem = Some(match &current {
                Some(kv) => format!(
                    "not written: somebody wrote it at revision {}. Ctrl-T takes that value, Ctrl-S writes yours over it",
                    figures::grouped(kv.mod_revision)
                ),
                None => "not written: somebody deleted the key. Ctrl-S makes it again".into(),
            });
            form.theirs = current;
        }
        _ => {
            let text = match current {
                Some(kv) => format!(
                    "not deleted: it was written at revision {}; look again",
                    figures::grouped(kv.mod_revision)
                ),
                None => "not deleted: it is gone already".into(),
            };
            model.say(text);
            let key: Bytes = std::mem::take(&mut model.writing);
            reread_around(model, &key, cmds);
        }
    }
}

fn take_failure(model: &mut Model, slot: Slot, failure: Failure, cmds: &mut Vec<Cmd>) {
    match slot {
        Slot::Level(prefix) => {
            model.tree.fail(&prefix, failure);
            settle_tree(model, cmds);
        }
        Slot::Value => {
            // What was read before is still worth seeing.
            if let ValueState::Reading(key) = &model.value.state {
                let key = key.clone();
                model.value.turn_to(ValueState::Failed(key, failure));
                model.after_reading = None;
            }
        }
        Slot::Write => match &mut model.prompt {
            Some(prompt @ (Prompt::Put(_) | Prompt::Edit(_))) => {
                if let Prompt::Put(form) = prompt {
                    form.sending = false;
                }
                if let Prompt::Edit(form) = prompt {
                    form.sending = false;
                }
                prompt.set_problem(failure.text);
            }
            _ => model.say(failure.text),
        },
        Slot::Count => {
            if let Some(prompt) = &mut model.prompt {
                prompt.set_problem(failure.text);
            }
        }
        Slot::Watch(id) => {
            model.watches.take(id, WatchSignal::Ended { reason: failure.text }, model.now.wall);
        }
        Slot::Membership | Slot::Status(_) | Slot::Sizes | Slot::Lease => {}
    }
}
