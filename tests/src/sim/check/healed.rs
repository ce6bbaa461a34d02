//! After healing: what must come to pass within a bounded time, step by step.

use kvorum_proto::etcdserverpb::{InternalRaftRequest, PutRequest, RangeRequest};

use super::Answered;
use crate::sim::edge::{Origin, Outcome, Request};
use crate::sim::plan::FEWEST_CLASSES;
use crate::sim::time::{MS, SECOND, Time};
use crate::sim::world::{Event, Phase, World};

/// Operations that a seed must have acknowledged.
pub(in crate::sim) const FEWEST_ACKNOWLEDGED: u64 = 200;

/// How long the cluster is under load after it was healed, at least.
const LOAD: Time = 2 * SECOND;

/// How long each step may take: some elections, deadlines of requests and leases.
const PATIENCE: Time = 30 * SECOND;

const LOOK: Time = 50 * MS;

impl World {
    /// Looks whether the next step can be taken; a step that takes too long is a failure.
    pub(in crate::sim) fn look(&mut self) {
        let now = self.agenda.now();
        let phase = self.phase.clone();
        let (since, waits_for) = match &phase {
            Phase::Trouble => {
                if now >= self.plan.trouble && self.figures.classes() >= FEWEST_CLASSES {
                    self.heal();
                    self.enter(Phase::Load { since: now });
                }
                (now, None)
            }
            Phase::Load { since } => {
                let few = self.figures.acknowledged < FEWEST_ACKNOWLEDGED;
                let waits_for =
                    (now < since + LOAD || few).then(|| "enough acknowledged".to_owned());
                if waits_for.is_none() {
                    self.enter(Phase::Proof { since: now });
                    (0..self.members.len()).for_each(|member| self.prove(member));
                }
                (*since, waits_for)
            }
            Phase::Proof { since } => {
                let missing = self.unproved.iter().position(|unproved| *unproved);
                let waits_for = missing.map(|member| format!("a write through m{member}"));
                if waits_for.is_none() {
                    self.enter(Phase::Rest { since: now });
                }
                (*since, waits_for)
            }
            Phase::Rest { since } => {
                let waits_for = self.restless();
                if waits_for.is_none() {
                    self.check_all();
                    self.rested();
                }
                (*since, waits_for)
            }
            Phase::Over => return,
        };
        if let Some(waits_for) = waits_for
            && now > since + PATIENCE
        {
            panic!("{} s after healing it still waits for {waits_for}", (now - since) / SECOND);
        }
        self.agenda.after(LOOK, Event::Look);
    }

    /// All is at rest and as it should be; some worlds lose power once more.
    fn rested(&mut self) {
        if !std::mem::take(&mut self.plan.power_cycle) {
            return self.enter(Phase::Over);
        }
        self.figures.note("power cycles");
        for member in 0..self.members.len() {
            self.lose_power(member);
            let delay = self.random.between((MS, 500 * MS));
            self.start_after(member, delay);
        }
        self.unproved.fill(true);
        self.enter(Phase::Proof { since: self.agenda.now() });
        (0..self.members.len()).for_each(|member| self.prove(member));
    }

    fn enter(&mut self, phase: Phase) {
        let now = self.agenda.now();
        self.trace.note(now, "phase", &[], || format!("{phase:?}"));
        self.phase = phase;
    }

    /// Nothing goes wrong any more.
    fn heal(&mut self) {
        let now = self.agenda.now();
        self.network.calm();
        let count = self.members.len();
        for from in 0..count {
            for to in 0..count {
                while self.network.is_cut(from, to) {
                    self.uncut(from, to);
                }
            }
        }
        for member in 0..count {
            self.mend_disk(member);
            let is = &mut self.members[member];
            is.paused_until = is.paused_until.min(now);
            is.stalled_until = 0;
            is.clock.run_at(100, now);
            if is.life.is_none() {
                let delay = self.random.between((MS, 500 * MS));
                self.start_after(member, delay);
            }
        }
    }

    /// A write goes through this member, and then a read that must see it.
    fn prove(&mut self, member: usize) {
        let put = PutRequest {
            key: "proof".into(),
            value: format!("m{member}").into(),
            ..PutRequest::default()
        };
        let request = InternalRaftRequest { put: Some(put), ..Default::default() };
        self.request(Origin::Proof, member, Request::Write(request));
    }

    pub(in crate::sim) fn proof_answered(&mut self, member: usize, outcome: &Outcome) {
        match outcome {
            Outcome::Done(Answered::Write(applied)) => {
                assert!(applied.answer.is_ok(), "a put is refused: {:?}", applied.answer);
                let range = RangeRequest { key: "proof".into(), ..RangeRequest::default() };
                self.request(Origin::Proof, member, Request::Range(range));
            }
            Outcome::Done(Answered::Read { answer, .. }) => {
                assert!(answer.is_ok(), "a read is refused: {answer:?}");
                self.unproved[member] = false;
            }
            Outcome::Done(_) => panic!("a proof is answered as something else"),
            Outcome::NotDone(_) | Outcome::Unknown(_) => self.prove(member),
        }
    }

    /// What is still under way.
    fn restless(&mut self) -> Option<String> {
        let last = self.agreement.last();
        if let Some(client) = self.clients.iter().position(|client| !client.is_idle()) {
            return Some(format!("the answer to c{client}"));
        }
        if !self.agreement.model.leases.is_empty() {
            return Some(format!("the end of leases {:?}", self.agreement.model.leases));
        }
        for (number, member) in self.members.iter().enumerate() {
            let Some(life) = &member.life else { return Some(format!("m{number} to start")) };
            if life.applied() != last || life.committed != last {
                let (applied, committed) = (life.applied(), life.committed);
                return Some(format!("m{number} at {applied}, {committed} to come to {last}"));
            }
            if !life.is_quiet() {
                return Some(format!("m{number} to answer {:?}", life.waiters));
            }
            if !life.apply.is_swept() {
                return Some(format!("m{number} to sweep"));
            }
            if !life.watch.is_quiet(self.agreement.model.view.revision) {
                return Some(format!("m{number} to send events"));
            }
        }
        if !self.calls.is_empty() {
            return Some(format!("the calls {:?}", self.calls));
        }
        self.unwatched()
    }

    /// All members hold the same, and what the model holds.
    fn check_all(&mut self) {
        for member in 0..self.members.len() {
            self.check_state(member);
        }
        self.compare_states();
    }

    /// Everything that is replicated and not among the model's keys and leases.
    fn compare_states(&self) {
        let roots: Vec<_> =
            self.members.iter().filter_map(|member| Some(&member.life.as_ref()?.root)).collect();
        for pair in roots.windows(2) {
            let [a, b] = pair else { continue };
            assert_eq!(a.members(), b.members(), "members differ about the members");
            assert_eq!(a.alarms(), b.alarms(), "members differ about alarms");
            assert_eq!(a.cluster_version(), b.cluster_version());
            assert_eq!(a.key_count(), b.key_count());
            let of = |root: &kvorum_core::store::Root| -> Vec<_> {
                let events = root.events(0);
                events
                    .map(|found| (found.at, found.key.clone(), found.version, found.lease))
                    .collect()
            };
            assert!(of(a) == of(b), "members hold different histories");
        }
    }
}
