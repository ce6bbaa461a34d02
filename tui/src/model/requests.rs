//! Which requests are on their way. An answer is welcome only while its ticket is the newest of its
//! slot.

use std::collections::HashMap;

use crate::cmd::{Cmd, Request, Slot, Ticket};

#[derive(Debug, Default)]
pub struct Requests {
    last: u64,
    waiting: HashMap<Slot, u64>,
}

impl Requests {
    /// Asks, instead of whatever the slot was waiting for.
    pub fn ask(&mut self, slot: Slot, request: Request) -> Cmd {
        self.last += 1;
        self.waiting.insert(slot.clone(), self.last);
        Cmd::Ask { ticket: Ticket { slot, generation: self.last }, request }
    }

    /// Gives up waiting.
    pub fn cancel(&mut self, slot: &Slot) -> Option<Cmd> {
        self.waiting.remove(slot).map(|_| Cmd::Cancel(slot.clone()))
    }

    pub fn is_waiting(&self, slot: &Slot) -> bool {
        self.waiting.contains_key(slot)
    }

    /// The try that a slot waits for.
    pub fn generation(&self, slot: &Slot) -> Option<u64> {
        self.waiting.get(slot).copied()
    }

    /// Whether an answer with this ticket is still wanted.
    pub fn is_current(&self, ticket: &Ticket) -> bool {
        self.waiting.get(&ticket.slot) == Some(&ticket.generation)
    }

    /// No more answers are to come for this ticket.
    pub fn finish(&mut self, ticket: &Ticket) {
        if self.is_current(ticket) {
            self.waiting.remove(&ticket.slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Requests;
    use crate::cmd::{Cmd, Request, Slot, Ticket};

    fn ticket(cmd: Cmd) -> Ticket {
        match cmd {
            Cmd::Ask { ticket, .. } => ticket,
            other => panic!("not a request: {other:?}"),
        }
    }

    #[test]
    fn only_the_newest_request_of_a_slot_is_answered() {
        let mut requests = Requests::default();
        let first = ticket(requests.ask(Slot::Membership, Request::Membership));
        let other = ticket(requests.ask(Slot::Lease, Request::Lease { id: 1 }));
        let second = ticket(requests.ask(Slot::Membership, Request::Membership));
        assert!(!requests.is_current(&first));
        assert!(requests.is_current(&second) && requests.is_current(&other));

        requests.finish(&first);
        assert!(requests.is_waiting(&Slot::Membership), "a stale ticket finishes nothing");
        assert_eq!(requests.cancel(&Slot::Membership), Some(Cmd::Cancel(Slot::Membership)));
        assert!(!requests.is_current(&second), "a cancelled request is not answered");
        assert_eq!(requests.cancel(&Slot::Membership), None);
    }
}
