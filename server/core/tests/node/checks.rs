//! A cluster heals, and what must hold of it.

use std::collections::BTreeSet;

use kvorum_core::node::{Input, Refusal};

use crate::cluster::Cluster;
use crate::disk::write_id;

impl Cluster {
    /// Lets time pass for all until the cluster has had a leader for a while and all requests
    /// have ended.
    pub(crate) fn heal(&mut self) {
        for id in self.ids() {
            if !self.is_up(id) {
                self.restart(id);
            }
        }
        for _ in 0..200 {
            for id in self.ids() {
                self.input(id, Input::Tick);
            }
            self.stabilize();
        }
    }

    /// What must hold whenever all members agree again.
    pub(crate) fn check_healed(&self) {
        let longest = self.members.values().max_by_key(|member| member.state.index());
        let applied = &longest.expect("a cluster has members").state.applied;
        for (id, member) in &self.members {
            assert_eq!(
                &member.state.applied, applied,
                "member {id} has applied what the others have"
            );
            let incomplete = member.node.as_ref().is_some_and(|node| node.status().incomplete);
            assert!(!incomplete && member.disk.incomplete.is_none(), "member {id} is incomplete");
            assert!(member.open_writes.is_empty(), "member {id} owes {:?}", member.open_writes);
            assert!(member.open_reads.is_empty(), "member {id} owes {:?}", member.open_reads);
        }
        self.check_prefixes();
        let mut seen = BTreeSet::new();
        for entry in applied {
            if let Some(write) = write_id(entry) {
                assert!(seen.insert(write), "write {write} happened twice");
            }
        }
        for (write, index) in &self.acked {
            let kept = applied.get(*index as usize - 1).and_then(write_id);
            assert_eq!(kept, Some(*write), "the acknowledged write {write} is at {index}");
        }
        for (request, refusal) in &self.refused {
            if matches!(refusal, Refusal::NoLeader | Refusal::TooManyRequests) {
                assert!(!seen.contains(request), "{request} was refused as never proposed");
            }
        }
    }

    /// What must hold always: no two members have applied different entries at an index.
    pub(crate) fn check_prefixes(&self) {
        let members: Vec<_> = self.members.values().collect();
        for pair in members.windows(2) {
            let (one, other) = (&pair[0].state.applied, &pair[1].state.applied);
            let common = one.len().min(other.len());
            assert_eq!(one[..common], other[..common]);
        }
    }
}
