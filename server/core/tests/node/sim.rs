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
    /// How many logs were damaged.
    damages: u64,
    cluster: Cluster,
    random: Random,
    next_id: u64,
    /// Pairs of members that do not hear each other.
    cut: Vec<(u64, u64)>,
    /// Members crash and are cut off.
    storm: bool,
}

impl World {
    fn new(size: u64, seed: u64) -> World {
        let cluster = Cluster::with(size, seed, move |config| {
            // Small enough that peers that lag behind need entries from the disk, ...
            config.limits.resident_bytes = 2000;
            // ... or a snapshot, but not in all runs.
            (config.snapshot_count, config.catch_up_entries) =
                [(1, 0), (2, 0), (2, 2), (8, 4), (10_000, 5000)][(seed % 5) as usize];
        });
        World {
            damages: 0,
            cluster,
            random: Random::new(seed),
            next_id: 1,
            cut: Vec::new(),
            storm: false,
        }
    }

    fn run(&mut self, actions: u32) {
        for _ in 0..actions {
            self.act();
            self.cluster.check_prefixes();
        }
        // A leader that stays thinks of a member what it knew before the damage.
        let id = 1 + self.random.below(self.cluster.members.len() as u64);
        self.cluster.crash(id);
        self.damage(id);
        self.cluster.heal();
        self.cluster.check_healed();
    }

    fn act(&mut self) {
        let size = self.cluster.members.len() as u64;
        let id = 1 + self.random.below(size);
        match self.random.below(1000) {
            0..40 => self.cluster.input(id, Input::Tick),
            40..380 => self.packet(),
            380..740 => {
                for _ in 0..=self.random.below(4) {
                    self.cluster.perform(id);
                }
            }
            740..810 => drop(self.cluster.persist(id)),
            810..880 => drop(self.cluster.apply(id)),
            880..900 => self.cluster.flush(id),
            900..930 => {
                self.next_id += 1;
                self.cluster.propose(id, self.next_id);
            }
            930..950 => {
                self.next_id += 1;
                self.cluster.read(id, self.next_id);
            }
            950..953 => {
                let to = 1 + self.random.below(size);
                self.cluster.input(id, Input::TransferLeader { to });
            }
            953..960 => {
                let peer = 1 + self.random.below(size);
                self.cluster.input(id, Input::Unreachable { peer });
            }
            960..966 if !self.cluster.is_up(id) => self.cluster.restart(id),
            966..974 => self.fault(id),
            974 => self.cut.clear(),
            975..977 => self.storm = !self.storm,
            _ => {}
        }
    }

    /// Faults come in storms: under a steady hail no cluster gets anywhere.
    fn fault(&mut self, id: u64) {
        if !self.storm {
            return;
        }
        let size = self.cluster.members.len() as u64;
        match self.random.below(16) {
            0..8 => {
                // Part of what was on its way to the disk may have reached it.
                let groups = self.random.below(4) as usize;
                self.cluster.sync_unnoticed(id, groups);
                self.cluster.crash(id);
                self.damage(id);
            }
            // The power fails: what only memory held is gone everywhere.
            8 => self.cluster.ids().into_iter().for_each(|id| self.cluster.crash(id)),
            9..12 => self.cut.push((id, 1 + self.random.below(size))),
            // One hears nobody, and falls behind.
            _ => self.cut.extend((1..=size).map(|other| (id, other))),
        }
    }

    /// The log of a member that is down may be found damaged. A minority at most lacks something
    /// at a time: the others must elect a leader without them.
    fn damage(&mut self, id: u64) {
        let others = self.cluster.members.iter().filter(|(other, _)| **other != id);
        let incomplete = others.filter(|(_, member)| member.disk.incomplete.is_some()).count();
        if 2 * (incomplete + 1) < self.cluster.members.len() && self.random.below(3) == 0 {
            let groups = self.random.below(12);
            self.cluster.member(id).disk.damage(groups);
            self.damages += 1;
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
            return self.cluster.lose(packet);
        }
        // Requests, and answers to them, come once or never: the streams see to that.
        let once = matches!(
            packet.payload,
            Payload::Forward(_) | Payload::ForwardResult { .. } | Payload::SnapshotSent { .. }
        );
        if fate < 8 && !once {
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
    cuts: u64,
    installs: u64,
    discards: u64,
    /// How often a log was damaged, and how often one was complete again.
    damages: u64,
    completions: u64,
    /// Runs in which a snapshot was installed.
    restored: u64,
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
            world
        };
        let outcome = std::panic::catch_unwind(run);
        let world = outcome.unwrap_or_else(|_| panic!("the failing run has seed {seed}"));
        let World { cluster, damages, .. } = world;
        events.damages += damages;
        events.completions += cluster.completions;
        events.acked += cluster.acked.len();
        events.served += cluster.served.len();
        events.terms += cluster.leaders.len();
        let known = [Refusal::NoLeader, Refusal::TooManyRequests];
        events.unknown += cluster.refused.values().filter(|why| !known.contains(why)).count();
        events.fetches += cluster.fetches;
        events.cuts += cluster.cuts;
        events.installs += cluster.installs;
        events.discards += cluster.discards;
        events.restored += u64::from(cluster.installs > 0);
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
    assert!(events.cuts > events.runs && events.discards > 0, "{events:?}");
    assert!(events.restored > events.runs / 3, "{events:?}");
    assert!(events.damages > events.runs && events.completions > events.runs, "{events:?}");
}

#[test]
fn five_members_keep_their_promises() {
    let events = simulate(5, 5000, 40, 12_000);
    assert!(events.restored > events.runs / 3, "{events:?}");
    assert!(events.damages > events.runs && events.completions > events.runs, "{events:?}");
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
