//! What a seed means: the cluster, its machines, its clients and what goes wrong.

use std::fmt;

use kvorum_core::watch::Budget;

use super::random::Random;
use super::time::{MS, SECOND, Time, US};

/// The fewest classes of faults in a seed.
pub const FEWEST_CLASSES: usize = 3;

/// A class of faults that the nemesis strikes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultClass {
    /// One member loses power.
    Crash,
    /// Several members lose power at once, often all.
    CrashMany,
    /// A member loses power in the middle of an operation: at its n-th change of the disk.
    CrashAtIo,
    /// A process dies; its machine goes on.
    Kill,
    /// A process stands still while time goes on.
    Pause,
    /// The clock that leases go by runs at another rate, or is held.
    Clock,
    /// Leadership is handed on.
    Transfer,
    /// A disk stands still for a while.
    Stall,
    /// A disk refuses to write.
    DiskError,
    /// What a member that lost power has on its disk changes.
    BitRot,
    /// What a member wrote turns out to be in another place of its disk.
    Misdirected,
    /// The cluster falls apart into two.
    Partition,
    /// What one member says to another is lost, the other way all is well.
    OneWay,
    /// Some pairs of members do not hear each other.
    Partial,
    /// A link breaks and comes back again and again.
    Flapping,
    /// Links are cut one by one and restored in another order.
    Swizzle,
    /// The network is slow.
    Slow,
}

impl FaultClass {
    pub const ALL: [FaultClass; 17] = [
        FaultClass::Crash,
        FaultClass::CrashMany,
        FaultClass::CrashAtIo,
        FaultClass::Kill,
        FaultClass::Pause,
        FaultClass::Clock,
        FaultClass::Transfer,
        FaultClass::Stall,
        FaultClass::DiskError,
        FaultClass::BitRot,
        FaultClass::Misdirected,
        FaultClass::Partition,
        FaultClass::OneWay,
        FaultClass::Partial,
        FaultClass::Flapping,
        FaultClass::Swizzle,
        FaultClass::Slow,
    ];

    /// Whether it takes more than one member.
    fn needs_peers(self) -> bool {
        !matches!(
            self,
            FaultClass::Crash
                | FaultClass::CrashAtIo
                | FaultClass::Kill
                | FaultClass::Pause
                | FaultClass::Clock
                | FaultClass::Stall
                | FaultClass::DiskError
                | FaultClass::BitRot
                | FaultClass::Misdirected
        )
    }
}

/// How members reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wires {
    /// Streams as production has them: in order, once, lost together.
    Streams,
    /// Raft's messages each on their own, in percent: lost, doubled, late.
    Datagrams { lost: u64, doubled: u64, late: u64 },
}

/// Everything about a run that is drawn before it begins.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub members: usize,
    pub clients: usize,
    pub watchers: usize,
    /// How long things go wrong.
    pub trouble: Time,
    /// Between two strikes.
    pub gap: (Time, Time),
    pub faults: Vec<FaultClass>,
    pub heartbeat_ms: u32,
    pub election_ms: u32,
    pub wires: Wires,
    /// One way between two members.
    pub latency: (Time, Time),
    /// One sync of the log.
    pub sync: (Time, Time),
    /// One commit of the backend, and between two.
    pub commit: (Time, Time),
    pub commit_interval: Time,
    /// Applying one entry.
    pub apply: (Time, Time),
    /// A client between two requests.
    pub think: (Time, Time),
    pub segment_bytes: u64,
    /// Entries that a node keeps in memory; few make it read the log.
    pub resident_bytes: u64,
    /// What may wait for the backend.
    pub backend_bytes: usize,
    pub stream_credit: usize,
    pub response_bytes: usize,
    pub progress_interval: Time,
    /// The nodes' snapshot count and catch-up entries, where snapshots are forced.
    pub snapshots: Option<(u64, u64)>,
    /// Percent of the requests that compact.
    pub compactions: u64,
    /// Members lose power in their first start.
    pub early_crashes: bool,
    /// All members lose power once more when all is at rest after healing.
    pub power_cycle: bool,
    /// What the watch hub takes on at once; little makes watches catch up in many steps.
    pub watch_budget: Budget,
}

impl Plan {
    pub fn draw(seed: u64) -> Plan {
        let mut random = Random::new(seed ^ 0x706c_616e);
        let members = *random.pick(&[1, 3, 3, 3, 3, 3, 3, 5, 3, 3]);
        let (heartbeat_ms, election_ms) =
            *random.pick(&[(100, 1000), (100, 1000), (100, 1000), (50, 500)]);
        let hostile = members > 1 && random.chance(20);
        let wires = if hostile {
            let (lost, doubled, late) = (random.below(11), random.below(11), random.below(21));
            Wires::Datagrams { lost, doubled, late }
        } else {
            Wires::Streams
        };
        let fast = |random: &mut Random| (100 * US, random.between((300, 3000)) * US);
        let clients = random.between((4, 8)) as usize;
        Plan {
            seed,
            members,
            clients,
            watchers: random.between((1, 3)) as usize,
            trouble: random.between((20, 24)) * SECOND,
            gap: (100 * MS, random.between((800, 3000)) * MS),
            faults: draw_faults(&mut random, members),
            heartbeat_ms,
            election_ms,
            wires,
            latency: fast(&mut random),
            sync: (100 * US, random.between((500, 10_000)) * US),
            commit: (MS, random.between((2, 50)) * MS),
            commit_interval: *random.pick(&[100, 100, 200, 300]) * MS,
            apply: (5 * US, *random.pick(&[20, 20, 200, 2000]) * US),
            think: (10 * MS, random.between((100, 250)) * MS),
            segment_bytes: *random.pick(&[16, 32, 64, 256]) * 1024,
            resident_bytes: *random.pick(&[64 << 20, 64 << 20, 4096]),
            backend_bytes: *random.pick(&[64 << 20, 64 << 20, 2048]),
            stream_credit: *random.pick(&[64, 8, 2]),
            response_bytes: *random.pick(&[3 << 19, 1024]),
            progress_interval: *random.pick(&[200, 1000]) * MS,
            snapshots: random
                .chance(35)
                .then(|| (random.between((20, 60)), random.between((5, 20)))),
            compactions: *random.pick(&[0, 2, 2, 5]),
            early_crashes: random.chance(10),
            power_cycle: random.chance(25),
            watch_budget: draw_budget(&mut random),
        }
    }

    /// The fastest that a clock which leases go by ever runs, in percent.
    pub(super) fn fastest_clock(&self) -> u64 {
        if self.faults.contains(&FaultClass::Clock) { 150 } else { 100 }
    }
}

fn draw_budget(random: &mut Random) -> Budget {
    if random.chance(50) {
        return Budget::default();
    }
    let mut upto = |most| random.between((1, most)) as usize;
    Budget {
        step_versions: upto(50),
        walk_versions: upto(400),
        events: upto(100),
        bytes: upto(4096),
        stream_bytes: usize::MAX,
        riders: upto(6),
    }
}

fn draw_faults(random: &mut Random, members: usize) -> Vec<FaultClass> {
    let mut classes: Vec<FaultClass> =
        FaultClass::ALL.into_iter().filter(|class| members > 1 || !class.needs_peers()).collect();
    random.shuffle(&mut classes);
    classes.truncate(random.between((FEWEST_CLASSES as u64, 6)) as usize);
    classes
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {} members, {} clients, {} watchers, {} s of trouble",
            self.seed,
            self.members,
            self.clients,
            self.watchers,
            self.trouble / SECOND
        )?;
        writeln!(f, "  faults {:?}, every {:?} ms", self.faults, in_ms(self.gap))?;
        writeln!(
            f,
            "  heartbeat {} ms, election {} ms, {:?}, one way {:?} ms",
            self.heartbeat_ms,
            self.election_ms,
            self.wires,
            in_ms(self.latency)
        )?;
        writeln!(
            f,
            "  sync {:?} ms, commit {:?} ms each {} ms, apply {:?} ms, think {:?} ms",
            in_ms(self.sync),
            in_ms(self.commit),
            self.commit_interval / MS,
            in_ms(self.apply),
            in_ms(self.think)
        )?;
        write!(
            f,
            "  segments of {} B, {} B of entries resident, {} B for the backend, credit {}, \
             responses of {} B, progress each {} ms, snapshots {:?}, compactions {} %, early \
             crashes {}, power cycle {}, {:?}",
            self.segment_bytes,
            self.resident_bytes,
            self.backend_bytes,
            self.stream_credit,
            self.response_bytes,
            self.progress_interval / MS,
            self.snapshots,
            self.compactions,
            self.early_crashes,
            self.power_cycle,
            self.watch_budget
        )
    }
}

fn in_ms((low, high): (Time, Time)) -> (f64, f64) {
    let ms = |time: Time| (time / US) as f64 / 1000.0;
    (ms(low), ms(high))
}
