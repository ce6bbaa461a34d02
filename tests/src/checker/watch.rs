//! The watch guarantees, each watch held against what happened.
//!
//! A watch is owed, from its start on and in order, every change that it asked for, each once,
//! and the changes of one revision together (in fragments only if it asked for them). Progress
//! at a revision says that all up to it has come. It may end early only because its client asked
//! for that, or because what it is owed next was compacted, and whoever resumes it goes on where
//! it stopped.
//!
//! Where an answer depends on a compaction of unknown outcome, the watch is believed: the checks
//! of `compact_revision` and of a missing `prev_kv` raise no false alarm, but are only as sharp as
//! what is known of compactions.

use kvorum_proto::etcdserverpb::WatchResponse;
use kvorum_proto::mvccpb::Event;
use kvorum_proto::mvccpb::event::EventType;

use super::compactions::Compactions;
use super::display;
use super::evidence::tells;
use super::history::{Leg, Watch};
use super::state::Change;
use super::timeline::Timeline;
use super::violation::{Rule, Violation};
use crate::rules::Interest;

type Checked = Result<(), Violation>;

/// The first thing that is wrong with a watch.
pub(super) fn check(watch: &Watch, timeline: &Timeline, compactions: &Compactions) -> Checked {
    let Some(first) = watch.legs.first() else { return Ok(()) };
    // All legs want the same.
    let interest = Interest::new(&first.request);
    let wanted: Vec<&Change> =
        timeline.changes.iter().filter(|it| it.is_wanted(&interest)).collect();
    let mut resumed: Option<Stopped> = None;
    for (number, leg) in watch.legs.iter().enumerate() {
        let name = format!("watch {} (leg {number}, member {})", watch.name, leg.member);
        let mut view = View::new(name, leg, timeline, compactions);
        view.wanted = &wanted;
        if leg.responses.is_empty() {
            continue;
        }
        let start = start(leg);
        if let Some(stopped) = &resumed {
            view.check_resumed(stopped, start)?;
        }
        view.resumed = resumed.is_some();
        view.begin(start);
        for (at_ns, response) in &leg.responses {
            view.take(*at_ns, response)?;
        }
        view.leave()?;
        if number + 1 == watch.legs.len() && !view.ended {
            view.check_owed(watch.owed)?;
        }
        resumed = Some(Stopped { next: view.next, compacted: view.overtaken });
    }
    Ok(())
}

/// Where a leg was when it ended.
struct Stopped {
    next: i64,
    /// It was told that what it was owed is gone.
    compacted: bool,
}

/// The first revision that the leg is owed. Its first response says that it was created.
fn start(leg: &Leg) -> i64 {
    match (leg.request.start_revision, leg.responses.first()) {
        (0, Some((_, created))) => revision(created) + 1,
        (start, _) => start,
    }
}

fn revision(response: &WatchResponse) -> i64 {
    response.header.as_ref().map_or(0, |header| header.revision)
}

fn mod_revision(event: &Event) -> i64 {
    event.kv.as_ref().map_or(0, |kv| kv.mod_revision)
}

/// One leg as its responses come in.
struct View<'a> {
    name: String,
    leg: &'a Leg,
    timeline: &'a Timeline,
    compactions: &'a Compactions,
    interest: Interest<'a>,
    /// What it wants of everything that happened.
    wanted: &'a [&'a Change],
    resumed: bool,
    start: i64,
    /// Everything before this one was delivered.
    next: i64,
    /// The last progress.
    bookmark: i64,
    /// Events came, here or on an earlier leg.
    delivered: Option<i64>,
    fragments: Vec<Event>,
    created: bool,
    ended: bool,
    overtaken: bool,
}

impl<'a> View<'a> {
    fn new(
        name: String,
        leg: &'a Leg,
        timeline: &'a Timeline,
        compactions: &'a Compactions,
    ) -> View<'a> {
        let interest = Interest::new(&leg.request);
        View {
            name,
            leg,
            timeline,
            compactions,
            interest,
            wanted: &[],
            resumed: false,
            start: 0,
            next: 0,
            bookmark: 0,
            delivered: None,
            fragments: Vec::new(),
            created: false,
            ended: false,
            overtaken: false,
        }
    }

    fn begin(&mut self, start: i64) {
        self.start = start;
        self.next = start;
    }

    fn broken(&self, rule: Rule, what: &str) -> Violation {
        Violation::new(rule, format!("{} {what}", self.name))
    }

    /// What it wants of the revisions from `from` up to, and without, `upto`.
    fn first_wanted(&self, from: i64, upto: i64) -> Option<&'a Change> {
        if from >= upto {
            return None;
        }
        let first = self.wanted.partition_point(|change| change.revision < from);
        self.wanted.get(first).copied().filter(|change| change.revision < upto)
    }

    /// What it wants of one revision.
    fn wanted_at(&self, revision: i64) -> &'a [&'a Change] {
        let from = self.wanted.partition_point(|change| change.revision < revision);
        let count = self.wanted[from..].iter().take_while(|it| it.revision == revision).count();
        &self.wanted[from..from + count]
    }

    fn check_resumed(&self, stopped: &Stopped, start: i64) -> Checked {
        if stopped.compacted {
            return Ok(());
        }
        let Some(missed) = self.first_wanted(stopped.next, start) else { return Ok(()) };
        let what = format!(
            "resumed at {start} after everything before {} had come: {} is lost",
            stopped.next,
            display::change(missed)
        );
        Err(self.broken(Rule::WatchResumable, &what))
    }

    fn check_owed(&self, owed: i64) -> Checked {
        let Some(missed) = self.first_wanted(self.next, owed.saturating_add(1)) else {
            return Ok(());
        };
        let what = format!("was never told {}", display::change(missed));
        Err(self.broken(Rule::WatchReliable, &what))
    }

    fn take(&mut self, at_ns: u64, response: &WatchResponse) -> Checked {
        if self.ended {
            return Err(self.broken(Rule::WatchProtocol, "was told something after its end"));
        }
        if response.created == self.created {
            let what = if self.created {
                "was created twice"
            } else {
                "was told something before it was created"
            };
            return Err(self.broken(Rule::WatchProtocol, what));
        }
        self.created = true;
        if response.header.is_none() {
            return Err(self.broken(Rule::Malformed, "was told something without a header"));
        }
        let told = revision(response);
        if self.timeline.begun_ns(told) > at_ns {
            let what = format!("was told of revision {told} at {at_ns}, before it can have been");
            return Err(self.broken(Rule::WatchFuture, &what));
        }
        if response.canceled {
            self.ended = true;
            return self.check_end(at_ns, response);
        }
        if response.events.is_empty() {
            return if response.created { Ok(()) } else { self.progress(told) };
        }
        self.events(at_ns, response)
    }

    fn check_end(&mut self, at_ns: u64, response: &WatchResponse) -> Checked {
        let compacted = response.compact_revision;
        if compacted == 0 {
            let asked = self.leg.cancel_ns.is_some_and(|asked| asked <= at_ns);
            let what = "was ended, and neither its client nor a compaction had asked for that";
            return asked.then_some(()).ok_or_else(|| self.broken(Rule::WatchProtocol, what));
        }
        self.overtaken = true;
        if self.next >= compacted {
            let what = format!(
                "was ended by compaction {compacted}, but is owed only {} and on",
                self.next
            );
            return Err(self.broken(Rule::WatchCompacted, &what));
        }
        if !self.compactions.may_be(compacted, at_ns) {
            let what = format!("was ended by compaction {compacted}, which nobody had asked for");
            return Err(self.broken(Rule::WatchCompacted, &what));
        }
        Ok(())
    }

    fn progress(&mut self, told: i64) -> Checked {
        if told < self.start - 1 {
            let what = format!("starts at {} and was told of progress at {told}", self.start);
            return Err(self.broken(Rule::WatchStart, &what));
        }
        let fragment = self.fragments.first().filter(|event| mod_revision(event) <= told);
        let missed = self.first_wanted(self.next, told + 1);
        if missed.is_some() || fragment.is_some() {
            let missed = missed.map_or_else(|| "the rest of a revision".into(), display::change);
            let what = format!("was told of progress at {told}, but not of {missed}");
            return Err(self.broken(Rule::WatchBookmarkable, &what));
        }
        self.bookmark = self.bookmark.max(told);
        self.next = self.next.max(told + 1);
        Ok(())
    }

    fn events(&mut self, at_ns: u64, response: &WatchResponse) -> Checked {
        if response.fragment && !self.leg.request.fragment {
            return Err(self.broken(Rule::WatchAtomic, "got a fragment and had not asked for it"));
        }
        let highest = response.events.iter().map(mod_revision).max().unwrap_or(0);
        if highest > revision(response) {
            let what = format!("got an event of {highest} in a response of {}", revision(response));
            return Err(self.broken(Rule::WatchProtocol, &what));
        }
        if response.fragment || !self.fragments.is_empty() {
            self.fragments.extend(response.events.iter().cloned());
            if response.fragment {
                return Ok(());
            }
            let joined = std::mem::take(&mut self.fragments);
            return self.batch(at_ns, &joined);
        }
        self.batch(at_ns, &response.events)
    }

    /// The stream ended between fragments: the last revision may be incomplete.
    fn leave(&mut self) -> Checked {
        let mut events = std::mem::take(&mut self.fragments);
        let last = events.last().map_or(0, mod_revision);
        events.retain(|event| mod_revision(event) < last);
        self.batch(u64::MAX, &events)
    }

    fn batch(&mut self, at_ns: u64, events: &[Event]) -> Checked {
        let mut before = None;
        for event in events {
            self.check_alone(event, before)?;
            before = Some(mod_revision(event));
        }
        for group in events.chunk_by(|a, b| mod_revision(a) == mod_revision(b)) {
            self.check_revision(at_ns, group)?;
        }
        Ok(())
    }

    /// What is wrong with an event whatever the others are. `before` is the revision of the one
    /// before it in the same batch.
    fn check_alone(&self, event: &Event, before: Option<i64>) -> Checked {
        let at = mod_revision(event);
        let shown = display::event(event);
        let Some(kv) = &event.kv else {
            return Err(self.broken(Rule::WatchContent, "got an event without a key"));
        };
        let put = event.r#type() == EventType::Put;
        if !self.interest.covers(&kv.key, put) {
            let what = format!("got {shown}, which it does not want");
            return Err(self.broken(Rule::WatchFilter, &what));
        }
        if at < self.start {
            let what = format!("starts at {} and got {shown}", self.start);
            return Err(self.broken(Rule::WatchStart, &what));
        }
        if at <= self.bookmark {
            let what = format!("got {shown} after progress at {}", self.bookmark);
            return Err(self.broken(Rule::WatchBookmarkable, &what));
        }
        if before.is_some_and(|before| at < before) {
            let what = format!("got {shown} after an event of {}", before.unwrap_or(0));
            return Err(self.broken(Rule::WatchOrdered, &what));
        }
        if at < self.next {
            let first = self.wanted_at(at).iter().find(|it| it.key == kv.key);
            let (rule, what) = match first {
                Some(_) => (Rule::WatchUnique, format!("got {shown} twice")),
                None => (
                    Rule::WatchOrdered,
                    format!("got {shown} after everything before {}", self.next),
                ),
            };
            return Err(self.broken(rule, &what));
        }
        Ok(())
    }

    /// All events of one revision.
    fn check_revision(&mut self, at_ns: u64, group: &[Event]) -> Checked {
        let at = group.first().map_or(0, mod_revision);
        if self.timeline.at(at).is_empty() || self.timeline.begun_ns(at) > at_ns {
            let shown = display::event(&group[0]);
            let what = format!("got {shown} at {at_ns}, before it can have happened");
            return Err(self.broken(Rule::WatchFuture, &what));
        }
        if let Some(missed) = self.first_wanted(self.next, at) {
            let what = format!("got revision {at}, but never {}", display::change(missed));
            let first = self.resumed && self.delivered.is_none();
            let rule = if first { Rule::WatchResumable } else { Rule::WatchReliable };
            return Err(self.broken(rule, &what));
        }
        let wanted = self.wanted_at(at);
        self.check_same(wanted, group)?;
        for (change, event) in wanted.iter().zip(group) {
            self.check_prev(at_ns, change, event)?;
        }
        self.delivered = Some(at);
        self.next = at + 1;
        Ok(())
    }

    /// The events are the changes, all of them and in their order.
    fn check_same(&self, wanted: &[&Change], group: &[Event]) -> Checked {
        let same = wanted.len() == group.len();
        if same && wanted.iter().zip(group).all(|(change, event)| tells(event, change)) {
            return Ok(());
        }
        let key = |event: &Event| event.kv.as_ref().map(|kv| kv.key.clone());
        for (index, event) in group.iter().enumerate() {
            let shown = display::event(event);
            if group[..index].iter().any(|other| key(other) == key(event)) {
                return Err(self.broken(Rule::WatchUnique, &format!("got {shown} twice")));
            }
            let made = wanted.iter().find(|change| Some(&change.key) == key(event).as_ref());
            let Some(made) = made else {
                let what = format!("got {shown}, which did not happen");
                return Err(self.broken(Rule::WatchContent, &what));
            };
            if !tells(event, made) {
                let rule = if is_create(event) == created(made) {
                    Rule::WatchContent
                } else {
                    Rule::WatchIsCreate
                };
                let what = format!("got {shown}, but right is {}", display::change(made));
                return Err(self.broken(rule, &what));
            }
        }
        let got = display::list(group, display::event);
        let right = display::list(wanted, |change| display::change(change));
        let (rule, what) = if same {
            (Rule::WatchOrdered, format!("got {got} in this order, but right is {right}"))
        } else {
            (Rule::WatchAtomic, format!("got {got} alone, but the revision is {right}"))
        };
        Err(self.broken(rule, &what))
    }

    fn check_prev(&self, at_ns: u64, change: &Change, event: &Event) -> Checked {
        let right = change.prev.as_ref().filter(|_| self.leg.request.prev_kv);
        let gone = event.prev_kv.is_none() && self.compactions.may_hide(change.revision - 1, at_ns);
        if event.prev_kv.as_ref() == right || gone {
            return Ok(());
        }
        let show = |kv: Option<_>| kv.map_or_else(|| "nothing".into(), display::kv);
        let what = format!(
            "got {} with {} before it, but right is {}",
            display::event(event),
            show(event.prev_kv.as_ref()),
            show(right)
        );
        Err(self.broken(Rule::WatchPrevKv, &what))
    }
}

fn is_create(event: &Event) -> bool {
    event.kv.as_ref().is_some_and(|kv| kv.create_revision == kv.mod_revision)
}

fn created(change: &Change) -> bool {
    change.kv.as_ref().is_some_and(|kv| kv.create_revision == kv.mod_revision)
}
