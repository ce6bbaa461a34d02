//! Locks and elections.

use serde_json::{Value, json};

use super::keys::int;
use super::{Area, Generator, Part};
use crate::differential::contract::base64;
use crate::differential::step::{Queueing, Step, Who};

/// Leases that only locks and elections have.
const LEASES: [i64; 2] = [1001, 1002];
/// The first of those that one queue alone has.
pub(super) const QUEUE_LEASES: i64 = 100_000;

impl Generator {
    pub(super) fn queues(&mut self) {
        let service = *self.random.pick(&[Queueing::Lock, Queueing::Election]);
        match self.random.below(10) {
            0..4 if self.part == Part::Open || !self.plan.observers => {
                let name = format!("q/{}", self.random.below(3));
                self.queue_up(service, name);
            }
            // etcd ends the stream of who may not observe as if all were well; ours says why.
            4 if self.plan.observers
                && (self.part == Part::Open || self.who == Who::User("root".into())) =>
            {
                if self.part == Part::Guarded {
                    // An old token is not enough to observe either.
                    self.authenticate_root();
                }
                let by_gateway = self.plan.has(Area::Web) && self.random.chance(50);
                self.lead(by_gateway);
            }
            0..5 => self.ask_of_queues("Election/Leader", json!({"name": base64("q/0")})),
            5 => self.ask_of_queues("Lock/Unlock", json!({"key": base64("q/none")})),
            6 => self.ask_of_queues("Election/Leader", json!({"name": base64("q/nobody")})),
            7 => {
                let leader = json!({"name": base64("q/0"), "key": base64("q/0/3e9"), "rev": "3",
                    "lease": int(LEASES[0])});
                let method = *self.random.pick(&["Election/Proclaim", "Election/Resign"]);
                self.ask_of_queues(method, json!({"leader": leader}));
            }
            8 => {
                let method = *self.random.pick(&["Election/Proclaim", "Election/Resign"]);
                self.ask_of_queues(method, json!({}));
            }
            _ => {
                let [method, _] = service.calls();
                let request = json!({"name": base64("q/unknown lease"), "lease": "424242"});
                self.ask_of_queues(method, request);
            }
        }
    }

    fn ask_of_queues(&mut self, method: &'static str, request: Value) {
        self.ask_either(method, request);
    }

    pub(super) fn session_leases(&mut self) {
        for lease in LEASES {
            if !self.known.leases.contains(&lease) {
                self.ask("Lease/LeaseGrant", json!({"ID": int(lease), "TTL": "3000"}));
            }
        }
    }

    /// Leases without keys, as 3.4 lets everybody put under a lease in a transaction, and 3.6 only
    /// who may write all of its keys.
    fn new_leases(&mut self) -> [i64; 2] {
        let leases = [self.next_lease, self.next_lease + 1];
        self.next_lease += 2;
        for lease in leases {
            self.ask("Lease/LeaseGrant", json!({"ID": int(lease), "TTL": "3000"}));
        }
        leases
    }

    /// A whole term of office, seen from outside.
    pub(super) fn lead(&mut self, by_gateway: bool) {
        self.session_leases();
        let (name, who) = (self.fresh_name("e/"), self.who.clone());
        self.queue.push_back(Step::Term { name, lease: LEASES[0], who, by_gateway });
    }

    /// A lock that is free, by the gateway: its key is known before.
    pub(super) fn lock_by_gateway(&mut self) {
        self.session_leases();
        let name = self.fresh_name("l/");
        let key = format!("{name}/{:x}", LEASES[0]);
        let lock = json!({"name": base64(name), "lease": int(LEASES[0])});
        self.gateway("Lock/Lock", lock);
        self.gateway("Lock/Unlock", json!({"key": base64(key)}));
    }

    pub(super) fn queue_up(&mut self, service: Queueing, name: String) {
        let who = self.who.clone();
        let leases = if self.part == Part::Guarded && who != Who::User("root".into()) {
            self.new_leases()
        } else {
            self.session_leases();
            LEASES
        };
        self.queue.push_back(Step::Queue { service, name, leases, who });
    }

    pub(super) fn sessionless(&mut self) {
        for service in [Queueing::Lock, Queueing::Election] {
            let name = self.fresh_name("s/");
            let who = self.who.clone();
            self.queue.push_back(Step::Sessionless { service, name, who });
        }
    }
}
