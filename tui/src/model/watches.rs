//! Live watches and the events they saw.

use std::collections::VecDeque;

use bytes::Bytes;
use jiff::civil::DateTime;

use crate::msg::{WatchEvent, WatchSignal};

/// Streams open at once; more than one can follow, and each costs the cluster something.
pub const WATCHES_MAX: usize = 16;
/// Lines kept of each watch, at most about 1 KiB each.
const LINES_MAX: usize = 2000;

#[derive(Debug, Default)]
pub struct Watches {
    pub list: Vec<Watch>,
    pub selected: usize,
    last_id: u32,
}

#[derive(Debug)]
pub struct Watch {
    pub id: u32,
    pub key: Bytes,
    /// Everything that starts with `key`, as opposed to exactly it.
    pub prefix: bool,
    pub state: WatchState,
    lines: VecDeque<Line>,
    /// Number of the first line in `lines`; lines are numbered from the start of the watch.
    first: u64,
    /// The last line shown, while the list is held still.
    held: Option<u64>,
    /// Events were missed since the watch was interrupted.
    gapped: bool,
    pub events: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchState {
    Opening,
    Live,
    Interrupted { since: DateTime },
    Ended { reason: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub at: DateTime,
    pub what: LineKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineKind {
    Event(WatchEvent),
    /// Something about the watch itself.
    Notice(String),
}

impl Watches {
    /// Adds a watch and selects it; `None` when there are too many.
    pub fn add(&mut self, key: Bytes, prefix: bool) -> Option<u32> {
        if self.list.len() == WATCHES_MAX {
            return None;
        }
        self.last_id += 1;
        self.selected = self.list.len();
        self.list.push(Watch {
            id: self.last_id,
            key,
            prefix,
            state: WatchState::Opening,
            lines: VecDeque::new(),
            first: 0,
            held: None,
            gapped: false,
            events: 0,
        });
        Some(self.last_id)
    }

    pub fn find(&self, key: &[u8], prefix: bool) -> Option<usize> {
        self.list
            .iter()
            .position(|watch| watch.key == key && watch.prefix == prefix && !watch.is_over())
    }

    pub fn current(&self) -> Option<&Watch> {
        self.list.get(self.selected)
    }

    pub fn current_mut(&mut self) -> Option<&mut Watch> {
        self.list.get_mut(self.selected)
    }

    pub fn remove_current(&mut self) -> Option<u32> {
        let id = self.current()?.id;
        self.list.remove(self.selected);
        self.selected = self.selected.min(self.list.len().saturating_sub(1));
        Some(id)
    }

    pub fn select_by(&mut self, by: isize) {
        self.selected =
            self.selected.saturating_add_signed(by).min(self.list.len().saturating_sub(1));
    }

    pub fn take(&mut self, id: u32, signal: WatchSignal, at: DateTime) {
        if let Some(watch) = self.list.iter_mut().find(|watch| watch.id == id) {
            watch.take(signal, at);
        }
    }
}

impl Watch {
    pub fn is_over(&self) -> bool {
        matches!(self.state, WatchState::Ended { .. })
    }

    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Lines that came since the list was held still.
    pub fn behind(&self) -> u64 {
        self.held.map_or(0, |held| self.end() - held)
    }

    /// Lines that were given up to keep memory bounded.
    pub fn given_up(&self) -> u64 {
        self.first
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The lines to show in `height` rows, oldest first.
    pub fn view(&self, height: usize) -> impl Iterator<Item = &Line> {
        let shown = usize::try_from(self.shown_to() - self.first).unwrap_or(0);
        self.lines.range(shown.saturating_sub(height)..shown)
    }

    pub fn toggle_hold(&mut self) {
        self.held = if self.held.is_some() { None } else { Some(self.end()) };
    }

    /// Moves through the lines; arriving at the newest one follows again.
    pub fn scroll_by(&mut self, lines: i64, height: usize) {
        let oldest = (self.first + height as u64).min(self.end());
        let to = self.shown_to().saturating_add_signed(lines).clamp(oldest, self.end());
        self.held = (to < self.end()).then_some(to);
    }

    fn end(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    fn shown_to(&self) -> u64 {
        self.held.unwrap_or(self.end()).clamp(self.first, self.end())
    }

    fn take(&mut self, signal: WatchSignal, at: DateTime) {
        match signal {
            WatchSignal::Opened { revision } => {
                self.state = WatchState::Live;
                self.push(at, LineKind::Notice(format!("watching from revision {}", revision + 1)));
            }
            WatchSignal::Resumed => {
                self.state = WatchState::Live;
                let told = if self.gapped {
                    "connected again"
                } else {
                    "connected again; no event was missed"
                };
                self.gapped = false;
                self.push(at, LineKind::Notice(told.into()));
            }
            WatchSignal::Events(events) => {
                self.state = WatchState::Live;
                self.events += events.len() as u64;
                for event in events {
                    self.push(at, LineKind::Event(event));
                }
            }
            WatchSignal::Interrupted { reason } => {
                if !matches!(self.state, WatchState::Interrupted { .. }) {
                    self.state = WatchState::Interrupted { since: at };
                    self.push(at, LineKind::Notice(format!("interrupted: {reason}")));
                }
            }
            WatchSignal::Gap { from, compacted } => {
                self.gapped = true;
                let text = format!(
                    "gap: revisions {from} to {} were compacted before they were read",
                    compacted - 1
                );
                self.push(at, LineKind::Notice(text));
            }
            WatchSignal::Ended { reason } => {
                self.push(at, LineKind::Notice(format!("ended: {reason}")));
                self.state = WatchState::Ended { reason };
            }
        }
    }

    fn push(&mut self, at: DateTime, what: LineKind) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
            self.first += 1;
        }
        self.lines.push_back(Line { at, what });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::civil::date;

    use super::{LINES_MAX, LineKind, WATCHES_MAX, WatchState, Watches};
    use crate::msg::{Change, WatchEvent, WatchSignal};

    fn event(revision: i64) -> WatchSignal {
        WatchSignal::Events(vec![WatchEvent {
            revision,
            change: Change::Delete,
            key: Bytes::from_static(b"k"),
        }])
    }

    fn watching(revisions: std::ops::RangeInclusive<i64>) -> Watches {
        let mut watches = Watches::default();
        let id = watches.add(Bytes::from_static(b"k"), false).expect("there is room");
        for revision in revisions {
            watches.take(id, event(revision), date(2026, 3, 1).at(3, 2, 0, 0));
        }
        watches
    }

    fn revisions(watches: &Watches, height: usize) -> Vec<i64> {
        let lines = watches.current().expect("a watch").view(height);
        lines
            .filter_map(|line| match &line.what {
                LineKind::Event(event) => Some(event.revision),
                LineKind::Notice(_) => None,
            })
            .collect()
    }

    #[test]
    fn the_newest_events_are_shown_until_the_list_is_held_still() {
        let mut watches = watching(1..=5);
        assert_eq!(revisions(&watches, 3), [3, 4, 5]);
        watches.current_mut().expect("a watch").toggle_hold();
        watches.take(1, event(6), date(2026, 3, 1).at(3, 3, 0, 0));
        assert_eq!(revisions(&watches, 3), [3, 4, 5]);
        assert_eq!(watches.current().expect("a watch").behind(), 1);
        watches.current_mut().expect("a watch").toggle_hold();
        assert_eq!(revisions(&watches, 3), [4, 5, 6]);
    }

    #[test]
    fn scrolling_holds_and_arriving_at_the_end_follows() {
        let mut watches = watching(1..=9);
        let watch = watches.current_mut().expect("a watch");
        watch.scroll_by(-2, 3);
        assert!(watch.is_held());
        assert_eq!(revisions(&watches, 3), [5, 6, 7]);
        watches.current_mut().expect("a watch").scroll_by(-100, 3);
        assert_eq!(revisions(&watches, 3), [1, 2, 3]);
        watches.current_mut().expect("a watch").scroll_by(100, 3);
        assert!(!watches.current().expect("a watch").is_held());
    }

    #[test]
    fn memory_is_bounded_even_while_held_still() {
        let mut watches = watching(1..=3);
        watches.current_mut().expect("a watch").toggle_hold();
        for revision in 4..=LINES_MAX as i64 + 10 {
            watches.take(1, event(revision), date(2026, 3, 1).at(3, 2, 0, 0));
        }
        let watch = watches.current().expect("a watch");
        assert_eq!((watch.lines.len(), watch.given_up()), (LINES_MAX, 10));
        assert!(revisions(&watches, 5).is_empty(), "what was held is gone");
        let added = (0..WATCHES_MAX + 3).filter_map(|_| watches.add(Bytes::new(), true)).count();
        assert_eq!(added, WATCHES_MAX - 1);
    }

    #[test]
    fn interruptions_and_gaps_are_lines_of_their_own() {
        let mut watches = watching(1..=1);
        let at = date(2026, 3, 1).at(3, 2, 0, 0);
        watches.take(1, WatchSignal::Interrupted { reason: "lost".into() }, at);
        watches.take(1, WatchSignal::Interrupted { reason: "lost again".into() }, at);
        assert_eq!(
            watches.current().expect("a watch").state,
            WatchState::Interrupted { since: at }
        );
        watches.take(1, WatchSignal::Gap { from: 2, compacted: 7 }, at);
        watches.take(1, WatchSignal::Resumed, at);
        let notices: Vec<String> = watches
            .current()
            .expect("a watch")
            .view(10)
            .filter_map(|line| match &line.what {
                LineKind::Notice(text) => Some(text.clone()),
                LineKind::Event(_) => None,
            })
            .collect();
        assert_eq!(
            notices,
            [
                "interrupted: lost",
                "gap: revisions 2 to 6 were compacted before they were read",
                "connected again"
            ]
        );
    }
}
