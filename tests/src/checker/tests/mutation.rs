//! One thing wrong with a history.

use kvorum_proto::etcdserverpb::{RangeResponse, WatchResponse};
use kvorum_proto::mvccpb::Event;

use super::generator::{Dice, at};
use crate::checker::{History, Operation, Outcome, Refusal, Request, Response};

#[derive(Clone, Copy, Debug)]
pub(super) enum Mutation {
    RevisionUp,
    RevisionDown,
    AnotherValue,
    MissingPair,
    ReadMovedLater,
    WriteForgotten,
    WriteUndone,
    AnotherRefusal,
    AnotherBranch,
    EventDropped,
    EventTwice,
    EventsSwapped,
    RevisionSplit,
    EventValue,
    PrevKvWrong,
    ProgressEarly,
    ResumedLate,
    GroundShort,
    GroundValue,
}

impl Mutation {
    pub(super) const ALL: [Mutation; 19] = [
        Mutation::RevisionUp,
        Mutation::RevisionDown,
        Mutation::AnotherValue,
        Mutation::MissingPair,
        Mutation::ReadMovedLater,
        Mutation::WriteForgotten,
        Mutation::WriteUndone,
        Mutation::AnotherRefusal,
        Mutation::AnotherBranch,
        Mutation::EventDropped,
        Mutation::EventTwice,
        Mutation::EventsSwapped,
        Mutation::RevisionSplit,
        Mutation::EventValue,
        Mutation::PrevKvWrong,
        Mutation::ProgressEarly,
        Mutation::ResumedLate,
        Mutation::GroundShort,
        Mutation::GroundValue,
    ];

    /// How many of a hundred must be found out; the rest may be legal still.
    pub(super) fn found_percent(self) -> usize {
        match self {
            // Something that overlaps may have come just before, or something just after.
            Mutation::RevisionUp | Mutation::RevisionDown | Mutation::AnotherRefusal => 75,
            // It may have been the last write, and nobody was told.
            Mutation::WriteForgotten => 85,
            _ => 97,
        }
    }

    /// Whether there was something to change.
    pub(super) fn apply(self, history: &mut History, dice: &mut Dice) -> bool {
        match self {
            Mutation::RevisionUp => revision(history, dice, 1),
            Mutation::RevisionDown => revision(history, dice, -1),
            Mutation::AnotherValue => read(history, dice, |range| {
                let kv = range.kvs.iter_mut().find(|kv| !kv.value.is_empty());
                kv.map(|kv| kv.value = "other".into()).is_some()
            }),
            Mutation::MissingPair => read(history, dice, |range| range.kvs.pop().is_some()),
            Mutation::ReadMovedLater => later(history, dice),
            Mutation::WriteForgotten => write(history, dice, |it| it.outcome = Outcome::Failed),
            Mutation::WriteUndone => undone(history, dice),
            Mutation::AnotherRefusal => one(history, dice, |it| match &mut it.outcome {
                Outcome::Refused(refusal) => {
                    let compacted = *refusal == Refusal::Compacted;
                    *refusal = if compacted { Refusal::FutureRevision } else { Refusal::Compacted };
                    true
                }
                _ => false,
            }),
            Mutation::AnotherBranch => one(history, dice, |it| match &mut it.outcome {
                Outcome::Done(Response::Txn(txn)) => {
                    txn.succeeded = !txn.succeeded;
                    true
                }
                _ => false,
            }),
            Mutation::GroundShort => {
                let Some(ground) = &mut history.ground else { return false };
                ground.revision -= 1;
                ground.events.pop().is_some()
            }
            Mutation::GroundValue => {
                let Some(ground) = &mut history.ground else { return false };
                let mut events = ground.events.iter_mut().flat_map(|it| &mut it.1);
                change_value(&mut events)
            }
            Mutation::EventDropped => batch(history, dice, 1, |events| drop(events.remove(0))),
            Mutation::EventTwice => {
                batch(history, dice, 1, |events| events.push(events[0].clone()))
            }
            Mutation::EventsSwapped => batch(history, dice, 2, |events| {
                let last = events.len() - 1;
                events.swap(0, last);
            }),
            Mutation::RevisionSplit => split(history),
            Mutation::EventValue => {
                let legs = history.watches.iter_mut().flat_map(|watch| &mut watch.legs);
                let responses = legs.flat_map(|leg| &mut leg.responses);
                change_value(&mut responses.flat_map(|it| &mut it.1.events))
            }
            Mutation::PrevKvWrong => {
                let legs = history.watches.iter_mut().flat_map(|watch| &mut watch.legs);
                let responses = legs.flat_map(|leg| &mut leg.responses);
                let mut events = responses.flat_map(|it| &mut it.1.events);
                let prev = events.find_map(|event| event.prev_kv.as_mut());
                prev.map(|prev| prev.version += 1).is_some()
            }
            Mutation::ProgressEarly => progress_early(history),
            Mutation::ResumedLate => resumed_late(history),
        }
    }
}

/// Changes one operation that can be changed so.
fn one(
    history: &mut History,
    dice: &mut Dice,
    mut change: impl FnMut(&mut Operation) -> bool,
) -> bool {
    let count = history.operations.len();
    let first = dice.below(count as u64) as usize;
    (0..count).any(|offset| change(&mut history.operations[(first + offset) % count]))
}

fn revision(history: &mut History, dice: &mut Dice, by: i64) -> bool {
    one(history, dice, |it| {
        let Outcome::Done(response) = &mut it.outcome else { return false };
        let header = match response {
            Response::Put(it) => &mut it.header,
            Response::Range(it) => &mut it.header,
            Response::DeleteRange(it) => &mut it.header,
            Response::Txn(it) => &mut it.header,
            _ => return false,
        };
        header.as_mut().map(|header| header.revision += by).is_some()
    })
}

fn read(
    history: &mut History,
    dice: &mut Dice,
    mut change: impl FnMut(&mut RangeResponse) -> bool,
) -> bool {
    one(history, dice, |it| match &mut it.outcome {
        Outcome::Done(Response::Range(range)) => change(range),
        _ => false,
    })
}

fn write(history: &mut History, dice: &mut Dice, mut change: impl FnMut(&mut Operation)) -> bool {
    one(history, dice, |it| {
        let wrote = matches!(it.outcome, Outcome::Done(Response::Put(_)));
        if wrote {
            change(it);
        }
        wrote
    })
}

/// An early read is said to have been at the end, when more had been written.
fn later(history: &mut History, dice: &mut Dice) -> bool {
    let wrote = |it: &&Operation| matches!(it.outcome, Outcome::Done(Response::Put(_)));
    let written = |it: &Operation| match &it.outcome {
        Outcome::Done(response) => response.header().map_or(0, |header| header.revision),
        _ => 0,
    };
    let newest = history.operations.iter().filter(wrote).map(written).max().unwrap_or(0);
    let end = history.operations.iter().filter_map(|it| it.return_ns).max().unwrap_or(0);
    one(history, dice, |it| {
        let Request::Range(range) = &it.request else { return false };
        let early = !range.serializable && (1..newest).contains(&written(it));
        if early {
            (it.call_ns, it.return_ns) = (end + 1, Some(end + 2));
        }
        early
    })
}

/// All that was told of a write but for the answer to the one who made it is taken back: its
/// number is another one's.
fn undone(history: &mut History, dice: &mut Dice) -> bool {
    let puts = |it: &&Operation| matches!(it.outcome, Outcome::Done(Response::Put(_)));
    let Some(other) = history.operations.iter().filter(puts).last().cloned() else { return false };
    let Outcome::Done(told) = &other.outcome else { return false };
    let revision = told.header().map(|header| header.revision);
    write(history, dice, |it| {
        if let Outcome::Done(Response::Put(put)) = &mut it.outcome {
            let header = put.header.as_mut().unwrap();
            header.revision =
                revision.filter(|it| *it != header.revision).unwrap_or(header.revision + 1);
        }
    })
}

fn change_value<'a>(events: &mut impl Iterator<Item = &'a mut Event>) -> bool {
    let mut pairs = events.filter_map(|event| event.kv.as_mut());
    let kv = pairs.find(|kv| !kv.value.is_empty());
    kv.map(|kv| kv.value = "other".into()).is_some()
}

fn batch(
    history: &mut History,
    dice: &mut Dice,
    least: usize,
    change: impl FnOnce(&mut Vec<Event>),
) -> bool {
    let legs = history.watches.iter_mut().flat_map(|watch| &mut watch.legs);
    let responses = legs.flat_map(|leg| &mut leg.responses);
    let batches = responses.map(|(_, response)| &mut response.events);
    let mut batches: Vec<_> = batches.filter(|events| events.len() >= least).collect();
    if batches.is_empty() {
        return false;
    }
    let chosen = dice.below(batches.len() as u64) as usize;
    change(batches[chosen]);
    true
}

fn split(history: &mut History) -> bool {
    for leg in history.watches.iter_mut().flat_map(|watch| &mut watch.legs) {
        for place in 0..leg.responses.len() {
            let (now, response) = &mut leg.responses[place];
            let joined = |pair: &[Event]| at(&pair[0]) == at(&pair[1]);
            let Some(cut) = response.events.windows(2).position(joined) else { continue };
            let events = response.events.split_off(cut + 1);
            let rest = WatchResponse { events, ..response.clone() };
            let now = *now;
            response.fragment = false;
            leg.responses.insert(place + 1, (now, rest));
            return true;
        }
    }
    false
}

/// A progress response overtakes the events before it.
fn progress_early(history: &mut History) -> bool {
    for leg in history.watches.iter_mut().flat_map(|watch| &mut watch.legs) {
        let is_progress = |it: &WatchResponse| it.events.is_empty() && !it.created && !it.canceled;
        let place = leg.responses.iter().position(|it| is_progress(&it.1));
        if let Some(place) = place {
            leg.responses.swap(place - 1, place);
            return true;
        }
    }
    false
}

/// A stream goes on after an event that the one before did not bring.
fn resumed_late(history: &mut History) -> bool {
    for watch in &mut history.watches {
        let Some(leg) = watch.legs.last_mut() else { continue };
        let brings = leg.responses.iter().position(|it| !it.1.events.is_empty());
        let Some(place) = brings else { continue };
        let events = &mut leg.responses[place].1.events;
        let first = at(&events[0]);
        events.retain(|event| at(event) > first);
        leg.request.start_revision = first + 1;
        if events.is_empty() {
            leg.responses.remove(place);
        }
        return true;
    }
    false
}
