//! What members tell each other of their states, as the runtime does: nobody is ever taken for
//! diverged, through whatever crashes, damage and snapshots.

use kvorum_core::divergence::{Mark, Verdict};

use super::member::Place;
use super::network::Payload;
use super::time::SECOND;
use super::world::{Event, World};

impl World {
    /// A member's round: it notes where it is, and tells the others.
    pub(super) fn tell_marks(&mut self, place: Place) {
        let Some(life) = self.life(place) else { return };
        let mark = Mark { index: life.root.index(), hash: life.root.state_hash() };
        self.note_marks(place, [mark]);
        let Some(life) = self.life(place) else { return };
        let marks = life.divergence.tell();
        for to in (0..self.members.len()).filter(|to| *to != place.member && !marks.is_empty()) {
            self.send(place.member, to, Payload::Marks(marks.clone()));
        }
        self.agenda.after(SECOND, Event::Marks(place));
    }

    pub(super) fn note_marks(&mut self, place: Place, marks: impl IntoIterator<Item = Mark>) {
        let Some(life) = self.life(place) else { return };
        let before = life.divergence.compared();
        let found: Vec<_> = marks.into_iter().flat_map(|mark| life.divergence.note(mark)).collect();
        self.compared(place, before, &found);
    }

    pub(super) fn marks_told(&mut self, to: usize, peer: u64, marks: Vec<Mark>) {
        let Some(place) = self.place(to) else { return };
        let Some(life) = self.life(place) else { return };
        let before = life.divergence.compared();
        let found: Vec<_> =
            marks.into_iter().flat_map(|mark| life.divergence.report(peer, mark)).collect();
        self.compared(place, before, &found);
    }

    fn compared(&mut self, place: Place, before: u64, found: &[Verdict]) {
        let member = place.member;
        assert!(found.is_empty(), "m{member} finds that states differ: {found:?}");
        let Some(life) = self.life(place) else { return };
        let more = life.divergence.compared() - before;
        self.figures.count("states compared", more);
    }
}
