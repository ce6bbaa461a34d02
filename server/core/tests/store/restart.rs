//! A crash may come between any two changes that reach the disk, those of a sweep included; what is
//! left, and the log from there on, make the same store again.

use kvorum_core::store::{Change, Position};
use kvorum_proto::etcdserverpb::InternalRaftRequest;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::dump::dump;
use crate::load::{Local, Write, local, write};
use crate::machine::{Machine, Records, perform};

/// What reaches the disk as one, in order.
type Commit = (Vec<Change>, Position);

struct Run {
    machine: Machine,
    entries: Vec<InternalRaftRequest>,
    commits: Vec<Commit>,
    /// Position and revision after each entry, that of no entry first.
    states: Vec<(Position, i64)>,
}

impl Run {
    fn of(steps: Vec<(Write, Vec<Local>)>) -> Self {
        let machine = Machine::new();
        let start = (machine.store.position(), machine.store.root().revision());
        let mut run = Run { machine, entries: vec![], commits: vec![], states: vec![start] };
        for (write, locals) in steps {
            let entry = write.entry(&run.machine.store.root());
            run.entries.push(entry.clone());
            let changes = run.machine.apply(entry).changes;
            let position = run.machine.store.position();
            run.states.push((position.clone(), run.machine.store.root().revision()));
            run.commits.push((changes, position));
            for local in locals {
                run.perform(&local);
            }
        }
        run
    }

    /// Every change of a sweep may be the last that reached the disk.
    fn perform(&mut self, local: &Local) {
        match local {
            Local::Sweep(budget) | Local::CrashInSweep(budget, _) => {
                let changes = self.machine.sweep_changes(*budget);
                let position = self.machine.store.position();
                let one_by_one = changes.into_iter().map(|change| (vec![change], position.clone()));
                self.commits.extend(one_by_one);
            }
            _ => local.perform(&mut self.machine, &mut Vec::new()),
        }
    }

    fn crash_after(&self, commits: usize) -> Machine {
        let fresh = Machine::new();
        let mut records: Records = fresh.records.clone();
        let mut position = fresh.store.position();
        for (changes, at) in &self.commits[..commits] {
            perform(&mut records, changes);
            position = at.clone();
        }
        Machine::installed(position, records)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_crash_at_any_change_loses_nothing_and_takes_no_revision_back(
        steps in vec((write(), vec(local(), 0..4)), 0..40),
    ) {
        let run = Run::of(steps);
        let text = dump(&run.machine, &run.machine.store.root());
        for commits in 0..=run.commits.len() {
            let mut machine = run.crash_after(commits);
            let applied = machine.store.position().index as usize;
            let (position, revision) = &run.states[applied];
            prop_assert_eq!(&machine.store.position(), position);
            prop_assert_eq!(machine.store.root().revision(), *revision);
            for (i, entry) in run.entries.iter().enumerate().skip(applied) {
                machine.apply(entry.clone());
                prop_assert_eq!(&machine.store.position(), &run.states[i + 1].0);
                if i % 5 == commits % 5 {
                    machine.sweep(2);
                }
            }
            prop_assert_eq!(dump(&machine, &machine.store.root()), text.clone());
        }
    }
}
