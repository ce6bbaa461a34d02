//! A cluster in a hostile world: messages are lost, repeated and overtaken, members stop between
//! any two effects, disks and state machines lag behind. After a while the world heals, and the
//! cluster must agree, have kept every promise and ended every request.

use kvorum_core::node::{Input, Refusal};

use crate::cluster::{Cluster, Payload};

/// A small generator of our own: the same seed gives the same run on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(2) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }
}

struct World {
    cluster: Cluster,
    random: Random,
    next_id: u64,
    /// Pairs of members that do not hear each other.
    cut: Vec<(u64, u64)>,
}

impl World {
    fn new(size: u64, seed: u64) -> World {
        let cluster = Cluster::with(size, seed, |config| {
            // Small enough that peers that lag behind need entries from the disk.
            config.limits.resident_bytes = 2000;
        });
        World { cluster, random: Random::new(seed), next_id: 1, cut: Vec::new() }
    }

    fn run(&mut self, actions: u32) {
        for _ in 0..actions {
            self.act();
            self.cluster.check_prefixes();
        }
        self.cluster.heal();
        self.cluster.check_healed();
    }

    fn act(&mut self) {
        let size = self.cluster.members.len() as u64;
        let id = 1 + self.random.below(size);
        match self.random.below(1000) {
            0..120 => self.cluster.input(id, Input::Tick),
            120..450 => self.packet(),
            450..650 => drop(self.cluster.perform(id)),
            650..740 => drop(self.cluster.persist(id)),
            740..830 => drop(self.cluster.apply(id)),
            830..840 => self.cluster.flush(id),
            840..900 => {
                self.next_id += 1;
                self.cluster.propose(id, self.next_id);
            }
            900..940 => {
                self.next_id += 1;
                self.cluster.read(id, self.next_id);
            }
            940..950 => {
                let to = 1 + self.random.below(size);
                self.cluster.input(id, Input::TransferLeader { to });
            }
            950..960 => {
                let peer = 1 + self.random.below(size);
                self.cluster.input(id, Input::Unreachable { peer });
            }
            960..965 => self.cluster.crash(id),
            // The power fails: what only memory held is gone everywhere.
            965 => self.cluster.ids().into_iter().for_each(|id| self.cluster.crash(id)),
            966..990 => {
                if !self.cluster.is_up(id) {
                    self.cluster.restart(id);
                }
            }
            990..995 => self.cut.push((id, 1 + self.random.below(size))),
            _ => self.cut.clear(),
        }
    }

    /// Something happens to a packet, most often the one that is due.
    fn packet(&mut self) {
        let waiting = self.cluster.network.len() as u64;
        if waiting == 0 {
            return;
        }
        let late = self.random.below(10) == 0;
        let at = if late { self.random.below(waiting) } else { 0 };
        let Some(packet) = self.cluster.network.remove(at as usize) else { return };
        let cut = self
            .cut
            .iter()
            .any(|pair| *pair == (packet.from, packet.to) || *pair == (packet.to, packet.from));
        let fate = self.random.below(100);
        if cut || fate < 4 {
            return;
        }
        // What is not raft's comes once or never: the streams see to that.
        if fate < 8 && matches!(packet.payload, Payload::Raft(_)) {
            self.cluster.network.push_back(packet.clone());
        }
        self.cluster.deliver(packet);
    }
}

/// What happened in all runs together: a quiet world proves nothing.
#[derive(Debug, Default)]
struct Events {
    runs: u64,
    acked: usize,
    served: usize,
    terms: usize,
    unknown: usize,
    fetches: u64,
}

fn simulate(size: u64, first_seed: u64, runs: u64, actions: u32) -> Events {
    // `KVORUM_SIM_RUNS` is for long searches.
    let wanted = std::env::var("KVORUM_SIM_RUNS").ok().and_then(|runs| runs.parse().ok());
    let runs: u64 = wanted.unwrap_or(runs);
    let mut events = Events { runs, ..Events::default() };
    for seed in first_seed..first_seed + runs {
        let run = || {
            let mut world = World::new(size, seed);
            world.run(actions);
            world.cluster
        };
        let outcome = std::panic::catch_unwind(run);
        let cluster = outcome.unwrap_or_else(|_| panic!("the failing run has seed {seed}"));
        events.acked += cluster.acked.len();
        events.served += cluster.served.len();
        events.terms += cluster.leaders.len();
        let unknown = [Refusal::LeaderChanged, Refusal::Timeout];
        events.unknown += cluster.refused.values().filter(|why| unknown.contains(why)).count();
        events.fetches += cluster.fetches;
    }
    events
}

#[test]
fn one_member_keeps_its_promises() {
    let events = simulate(1, 0, 60, 2000);
    assert!(events.acked as u64 > 10 * events.runs, "{events:?}");
    assert!(events.served as u64 > 5 * events.runs, "{events:?}");
}

#[test]
fn three_members_keep_their_promises() {
    let events = simulate(3, 1000, 150, 6000);
    assert!(events.acked as u64 > 5 * events.runs, "{events:?}");
    assert!(events.served as u64 > events.runs, "{events:?}");
    assert!(events.terms as u64 > 2 * events.runs, "{events:?}");
    assert!(events.unknown > 0 && events.fetches > 0, "{events:?}");
}

#[test]
fn five_members_keep_their_promises() {
    let events = simulate(5, 5000, 40, 12_000);
    assert!(events.acked as u64 > 5 * events.runs, "{events:?}");
    assert!(events.served as u64 > events.runs, "{events:?}");
    assert!(events.terms as u64 > 2 * events.runs, "{events:?}");
}

/// The effects of a whole run, in order.
fn trace(seed: u64) -> Vec<String> {
    let mut cluster = Cluster::new(3, seed);
    let mut random = Random::new(seed);
    let mut trace = Vec::new();
    for write in 0..3000 {
        let id = 1 + random.below(3);
        match random.below(6) {
            0 => cluster.input(id, Input::Tick),
            1 => drop(cluster.persist(id)),
            2 => drop(cluster.apply(id)),
            3 => cluster.propose(id, write),
            4 => cluster.read(id, write),
            _ => {
                if let Some(packet) = cluster.network.pop_front() {
                    cluster.deliver(packet);
                }
            }
        }
        for id in 1..=3 {
            while let Some(effect) = cluster.perform(id) {
                trace.push(format!("{id} {effect:?}"));
            }
        }
    }
    trace
}

#[test]
fn the_same_seed_gives_the_same_effects() {
    let first = trace(7);
    assert!(first.len() > 1000);
    assert_eq!(first, trace(7));
    assert_ne!(first, trace(8), "elections depend on the seed");
}
