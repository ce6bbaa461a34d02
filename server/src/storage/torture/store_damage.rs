//! Bytes of the store that are not what was written: flipped, rolled back, lost, or those of
//! another place.

use super::*;
use crate::storage::backend::RedbBackend;
use crate::storage::memory::{Effect, Fault, Op};

const PAGE: usize = 4096;
const NEWEST: &str = "right, from the newest commit";
const OLDER: &str = "right, from an older commit and the log";

/// What redb's file alone says, without what boot and the store check.
#[derive(Clone, Debug, PartialEq)]
struct Content {
    identity: Identity,
    position: kvorum_core::store::Position,
    records: Vec<(kvorum_core::store::Table, Bytes, Bytes)>,
}

fn content(disk: &MemoryDisk) -> Option<Content> {
    let backend = RedbBackend::open(disk, &store_path()).ok()?;
    let mut records = backend.records().ok()?;
    let all = (&mut records).collect();
    if records.error().is_some() {
        return None;
    }
    let (identity, position) = (backend.identity(), backend.position().clone());
    Some(Content { identity, position, records: all })
}

/// A member with a few hundred records, its store as of every commit, and the newest one's index.
struct Aged {
    rig: Rig,
    stores: Vec<Vec<u8>>,
    commits: Vec<Content>,
}

impl Aged {
    fn new() -> Aged {
        let mut rig = Rig::new();
        let (mut stores, mut commits) = (Vec::new(), Vec::new());
        // The last lives are short, so that the newest commits differ in little.
        for puts in [150, 120, 12, 6, 6] {
            rig.live_well(puts, "nothing fails");
            stores.push(bytes(&rig.disk));
            commits.push(content(&rig.disk.copy()).expect("nothing failed"));
        }
        // Every life commits after its last put.
        let newest = commits.last().map(|commit| commit.position.index);
        assert_eq!(newest, Some(rig.acknowledged));
        Aged { rig, stores, commits }
    }

    fn newest(&self) -> &[u8] {
        self.stores.last().expect("there was a commit")
    }

    /// Damages a copy of the disk, starts the member, and judges. What redb itself reads without
    /// a complaint although it is wrong, the member must not start with.
    fn judge(&self, fault: &'static str, table: &mut Table, damage: impl FnOnce(&MemoryDisk)) {
        let mut rig = self.rig.copy();
        damage(&rig.disk);
        let alone = content(&rig.disk.copy());
        let outcome = judge(&mut rig, alone.as_ref(), fault);
        let silent = alone.is_some_and(|found| !self.commits.contains(&found));
        table.count(fault, outcome);
        if silent {
            assert_eq!(outcome, REFUSED, "{fault}: the store is wrong, and nobody says so");
            table.count(fault, "redb alone lets it through");
        }
    }
}

/// Starts the member on a disk that may be damaged, with this in its store.
fn judge(rig: &mut Rig, store: Option<&Content>, what: &str) -> &'static str {
    let before = store.map(|content| content.position.index);
    match rig.live(0) {
        End::Well if before == Some(rig.acknowledged) => NEWEST,
        End::Well => OLDER,
        End::Refused(error) => {
            let message = error.to_string();
            assert!(message.len() > 40 && message.contains(';'), "{what}: {message}");
            REFUSED
        }
        end => panic!("{what}: {end:?}"),
    }
}

fn bytes(disk: &MemoryDisk) -> Vec<u8> {
    disk.with_bytes(&store_path(), |bytes| bytes.clone()).expect("there is a store")
}

fn pages(bytes: &[u8]) -> Vec<usize> {
    let used = |page: &usize| bytes[page * PAGE..][..PAGE].iter().any(|byte| *byte != 0);
    (0..bytes.len() / PAGE).filter(used).collect()
}

#[test]
fn a_flipped_bit_anywhere_in_the_store_is_refused_or_does_no_harm() {
    let aged = Aged::new();
    let used = aged.newest().iter().enumerate().filter(|(_, byte)| **byte != 0);
    let used: Vec<usize> = used.map(|(at, _)| at).collect();
    let mut table = Table::default();
    // Every bit of the header, which says of which commit the rest is.
    let header = (0..320 * 8).step_by(stride(5)).map(|bit| (bit / 8, bit % 8));
    let rest = used.iter().step_by(stride(used.len() / 500)).map(|at| (*at, at * 5 % 8));
    for (at, bit) in header.chain(rest) {
        let fault = if at < 320 { "bit flip in the header" } else { "bit flip in a page" };
        aged.judge(fault, &mut table, |disk| {
            assert!(disk.flip(&store_path(), at as u64, bit as u8).unwrap());
        });
    }
    table.print();
    assert!(table.of("bit flip in a page", REFUSED) > 0);
}

#[test]
fn an_older_copy_of_the_store_is_brought_up_or_refused() {
    let aged = Aged::new();
    let mut table = Table::default();
    for (age, store) in aged.stores.iter().rev().enumerate() {
        let fault = if age == 0 { "the newest store" } else { "an older copy of the store" };
        aged.judge(fault, &mut table, |disk| {
            disk.with_bytes(&store_path(), |bytes| bytes.clone_from(store)).unwrap();
        });
    }
    assert_eq!(table.of("an older copy of the store", OLDER), 4);
    table.print();
}

#[test]
fn a_page_of_the_store_in_another_ones_place_is_refused_or_does_no_harm() {
    let aged = Aged::new();
    let newest = aged.newest();
    let pages = pages(newest);
    let mut table = Table::default();
    let pairs = pages.iter().flat_map(|from| pages.iter().map(move |to| (*from, *to)));
    let pairs: Vec<(usize, usize)> = pairs.filter(|(from, to)| from != to).collect();
    for (from, to) in pairs.iter().step_by(stride(pairs.len() / 150)) {
        aged.judge("a page in another one's place", &mut table, |disk| {
            disk.with_bytes(&store_path(), |bytes| {
                bytes.copy_within(from * PAGE..(from + 1) * PAGE, to * PAGE);
            })
            .unwrap();
        });
    }
    // A page that an earlier commit wrote, where the newest did: the write was lost.
    for old in &aged.stores[..aged.stores.len() - 1] {
        let range = |page: usize| page * PAGE..(page + 1) * PAGE;
        for page in pages.iter().filter(|page| (*page + 1) * PAGE <= old.len()) {
            if old[range(*page)] == newest[range(*page)] {
                continue;
            }
            aged.judge("a page of an older commit", &mut table, |disk| {
                disk.with_bytes(&store_path(), |bytes| {
                    bytes[range(*page)].copy_from_slice(&old[range(*page)]);
                })
                .unwrap();
            });
        }
    }
    table.print();
}

/// Starts and puts with a fault at one of the store's operations, loses power, and starts again.
fn fault_in_life(base: &Rig, fault: Fault, name: &'static str, table: &mut Table) {
    let mut rig = base.copy();
    rig.disk.inject(fault);
    // What it reads back may be wrong already.
    match rig.live(12) {
        End::Well | End::Refused(_) => {}
        end => panic!("{name}: {end:?}"),
    }
    Death::Power.strike(&rig.disk);
    let store = content(&rig.disk.copy());
    table.count(name, judge(&mut rig, store.as_ref(), name));
}

#[test]
fn a_write_of_the_store_that_is_lost_or_goes_elsewhere_is_refused_or_does_no_harm() {
    let mut base = Rig::new();
    base.live_well(60, "nothing fails");
    let mut healthy = base.copy();
    healthy.disk.record();
    healthy.live_well(12, "nothing fails");
    let (store, log) = (store_path(), log_path().join("00000001.log"));
    let record = healthy.disk.take_record();
    let of_store = |op| {
        record.iter().filter(|call| call.op == op && call.path.as_ref() == Some(&store)).count()
    };
    let targets = pages(&bytes(&base.disk));
    let mut table = Table::default();
    for at in 0..of_store(Op::Write) as u64 {
        let at_store = |effect, ops: &[Op]| Fault::new(effect, ops).under(&store).once_after(at);
        fault_in_life(&base, at_store(Effect::Lose, &[Op::Write]), "a lost write", &mut table);
        for target in targets.iter().skip(at as usize % 3).step_by(stride(7)) {
            let effect = Effect::Misdirect { file: None, offset: (target * PAGE) as u64 };
            let fault = at_store(effect, &[Op::Write]);
            fault_in_life(&base, fault, "a misdirected write", &mut table);
        }
        let effect = Effect::Misdirect { file: Some(log.clone()), offset: 0 };
        let fault = at_store(effect, &[Op::Write]);
        fault_in_life(&base, fault, "a page of the store in the log", &mut table);
    }
    for at in 0..of_store(Op::Sync) as u64 {
        let fault = Fault::new(Effect::Lose, &[Op::Sync]).under(&store).once_after(at);
        fault_in_life(&base, fault, "a lost sync", &mut table);
    }
    table.print();
}
