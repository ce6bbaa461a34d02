//! Leases with ids that the client chooses. They live longer than the seed runs.

use serde_json::{Value, json};

use super::keys::int;
use super::{Area, Generator};
use crate::differential::step::{Call, Step};

impl Generator {
    pub(super) fn lease(&mut self) {
        match self.random.below(100) {
            0..30 => {
                let id = 1 + self.random.below(12) as i64;
                let ttl = 600 + self.random.below(5000) as i64;
                self.ask_either("Lease/LeaseGrant", json!({"ID": int(id), "TTL": int(ttl)}));
            }
            30..45 => {
                let id = self.lease_id();
                self.ask_either("Lease/LeaseRevoke", json!({"ID": int(id)}));
            }
            45..65 => {
                let count = 1 + self.random.below(3);
                let ids: Vec<i64> = (0..count).map(|_| self.lease_id()).collect();
                let messages: Vec<Value> =
                    ids.into_iter().map(|id| json!({"ID": int(id)})).collect();
                self.keep_alive(messages);
            }
            65..85 => {
                let mut request = json!({"ID": int(self.lease_id())});
                if self.random.chance(60) {
                    request["keys"] = true.into();
                }
                self.ask_either("Lease/LeaseTimeToLive", request);
            }
            85..93 => self.ask_either("Lease/LeaseLeases", json!({})),
            _ => self.short_lease(),
        }
    }

    pub(super) fn keep_alive(&mut self, messages: Vec<Value>) {
        let method = "Lease/LeaseKeepAlive";
        let call = Call::new(method, json!({})).by(&self.made_cautious(method, &mut json!({})));
        let most = usize::MAX;
        let by_gateway = self.plan.has(Area::Web) && self.random.chance(30);
        self.queue.push_back(if by_gateway {
            Step::GatewayLines { call, messages, count: most }
        } else {
            Step::Stream { call, messages, at_most: most }
        });
    }

    /// TTLs that are raised to the least there is; gone before that has passed.
    fn short_lease(&mut self) {
        let id = 100 + self.random.below(5) as i64;
        let ttl = *self.random.pick(&[0, -5, 1, i64::MIN]);
        self.ask("Lease/LeaseGrant", json!({"ID": int(id), "TTL": int(ttl)}));
        self.ask("Lease/LeaseRevoke", json!({"ID": int(id)}));
    }

    pub(super) fn lease_of_the_servers_choice(&mut self) {
        let who = self.who.clone();
        for ttl in [600, 0] {
            self.queue.push_back(Step::GrantAny { ttl, who: who.clone() });
        }
    }
}
