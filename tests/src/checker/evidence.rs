//! What is known of a revision besides the answer of the write that made it.
//!
//! A key-value pair in any answer says what the revision in it did; the ground says everything
//! about the revisions it holds; a watch says what a revision did to its keys, also by its
//! silence. Watches are believed or left out as a whole: if no order agrees with them, one without
//! them tells which of them is to blame.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use kvorum_proto::etcdserverpb::TxnResponse;
use kvorum_proto::etcdserverpb::response_op::Response as Reply;
use kvorum_proto::mvccpb::event::EventType;
use kvorum_proto::mvccpb::{Event, KeyValue};

use super::claims::{Claims, Puts};
use super::course::{Courses, Seen, Witness};
use super::display;
use super::history::{Ground, History, Response};
use super::perform::Action;
use super::sight::{OpenRevisions, Sight, newest};
use super::state::Change;
use super::step::{Effect, Expect, Step, Steps};
use super::violation::{Rule, Violation};

pub(super) struct Evidence<'s> {
    /// The highest revision that is known to exist.
    pub(super) last: i64,
    /// By revision: what was read of it, and by whom.
    seen: Vec<Vec<Seen<'s>>>,
    /// By revision: pairs of keys that it created.
    created: Vec<Vec<Seen<'s>>>,
    courses: Courses<'s>,
    ground: Option<&'s Ground>,
    told: BTreeMap<i64, &'s [Event]>,
    /// By revision: until when it must have been begun, since then it was told, or a later one.
    known: Vec<Known<'s>>,
    /// Of these alone the sights tell.
    open: OpenRevisions,
    sights: Vec<Sight<'s>>,
    pub(super) claims: Claims,
}

/// When something was known, and by whom unless by a watch.
#[derive(Clone, Copy)]
struct Known<'s> {
    at_ns: u64,
    reader: Option<&'s Step<'s>>,
}

/// Why a revision cannot have been made so.
pub(super) enum Clash<'s> {
    /// The members hold something else, or have never come so far.
    Ground(Option<&'s [Event]>),
    Seen(Seen<'s>),
    /// What was seen later cannot have come of it.
    Course(Seen<'s>),
    Watched,
    /// It was known before.
    Late(Option<&'s Step<'s>>),
}

impl<'s> Evidence<'s> {
    pub(super) fn gather(
        steps: &'s Steps,
        history: &'s History,
        believe_watches: bool,
    ) -> Result<Evidence<'s>, Violation> {
        let ground = history.ground.as_ref();
        let all = steps.ordered.iter().chain(&steps.stale);
        let mut last = all.filter_map(Step::revision).max().unwrap_or(1);
        match ground {
            Some(ground) => last = last.max(ground.revision.min(steps.most)),
            None if believe_watches => last = last.max(newest(history, steps.most)),
            None => {}
        }
        let told = ground.into_iter().flat_map(|ground| &ground.events);
        let told: BTreeMap<i64, &[Event]> =
            told.map(|(revision, events)| (*revision, &events[..])).collect();
        let open = OpenRevisions::of(steps, ground, last);
        let mut sights = Vec::new();
        if believe_watches && open.any_in(2, last) {
            sights.extend(history.watches.iter().flat_map(|watch| Sight::of(watch, &open)));
        }
        let mut seen = answered(steps)?;
        for kv in told.values().flat_map(|events: &&[Event]| *events).filter_map(put) {
            seen.push(Seen { kv, until: kv.mod_revision, by: Witness::Members });
        }
        let watched = sights.iter().flat_map(|sight| &sight.pairs);
        seen.extend(watched.map(|(kv, until)| Seen { kv, until: *until, by: Witness::Watch }));
        // What is out of all order is told by who checks the ground and the watches.
        seen.retain(|it| it.kv.mod_revision <= last && in_order(it.kv));
        // Many are told the same; one of them is enough, the one that knew it longest.
        let order = |it: &Seen<'s>| (it.kv.mod_revision, &it.kv.key, Reverse(it.until));
        seen.sort_by(|a, b| order(a).cmp(&order(b)));
        seen.dedup_by(|next, first| next.kv == first.kv);
        let claims = claims(steps, &seen)?;
        let known = known(steps, history, believe_watches, last);
        let courses = Courses::of(seen.iter().copied());
        let mut made = vec![Vec::new(); last as usize + 1];
        let mut created = made.clone();
        for it in seen {
            made[it.kv.mod_revision as usize].push(it);
            created[it.kv.create_revision as usize].push(it);
        }
        Ok(Evidence {
            last,
            seen: made,
            created,
            courses,
            ground,
            told,
            known,
            open,
            sights,
            claims,
        })
    }

    /// Whether the last revision may still be followed by others that nobody saw.
    pub(super) fn is_open(&self) -> bool {
        self.ground.is_none()
    }

    /// Whether `revision` can have made these changes. Whoever read what an acknowledged write
    /// replaced is not held against the write: the reader is wrong.
    pub(super) fn admits(
        &self,
        revision: i64,
        changes: &[Change],
        maker: &Step,
    ) -> Result<(), Clash<'s>> {
        let known = self.known.get(revision as usize);
        if let Some(known) = known.filter(|known| known.at_ns < maker.call) {
            return Err(Clash::Late(known.reader));
        }
        if let Some(ground) = self.ground
            && revision >= ground.compacted
        {
            let told = self.told.get(&revision).copied();
            let same = told.is_some_and(|told| {
                told.len() == changes.len() && told.iter().zip(changes).all(|(a, b)| tells(a, b))
            });
            if !same || revision > ground.revision {
                return Err(Clash::Ground(told));
            }
        }
        let made = |seen: &Seen| changes.iter().find(|change| change.key == seen.kv.key);
        for seen in self.seen.get(revision as usize).into_iter().flatten() {
            if !made(seen).is_some_and(|change| shows(seen.kv, change)) {
                return Err(Clash::Seen(*seen));
            }
        }
        for seen in self.created.get(revision as usize).into_iter().flatten() {
            let first = made(seen).and_then(|change| change.kv.as_ref());
            if first.is_none_or(|kv| kv.version != 1) {
                return Err(Clash::Course(*seen));
            }
        }
        let impossible = changes.iter().find_map(|it| self.courses.contradicts(it));
        let replaced = || changes.iter().find_map(|it| self.courses.replaced(it));
        let replaced = if maker.is_unknown() { replaced() } else { None };
        if let Some(seen) = impossible.or(replaced) {
            return Err(Clash::Course(seen));
        }
        let watched = || self.sights.iter().all(|sight| sight.admits(revision, changes));
        let fits = !self.open.any_in(revision, revision) || watched();
        fits.then_some(()).ok_or(Clash::Watched)
    }

    /// What is known of a revision that no write explains, in words.
    pub(super) fn describe(&self, revision: i64) -> String {
        if let Some(events) = self.told.get(&revision) {
            return format!("the members hold {} there", display::list(events, display::event));
        }
        if let Some(seen) = self.seen.get(revision as usize).and_then(|it| it.first()) {
            return seen.to_string();
        }
        let mut sights = self.sights.iter().filter_map(|sight| sight.events.get(&revision));
        if let Some(event) = sights.next().and_then(|events| events.first()) {
            return format!("a watch was told {}", display::event(event));
        }
        format!("revision {} exists", self.last)
    }

    /// Whether anything but its number is known of a revision.
    pub(super) fn knows(&self, revision: i64) -> bool {
        self.told.contains_key(&revision)
            || self.seen.get(revision as usize).is_some_and(|seen| !seen.is_empty())
            || self.sights.iter().any(|sight| sight.events.contains_key(&revision))
    }
}

/// All pairs in answers, none of them of a revision that its reader cannot have known.
fn answered<'s>(steps: &'s Steps) -> Result<Vec<Seen<'s>>, Violation> {
    let mut seen = Vec::new();
    for step in steps.ordered.iter().chain(&steps.stale) {
        let Expect::At(revision, response) = &step.expect else { continue };
        let mut pairs = Vec::new();
        collect(response, &mut pairs);
        let until = match step.action {
            Action::Range(range) if range.revision > 0 => range.revision,
            Action::Range(_) => *revision,
            // It changed the key itself.
            Action::Put(_) | Action::DeleteRange(_) => *revision - 1,
            _ => 0,
        };
        for kv in pairs {
            if !in_order(kv) || kv.mod_revision > *revision {
                let what = format!("{step} answered {} at revision {revision}", display::kv(kv));
                return Err(Violation::new(Rule::NeverWritten, what));
            }
            let until = until.max(kv.mod_revision);
            seen.push(Seen { kv, until, by: Witness::Reader(step) });
        }
    }
    Ok(seen)
}

pub(super) fn in_order(kv: &KeyValue) -> bool {
    2 <= kv.create_revision && kv.create_revision <= kv.mod_revision
}

pub(super) fn put(event: &Event) -> Option<&KeyValue> {
    event.kv.as_ref().filter(|_| event.r#type() == EventType::Put)
}

/// When each revision was known at the latest. Answers of linearizable operations need not be
/// looked at: they cannot come before what they know.
fn known<'s>(
    steps: &'s Steps,
    history: &'s History,
    believe_watches: bool,
    last: i64,
) -> Vec<Known<'s>> {
    let mut known = vec![Known { at_ns: u64::MAX, reader: None }; last as usize + 1];
    let mut note = |revision: i64, it: Known<'s>| {
        let slot = usize::try_from(revision).ok().and_then(|index| known.get_mut(index));
        if let Some(slot) = slot.filter(|slot| it.at_ns < slot.at_ns) {
            *slot = it;
        }
    };
    for step in steps.ordered.iter().chain(&steps.stale) {
        if let Some(revision) = step.known_revision() {
            note(revision, Known { at_ns: step.end, reader: Some(step) });
        }
    }
    let watches = history.watches.iter().filter(|_| believe_watches);
    for (at_ns, response) in watches.flat_map(|it| &it.legs).flat_map(|leg| &leg.responses) {
        let events = response.events.iter().filter_map(|event| event.kv.as_ref());
        let header = response.header.as_ref().map_or(0, |header| header.revision);
        let told = events.map(|kv| kv.mod_revision).max().unwrap_or(0).max(header);
        note(told, Known { at_ns: *at_ns, reader: None });
    }
    for index in (1..known.len()).rev() {
        if known[index].at_ns < known[index - 1].at_ns {
            known[index - 1] = known[index];
        }
    }
    known
}

/// Of values that were seen where no acknowledged write is.
fn claims(steps: &Steps, seen: &[Seen]) -> Result<Claims, Violation> {
    let wrote = |step: &&Step| step.effect == Effect::Write;
    let known = steps.ordered.iter().filter(wrote).filter_map(Step::revision);
    let known: BTreeSet<i64> = known.collect();
    let mut claims = Claims::default();
    let mut open = seen.iter().filter(|it| !known.contains(&it.kv.mod_revision)).peekable();
    if open.peek().is_some() {
        let puts = Puts::of(steps);
        open.try_for_each(|seen| claims.note(seen, &puts))?;
    }
    Ok(claims)
}

/// Whether the event is about this change; `prev_kv` is another matter.
pub(super) fn tells(event: &Event, change: &Change) -> bool {
    match (event.r#type(), &event.kv, &change.kv) {
        (EventType::Put, Some(told), Some(made)) => told == made,
        (EventType::Delete, Some(told), None) => {
            told.key == change.key && told.mod_revision == change.revision
        }
        _ => false,
    }
}

/// Whether a reader can have got this pair from the change. Only keys may have been asked for.
fn shows(kv: &KeyValue, change: &Change) -> bool {
    change.kv.as_ref().is_some_and(|made| {
        let numbers = |kv: &KeyValue| (kv.create_revision, kv.version, kv.lease);
        numbers(kv) == numbers(made) && (kv.value.is_empty() || kv.value == made.value)
    })
}

/// All pairs in an answer.
fn collect<'s>(response: &'s Response, pairs: &mut Vec<&'s KeyValue>) {
    fn of_txn<'s>(txn: &'s TxnResponse, pairs: &mut Vec<&'s KeyValue>) {
        for reply in txn.responses.iter().filter_map(|op| op.response.as_ref()) {
            match reply {
                Reply::ResponsePut(it) => pairs.extend(&it.prev_kv),
                Reply::ResponseRange(it) => pairs.extend(&it.kvs),
                Reply::ResponseDeleteRange(it) => pairs.extend(&it.prev_kvs),
                Reply::ResponseTxn(it) => of_txn(it, pairs),
            }
        }
    }
    match response {
        Response::Put(it) => pairs.extend(&it.prev_kv),
        Response::Range(it) => pairs.extend(&it.kvs),
        Response::DeleteRange(it) => pairs.extend(&it.prev_kvs),
        Response::Txn(it) => of_txn(it, pairs),
        Response::Grant(_)
        | Response::Revoke(_)
        | Response::KeepAlive(_)
        | Response::Compact(_) => {}
    }
}
