//! Virtual time: nanoseconds since the world began, and what is to happen when.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Nanoseconds since the world began, or between two moments.
pub type Time = u64;

pub const US: Time = 1_000;
pub const MS: Time = 1_000 * US;
pub const SECOND: Time = 1_000 * MS;

/// What is to happen, by time; what is to happen at one time happens in the order it was noted.
pub(super) struct Agenda<E> {
    now: Time,
    noted: u64,
    slots: BinaryHeap<Slot<E>>,
}

struct Slot<E> {
    at: Time,
    number: u64,
    event: E,
}

impl<E> Agenda<E> {
    pub(super) fn new() -> Agenda<E> {
        Agenda { now: 0, noted: 0, slots: BinaryHeap::new() }
    }

    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// Notes an event for a moment that is not in the past.
    pub(super) fn at(&mut self, at: Time, event: E) {
        let at = at.max(self.now);
        self.noted += 1;
        self.slots.push(Slot { at, number: self.noted, event });
    }

    pub(super) fn after(&mut self, delay: Time, event: E) {
        self.at(self.now + delay, event);
    }

    /// Lets time pass up to the next event.
    pub(super) fn next(&mut self) -> Option<E> {
        let slot = self.slots.pop()?;
        self.now = slot.at;
        Some(slot.event)
    }
}

impl<E> Slot<E> {
    fn place(&self) -> (Time, u64) {
        (self.at, self.number)
    }
}

/// The heap gives the largest first, so earlier is larger.
impl<E> Ord for Slot<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.place().cmp(&self.place())
    }
}

impl<E> PartialOrd for Slot<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Slot<E> {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl<E> Eq for Slot<E> {}

/// A time as people read it: seconds with six decimals.
pub(super) fn seconds(time: Time) -> String {
    format!("{:>3}.{:06}", time / SECOND, time % SECOND / US)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_they_were_noted() {
        let mut agenda = Agenda::new();
        agenda.at(2, 'c');
        agenda.at(1, 'a');
        agenda.at(2, 'd');
        agenda.at(1, 'b');
        let order: Vec<char> = std::iter::from_fn(|| agenda.next()).collect();
        assert_eq!(order, ['a', 'b', 'c', 'd']);
        assert_eq!(agenda.now(), 2);
        agenda.at(0, 'e');
        assert_eq!((agenda.next(), agenda.now()), (Some('e'), 2));
    }
}
