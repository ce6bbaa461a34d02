//! Which requests a seed makes.
//!
//! A seed has three parts. In the first everything is asked without authentication; in the second
//! it is on, and users with different rights ask; in the last, what leaves traces of ids that
//! servers choose. Requests are drawn at random, and in between come those of the deck
//! ([`provoke`]): each refusal that one client can provoke, so that every seed has each of them.

mod auth;
mod keys;
mod kv;
mod lease;
mod maintenance;
mod provoke;
mod queues;
mod txn;
mod watch;
mod web;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use super::answer::is_ok;
use super::contract::number;
use super::step::{Call, Step, Who};
use crate::sim::random::Random;

/// A part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    Kv,
    Txn,
    Watch,
    Lease,
    Maintenance,
    Auth,
    Queues,
    Web,
}

impl Area {
    pub const ALL: [Area; 8] = [
        Area::Kv,
        Area::Txn,
        Area::Watch,
        Area::Lease,
        Area::Maintenance,
        Area::Auth,
        Area::Queues,
        Area::Web,
    ];

    pub fn named(name: &str) -> Option<Area> {
        let found = Area::ALL.iter().find(|area| format!("{area:?}").to_lowercase() == name);
        found.copied()
    }

    fn weight(self) -> u64 {
        match self {
            Area::Kv => 40,
            Area::Txn => 20,
            Area::Lease => 10,
            Area::Watch | Area::Web => 8,
            Area::Maintenance | Area::Auth => 4,
            Area::Queues => 3,
        }
    }
}

/// What a seed does.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub requests: u64,
    pub areas: Vec<Area>,
    /// Tokens are JWT in some seeds: only they can be of an old auth revision.
    pub jwt: bool,
    /// In some seeds the servers may be asked for under some names only.
    pub hosts: bool,
    /// Elections are observed in half of the seeds, and in the other half somebody waits for a lock
    /// while authentication is on. When an observer goes, 3.4 may leave a stream of watches behind
    /// inside, opened in his name, and who waits later is taken for him.
    pub observers: bool,
}

impl Plan {
    pub fn new(seed: u64, requests: u64, areas: &[Area]) -> Plan {
        let jwt = areas.contains(&Area::Auth) && seed.is_multiple_of(3);
        let hosts = areas.contains(&Area::Web) && seed % 4 == 1;
        let observers = seed.is_multiple_of(2);
        Plan { seed, requests, areas: areas.to_vec(), jwt, hosts, observers }
    }

    fn has(&self, area: Area) -> bool {
        self.areas.contains(&area)
    }
}

/// The parts of a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Open,
    Guarded,
    Last,
    Over,
}

/// What the generator knows of the servers' state.
#[derive(Debug, Default)]
struct Known {
    revision: i64,
    compacted: i64,
    leases: BTreeSet<i64>,
    /// Passwords by user.
    passwords: BTreeMap<String, String>,
    auth_on: bool,
}

pub struct Generator {
    plan: Plan,
    random: Random,
    known: Known,
    part: Part,
    /// What comes next; then more is drawn.
    queue: VecDeque<Step>,
    deck: Vec<provoke::Card>,
    made: u64,
    /// The open watch streams, and how many there were.
    streams: Vec<usize>,
    next_stream: usize,
    next_name: u64,
    next_lease: i64,
    /// In whose name requests are made.
    who: Who,
}

/// Shares of a seed's requests after which a part ends, in percent.
const OPEN_PERCENT: u64 = 65;
const GUARDED_PERCENT: u64 = 99;

impl Generator {
    pub fn new(plan: &Plan) -> Generator {
        let mut random = Random::new(plan.seed);
        let deck = provoke::deck(plan, &mut random);
        Generator {
            plan: plan.clone(),
            random,
            known: Known { revision: 1, ..Known::default() },
            part: Part::Open,
            queue: VecDeque::new(),
            deck,
            made: 0,
            streams: Vec::new(),
            next_stream: 0,
            next_name: 0,
            next_lease: queues::QUEUE_LEASES,
            who: Who::Nobody,
        }
    }

    /// The next request; none when the seed is over.
    #[expect(clippy::should_implement_trait, reason = "what it gives depends on what it learns")]
    pub fn next(&mut self) -> Option<Step> {
        while self.queue.front().is_none_or(|step| self.is_left_out(step)) {
            if self.queue.pop_front().is_some() {
                continue;
            }
            match self.part {
                Part::Over => return None,
                Part::Open if self.is_past(OPEN_PERCENT) => {
                    self.deal_all();
                    self.close_watches();
                    self.part = Part::Guarded;
                    if self.plan.has(Area::Auth) {
                        self.enable_auth();
                    }
                }
                Part::Guarded if self.is_past(GUARDED_PERCENT) => {
                    self.close_watches();
                    self.part = Part::Last;
                    if self.plan.has(Area::Auth) {
                        self.disable_auth();
                    }
                }
                Part::Last => {
                    self.part = Part::Over;
                    if self.plan.has(Area::Queues) {
                        self.sessionless();
                    }
                    if self.plan.has(Area::Lease) {
                        self.lease_of_the_servers_choice();
                    }
                }
                Part::Open | Part::Guarded => self.draw(),
            }
        }
        let step = self.queue.pop_front()?;
        self.made += step.rpcs().iter().map(|(_, times)| times).sum::<u64>();
        Some(step)
    }

    /// What is asked of the compacted revision itself, which 3.4 decides otherwise: it has no hash
    /// there, and a watch from there may miss a deletion that was made by it (etcd #18089).
    fn is_left_out(&self, step: &Step) -> bool {
        let asked = match step {
            Step::Call(call) | Step::Gateway(call) if call.method == "Maintenance/HashKV" => {
                number(&call.message["revision"])
            }
            Step::Watch(_, message) => number(&message["create_request"]["start_revision"]),
            _ => return false,
        };
        asked > 0 && asked == self.known.compacted
    }

    /// Takes etcd's answer in.
    pub fn learn(&mut self, step: &Step, answer: &Value) {
        let revision = number(&answer["body"]["header"]["revision"]);
        self.known.revision = self.known.revision.max(revision);
        let (Step::Call(call) | Step::Gateway(call)) = step else { return };
        if !is_ok(answer) {
            return;
        }
        let message = &call.message;
        match call.method {
            "KV/Compact" => {
                self.known.compacted = self.known.compacted.max(number(&message["revision"]));
            }
            "Lease/LeaseGrant" => {
                self.known.leases.insert(number(&message["ID"]));
            }
            "Lease/LeaseRevoke" => {
                self.known.leases.remove(&number(&message["ID"]));
            }
            "Auth/UserDelete" => {
                self.known.passwords.remove(message["name"].as_str().unwrap_or_default());
            }
            "Auth/AuthEnable" => self.known.auth_on = true,
            "Auth/AuthDisable" => self.known.auth_on = false,
            "Auth/UserAdd" | "Auth/UserChangePassword" => {
                if let (Some(name), Some(password)) =
                    (message["name"].as_str(), message["password"].as_str())
                {
                    self.known.passwords.insert(name.to_owned(), password.to_owned());
                }
            }
            _ => {}
        }
    }

    fn is_past(&self, percent: u64) -> bool {
        self.made * 100 >= self.plan.requests * percent
    }

    /// One request of an area at random, and now and then a card of the deck.
    fn draw(&mut self) {
        if self.part == Part::Guarded && self.plan.has(Area::Auth) {
            self.change_user();
        }
        let cards = self.deck.len() as u64;
        let left = (self.plan.requests * OPEN_PERCENT / 100).saturating_sub(self.made);
        if self.part == Part::Open && cards > 0 && self.random.below(left.max(1)) < 2 * cards {
            self.deal();
            return;
        }
        let areas: Vec<Area> = self.plan.areas.clone();
        let total: u64 = areas.iter().map(|area| area.weight()).sum();
        let mut drawn = self.random.below(total);
        let area = areas.iter().find(|area| {
            let here = drawn < area.weight();
            drawn = drawn.saturating_sub(area.weight());
            here
        });
        match area {
            Some(Area::Kv) => self.kv(),
            Some(Area::Txn) => self.txn(),
            Some(Area::Watch) => self.watch(),
            Some(Area::Lease) => self.lease(),
            Some(Area::Maintenance) => self.maintenance(),
            Some(Area::Auth) => self.auth(),
            Some(Area::Queues) => self.queues(),
            Some(Area::Web) | None => self.web(),
        }
    }

    fn deal(&mut self) {
        if let Some(card) = self.deck.pop() {
            card(self);
        }
    }

    fn deal_all(&mut self) {
        while !self.deck.is_empty() {
            self.deal();
        }
    }

    /// Asks in the name of whoever it is now.
    fn ask(&mut self, method: &'static str, mut message: Value) {
        self.be_fresh_for(method);
        let who = self.made_cautious(method, &mut message);
        let call = Call::new(method, message).by(&who);
        self.queue.push_back(Step::Call(call));
    }

    /// The same by a chance through the gateway.
    fn ask_either(&mut self, method: &'static str, mut message: Value) {
        self.be_fresh_for(method);
        let who = self.made_cautious(method, &mut message);
        let call = Call::new(method, message).by(&who);
        self.push_either(call, 15);
    }

    /// By a chance of so many percent through the gateway.
    fn push_either(&mut self, call: Call, percent: u64) {
        let by_gateway = self.plan.has(Area::Web) && self.random.chance(percent);
        self.queue.push_back(if by_gateway { Step::Gateway(call) } else { Step::Call(call) });
    }

    /// A name that nothing had before.
    fn fresh_name(&mut self, prefix: &str) -> String {
        self.next_name += 1;
        format!("{prefix}{}", self.next_name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn steps(seed: u64) -> Vec<String> {
        let mut generator = Generator::new(&Plan::new(seed, 500, &Area::ALL));
        let mut steps = Vec::new();
        while let Some(step) = generator.next() {
            generator.learn(&step, &json!({"status": "OK", "body": {}}));
            steps.push(step.to_string());
        }
        steps
    }

    #[test]
    fn a_seed_means_the_same_requests() {
        assert_eq!(steps(7), steps(7));
        assert_ne!(steps(7), steps(8));
    }

    #[test]
    fn a_seed_has_about_as_many_requests_as_were_asked_for() {
        let count = steps(1).len();
        assert!((400..1200).contains(&count), "{count}");
    }
}
