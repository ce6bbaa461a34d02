//! Disks that do not hold what was written.
//!
//! A member loses power, and what it finds afterwards has changed: bits flipped, a sector became
//! garbage, or sectors that it wrote long ago are missing where they belong and lie elsewhere. It
//! must start with all it had, or say that it is incomplete and recover from its leader, or refuse
//! and say where; then a person puts the disk right. A write that is missing at the very end of a
//! log cannot be told from one that never was, so none is moved from there.

use std::path::{Path, PathBuf};

use kvorum_server::storage::memory::MemoryDisk;

use super::member::Trouble;
use super::plan::FaultClass;
use super::random::Random;
use super::time::{MS, SECOND};
use super::world::World;

const SECTOR: usize = 512;

impl World {
    /// Damages the disk of a member that runs; says whether it did. As long as a majority has
    /// whole logs the cluster lives, so no more are damaged at a time.
    pub(super) fn damage(&mut self, class: FaultClass, target: usize) -> bool {
        let incomplete = self.members.iter().filter(|member| member.incomplete).count();
        let majority = self.members.len() / 2 + 1;
        let most = self.members.len() - majority;
        let known = self.members[target].incomplete || self.members.len() == 1;
        let is = &self.members[target];
        if is.trouble.is_some() || is.whole.is_some() || !known && incomplete >= most {
            return false;
        }
        self.lose_power(target);
        let whole = self.members[target].disk.copy();
        let disk = &self.members[target].disk;
        let mut random = self.nemesis.random.fork();
        let damaged = match class {
            FaultClass::Misdirected => misdirect(disk, &mut random),
            _ => rot(disk, &mut random),
        };
        let what = damaged.as_ref().map(|(what, path, at)| (*what, path.display(), *at));
        let numbers = [target as u64, damaged.as_ref().map_or(0, |(_, _, at)| *at)];
        self.trace.note(self.agenda.now(), "damage", &numbers, || format!("m{target}: {what:?}"));
        if let Some((what, ..)) = damaged {
            self.figures.note(what);
            self.members[target].whole = Some(whole);
            self.members[target].incomplete |= self.members.len() > 1;
        }
        if damaged.is_some() && self.nemesis.random.chance(20) {
            // It loses power again while it sees to that.
            let after = self.nemesis.random.skewed((1, 60)) - 1;
            self.members[target].trouble = Some(Trouble::PowerLoss);
            self.members[target].disk.fail_after(after);
        }
        let delay = self.nemesis.random.skewed((10 * MS, 4 * SECOND));
        self.start_after(target, delay);
        damaged.is_some()
    }
}

type Damaged = (&'static str, PathBuf, u64);

/// Changes one bit, or all of a sector.
fn rot(disk: &MemoryDisk, random: &mut Random) -> Option<Damaged> {
    let wanted = *random.pick(&[is_segment, is_segment, is_segment, is_store, is_store, is_vote]);
    let (path, at) = disk.pick_byte(wanted, |count| random.index(count))?;
    let file = [is_segment, is_store].iter().position(|is| is(&path)).unwrap_or(2);
    if random.chance(70) {
        disk.flip(&path, at, random.below(8) as u8).ok()?;
        return Some((["a bit of a log", "a bit of a store", "a bit of a vote"][file], path, at));
    }
    let sector = at as usize / SECTOR * SECTOR;
    let fill = |bytes: &mut Vec<u8>| {
        let end = bytes.len().min(sector + SECTOR);
        bytes[sector..end].fill_with(|| random.between((1, 255)) as u8);
    };
    disk.with_bytes(&path, fill).ok()?;
    let what = ["a sector of a log", "a sector of a store", "a sector of a vote"][file];
    Some((what, path, at))
}

/// Moves sectors of the log or of the store to where something else was written, and leaves zeros,
/// as if nothing had been written there before. The newest writes of the log stay as they are.
fn misdirect(disk: &MemoryDisk, random: &mut Random) -> Option<Damaged> {
    let mut segments: Vec<PathBuf> =
        disk.files().into_iter().filter(|path| is_segment(path)).collect();
    // Of the two newest, one may be empty yet.
    segments.truncate(segments.len().saturating_sub(2));
    let older = |path: &Path| segments.iter().any(|it| it == path);
    let either = |random: &mut Random| !segments.is_empty() && random.chance(60);
    let (of_log, onto_log) = (either(random), either(random));
    let from = |path: &Path| if of_log { older(path) } else { is_store(path) };
    let (path, at) = disk.pick_byte(from, |count| random.index(count))?;
    let (start, sectors) = (at as usize / SECTOR * SECTOR, random.between((1, 8)) as usize);
    let take = |bytes: &mut Vec<u8>| {
        let end = bytes.len().min(start + sectors * SECTOR);
        let moved = bytes[start..end].to_vec();
        bytes[start..end].fill(0);
        moved
    };
    let moved = disk.with_bytes(&path, take).ok()?;
    let onto = |path: &Path| if onto_log { older(path) } else { is_store(path) };
    let (to, place) = disk.pick_byte(onto, |count| random.index(count))?;
    let place = place as usize / SECTOR * SECTOR;
    let put = |bytes: &mut Vec<u8>| {
        let end = bytes.len().min(place + moved.len());
        bytes[place..end].copy_from_slice(&moved[..end - place]);
    };
    disk.with_bytes(&to, put).ok()?;
    let what = match (of_log, onto_log) {
        (true, true) => "a log's sectors astray in it",
        (true, false) => "a log's sectors astray in a store",
        (false, true) => "a store's sectors astray in a log",
        (false, false) => "a store's sectors astray in it",
    };
    Some((what, path, at))
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log")
}

fn is_vote(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "vote")
}

fn is_store(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "redb")
}
