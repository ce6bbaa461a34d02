//! A member dies after any single effect, and comes back with what was on its disk.

use kvorum_core::node::{Effect, Input};

use crate::cluster::Cluster;

/// What of the groups on their way to the disk survives.
#[derive(Clone, Copy, Debug)]
enum Unsynced {
    Lost,
    Kept,
}

/// Runs an election, writes and reads; the member that performs effect number `last` crashes
/// after it and comes back at the end. Says whether there was such an effect.
fn crash_after(size: u64, last: usize, unsynced: Unsynced) -> bool {
    let mut cluster = Cluster::new(size, 3);
    let mut performed = 0;
    let mut crashed = false;
    for round in 0..60 {
        for id in cluster.ids() {
            if round % 4 == 0 {
                cluster.input(id, Input::Tick);
            }
            if round > 20 && round % 8 == 1 {
                cluster.propose(id, round * 16 + id);
            }
            if round > 20 && round % 8 == 3 {
                cluster.read(id, round * 16 + id);
            }
            while cluster.perform(id).is_some() {
                performed += 1;
                if performed == last && !crashed {
                    if matches!(unsynced, Unsynced::Kept) {
                        cluster.sync_unnoticed(id, usize::MAX);
                    }
                    cluster.crash(id);
                    crashed = true;
                }
            }
            cluster.persist(id);
            cluster.apply(id);
            if round % 16 == 5 {
                cluster.flush(id);
            }
        }
        for _ in 0..cluster.network.len() {
            if let Some(packet) = cluster.network.pop_front() {
                cluster.deliver(packet);
            }
        }
    }
    if !crashed {
        assert!(!cluster.acked.is_empty() && !cluster.served.is_empty());
        return false;
    }
    cluster.heal();
    cluster.check_healed();
    true
}

fn crash_after_every_effect(size: u64) {
    for unsynced in [Unsynced::Lost, Unsynced::Kept] {
        let boundaries = (1..100_000).take_while(|last| crash_after(size, *last, unsynced)).count();
        assert!(boundaries >= 15, "only {boundaries} places to crash at");
    }
}

#[test]
fn a_lone_member_loses_nothing_it_acknowledged_whenever_it_dies() {
    crash_after_every_effect(1);
}

#[test]
fn three_members_lose_nothing_they_acknowledged_whenever_one_dies() {
    crash_after_every_effect(3);
}

/// The third member is cut off while the others cut their logs; when it is back, the member that
/// performs effect number `last` crashes after it. Says whether there was such an effect.
fn crash_in_transfer(last: usize, unsynced: Unsynced) -> bool {
    let mut cluster = Cluster::with(3, 3, |config| {
        (config.snapshot_count, config.catch_up_entries) = (2, 0);
    });
    let (mut performed, mut crashed) = (0, false);
    for round in 0..120 {
        for id in cluster.ids() {
            if round % 4 == 0 {
                cluster.input(id, Input::Tick);
            }
            if round > 20 && round % 8 == 1 {
                cluster.propose(id, round * 16 + id);
            }
            while cluster.perform(id).is_some() {
                performed += usize::from(round >= 60);
                if performed == last && !crashed {
                    if matches!(unsynced, Unsynced::Kept) {
                        cluster.sync_unnoticed(id, usize::MAX);
                    }
                    cluster.crash(id);
                    crashed = true;
                }
            }
            cluster.persist(id);
            cluster.apply(id);
            if round % 4 == 1 {
                cluster.flush(id);
            }
        }
        for _ in 0..cluster.network.len() {
            let Some(packet) = cluster.network.pop_front() else { break };
            if round < 60 && (packet.from == 3 || packet.to == 3) {
                cluster.lose(packet);
            } else {
                cluster.deliver(packet);
            }
        }
    }
    if !crashed {
        assert!(cluster.installs > 0 && cluster.cuts > 0);
        return false;
    }
    cluster.heal();
    cluster.check_healed();
    true
}

#[test]
fn nothing_is_lost_whenever_one_dies_while_a_snapshot_is_on_its_way() {
    for unsynced in [Unsynced::Lost, Unsynced::Kept] {
        let boundaries = (1..100_000).take_while(|last| crash_in_transfer(*last, unsynced)).count();
        assert!(boundaries >= 100, "only {boundaries} places to crash at");
    }
}

#[test]
fn a_lone_member_commits_nothing_before_it_is_durable() {
    let mut cluster = Cluster::new(1, 1);
    cluster.input(1, Input::Tick);
    cluster.stabilize();
    cluster.propose(1, 5);
    let mut effects = Vec::new();
    while let Some(effect) = cluster.perform(1) {
        effects.push(effect);
    }
    assert!(matches!(effects[..], [Effect::Append(_)]), "{effects:?}");
    assert!(cluster.persist(1));
    let commit = cluster.perform(1);
    assert!(matches!(commit, Some(Effect::Commit(entries)) if entries.len() == 1));
}
