//! Every truncation, every flipped bit and every misplaced piece of a log of hundreds of groups,
//! and what becomes of each: the log holds everything that was acknowledged, or it is refused with
//! the place. Never is something lost in silence.
//!
//! By default a sample runs that meets every kind of place; `KVORUM_TORTURE=full` runs all. The
//! table that README cites is printed: `cargo test --release -p kvorum-server torture --
//! --nocapture`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::format::{FrameHeader, SEGMENT_HEADER, SegmentHeader, frame_start};
use super::model::next_group;
use super::*;

const GROUPS: u64 = 330;
const OPTIONS: Options = Options { segment_bytes: 8 * 1024 };

/// What became of a damaged log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// It opens, with every group.
    Whole,
    /// It opens, with every group that was acknowledged, without some that were not.
    Cut,
    /// It is refused; the file is named, and for damage the byte and the entry before.
    Refused,
    /// It opens to what it was earlier: for copies of the whole end, which only the store tells.
    Older,
    Lost,
    Panicked,
}

const OUTCOMES: [Outcome; 6] = [
    Outcome::Whole,
    Outcome::Cut,
    Outcome::Refused,
    Outcome::Older,
    Outcome::Lost,
    Outcome::Panicked,
];

/// How often each class of damage had which outcome.
#[derive(Default)]
struct Table(BTreeMap<(&'static str, Outcome), u64>);

impl Table {
    fn count(&mut self, class: &'static str, outcome: Outcome) {
        *self.0.entry((class, outcome)).or_default() += 1;
    }

    fn of(&self, class: &'static str, outcome: Outcome) -> u64 {
        self.0.get(&(class, outcome)).copied().unwrap_or(0)
    }

    fn lines(&self) -> String {
        let mut out = String::from("| damage | cases |");
        for outcome in OUTCOMES {
            write!(out, " {outcome:?} |").unwrap();
        }
        let mut classes: Vec<&'static str> = self.0.keys().map(|(class, _)| *class).collect();
        classes.dedup();
        for class in classes {
            let counts = OUTCOMES.map(|outcome| self.of(class, outcome));
            write!(out, "\n| {class} | {} |", counts.iter().sum::<u64>()).unwrap();
            for count in counts {
                write!(out, " {count} |").unwrap();
            }
        }
        out
    }
}

/// A log on which everything was tried that a log can hold, all of it synced.
struct Subject {
    disk: MemoryDisk,
    /// What the log held when so many groups were appended, from the newest backwards as far as
    /// the active segment goes: by the byte at which their frames end.
    ends: Vec<(usize, Model)>,
    segments: Vec<u32>,
    /// The active segment as it was some groups earlier, and another one before it was full.
    stale: Vec<(u32, Vec<u8>)>,
}

impl Subject {
    fn new(marked: bool) -> Subject {
        let disk = disk_with_log(OPTIONS);
        let mut model = Model::default();
        let (mut log, _) = open_small(&disk, 0, OPTIONS).unwrap();
        let (mut ends, mut stale) = (Vec::new(), Vec::new());
        for number in 1..=GROUPS {
            let group = Subject::group(&model, number);
            log.append(&group).unwrap();
            log.sync().unwrap();
            model.append(&group);
            if number == 50 || number == 100 {
                assert!(log.release(model.last().0 - 20).unwrap() > 0);
                model = model.from(log.base()).unwrap();
            }
            if number % 50 == 0 {
                log.mark().unwrap();
            }
            let active = *numbers(&disk).last().unwrap();
            let bytes = bytes_of(&disk, active);
            let end = bytes.iter().rposition(|b| *b != 0).unwrap() + 1;
            if ends.last().is_some_and(|(before, _)| *before > end) {
                ends.clear();
            }
            ends.push((end, model.clone()));
            if number == GROUPS - 2 || number == GROUPS - 80 {
                stale.push((active, bytes));
            }
        }
        if marked {
            log.mark().unwrap();
        }
        let segments = numbers(&disk);
        Subject { disk, ends, segments, stale }
    }

    fn group(model: &Model, number: u64) -> Group {
        let (last, term) = model.last();
        let sizes: &[usize] = match number % 11 {
            0 => &[0],
            1 | 2 => &[40, 90],
            3 => &[],
            4 => &[600],
            5 => &[7, 0, 130],
            _ => &[60],
        };
        let mut group = match number {
            // Behind the end, and into the middle of what there is.
            60 => return base_group(number, (last + 7, term + 1), 2, 50),
            90 => return base_group(number, (last - 20, term + 1), 1, 50),
            _ => next_group(model, number, u64::from(number.is_multiple_of(17)) * 3, sizes, true),
        };
        // A payload of zeros, and one of zeros but for a bit.
        if number.is_multiple_of(29) {
            let mut data = vec![0; 1500];
            data[700] = u8::from(number.is_multiple_of(2)) << 3;
            let first = group.entries.first().map_or(last + 1, |entry| entry.index);
            let entry = Entry { data: Bytes::from(data), ..entry(first, term + 1, 0) };
            group.entries = vec![entry];
        }
        group
    }

    fn newest_model(&self) -> &Model {
        &self.ends.last().unwrap().1
    }

    fn active(&self) -> u32 {
        *self.segments.last().unwrap()
    }

    /// Damages a copy of the disk and opens it. `acknowledged` is what must be there.
    fn outcome(&self, acknowledged: &Model, damage: impl FnOnce(&MemoryDisk)) -> Outcome {
        let disk = self.disk.copy();
        damage(&disk);
        let Ok(opened) = catch_unwind(AssertUnwindSafe(|| open_small(&disk, 0, OPTIONS))) else {
            return Outcome::Panicked;
        };
        let found = match opened {
            Ok((_, recovered)) => Recovered { torn: None, ..recovered },
            Err(LogError::Damaged { path, offset, .. }) => {
                assert!(disk.kind(&path).unwrap().is_some() && offset < (1 << 32));
                return Outcome::Refused;
            }
            Err(LogError::Missing { .. } | LogError::Stranger { .. }) => return Outcome::Refused,
            Err(error) => panic!("another error: {error}"),
        };
        if found == self.newest_model().recovered() {
            return Outcome::Whole;
        }
        let from = self.ends.iter().position(|(_, model)| model == acknowledged);
        let later = from.map_or(&[][..], |from| &self.ends[from..]);
        if later.iter().any(|(_, model)| model.recovered() == found) {
            return Outcome::Cut;
        }
        if self.ends.iter().any(|(_, model)| model.recovered() == found) {
            return Outcome::Older;
        }
        Outcome::Lost
    }

    /// What becomes of damage to a log of which everything was acknowledged.
    fn damaged(&self, damage: impl FnOnce(&MemoryDisk)) -> Outcome {
        match self.outcome(self.newest_model(), damage) {
            Outcome::Older => Outcome::Lost,
            outcome => outcome,
        }
    }
}

/// Where the frames of a segment begin and end.
pub(super) fn frames(disk: &MemoryDisk, number: u32) -> Vec<(usize, usize)> {
    let bytes = bytes_of(disk, number);
    let (mut frames, mut end) = (Vec::new(), SEGMENT_HEADER);
    while let Some(header) = bytes.get(frame_start(end)..).and_then(FrameHeader::decode) {
        let start = frame_start(end);
        end = start + header.frame_bytes();
        frames.push((start, end));
    }
    frames
}

fn bytes_of(disk: &MemoryDisk, number: u32) -> Vec<u8> {
    disk.with_bytes(&segment(number), |bytes| bytes.clone()).unwrap()
}

fn write(disk: &MemoryDisk, number: u32, at: usize, bytes: &[u8]) {
    disk.with_bytes(&segment(number), |all| all[at..at + bytes.len()].copy_from_slice(bytes))
        .unwrap();
}

/// Every how manieth case runs: all, or so many that each kind of place is met.
fn stride(sampled: usize) -> usize {
    if std::env::var("KVORUM_TORTURE").is_ok_and(|value| value == "full") { 1 } else { sampled }
}

fn flip_bits(subject: &Subject, table: &mut Table) {
    for number in subject.segments.clone() {
        let size = bytes_of(&subject.disk, number).len();
        let frames = frames(&subject.disk, number);
        let end = frames.last().unwrap().1;
        // Every bit of the groups that matter most: the first and the newest of the active segment,
        // and the one that begins the log anew.
        let bytes = bytes_of(&subject.disk, number);
        let newest = number == subject.active();
        let dense = frames.iter().enumerate().filter(|(at, (from, _))| {
            let end = newest && (*at == 0 || *at + 2 >= frames.len());
            end || bytes[from + 36] & 4 != 0
        });
        let dense: Vec<_> = dense.map(|(_, (from, to))| *from..*to).collect();
        for bit in 0..size * 8 {
            let byte = bit / 8;
            let sampled = if byte >= end { 251 } else { 149 };
            let all = newest && byte < 104 || dense.iter().any(|frame| frame.contains(&byte));
            if !all && bit % stride(sampled) != 0 {
                continue;
            }
            let frame = frames.iter().find(|(from, to)| (*from..*to).contains(&byte));
            let class = match frame {
                Some((from, _)) if byte < from + 48 => "bit flipped in the header of a group",
                Some((_, to)) if byte >= to - 8 => "bit flipped in the trailer of a group",
                Some(_) => "bit flipped in the payload of a group",
                None if byte < 104 => "bit flipped in the header of a segment",
                None if byte < end => "bit flipped between groups",
                None => "bit flipped behind the end",
            };
            let outcome = subject.damaged(|disk| {
                disk.with_bytes(&segment(number), |bytes| bytes[byte] ^= 1 << (bit % 8)).unwrap();
            });
            assert!(outcome <= Outcome::Refused, "{class}: bit {bit} of {number}: {outcome:?}");
            table.count(class, outcome);
        }
    }
}

fn truncate(subject: &Subject, table: &mut Table) {
    for number in subject.segments.clone() {
        let size = bytes_of(&subject.disk, number).len();
        for to in (0..size).step_by(stride(131)) {
            let class = "file cut short";
            let outcome = subject.damaged(|disk| {
                disk.with_bytes(&segment(number), |bytes| bytes.truncate(to)).unwrap();
            });
            assert_eq!(outcome, Outcome::Refused, "{class}: {number} to {to}");
            table.count(class, outcome);
        }
    }
}

/// A crash while the active segment was written: all before a byte is there, nothing after it.
fn tear(subject: &Subject, table: &mut Table) {
    let number = subject.active();
    let size = bytes_of(&subject.disk, number).len();
    for from in (subject.ends[0].0..size).step_by(stride(11)) {
        let class = "write torn at a byte";
        let acknowledged = subject.ends.iter().rfind(|(end, _)| *end <= from).unwrap();
        let outcome = subject.outcome(&acknowledged.1, |disk| {
            disk.with_bytes(&segment(number), |bytes| bytes[from..].fill(0)).unwrap();
            forget_vote(disk);
        });
        assert!(outcome <= Outcome::Cut, "{class}: from {from}: {outcome:?}");
        table.count(class, outcome);
    }
    for number in &subject.segments[..subject.segments.len() - 1] {
        let end = frames(&subject.disk, *number).last().unwrap().1;
        for from in (0..end).step_by(stride(67)) {
            let class = "end of a finished segment zero";
            let outcome = subject.damaged(|disk| {
                disk.with_bytes(&segment(*number), |bytes| bytes[from..].fill(0)).unwrap();
            });
            assert_eq!(outcome, Outcome::Refused, "{class}: {number} from {from}");
            table.count(class, outcome);
        }
    }
}

/// A sector that reads as zeros, on a log that was idle: the newest group is marked.
fn lose_sectors(subject: &Subject, table: &mut Table) {
    for number in subject.segments.clone() {
        let size = bytes_of(&subject.disk, number).len();
        for from in (0..size).step_by(512) {
            let class = "sector of an idle log zero";
            let outcome = subject.damaged(|disk| write(disk, number, from, &[0; 512]));
            assert!(outcome <= Outcome::Refused, "{class}: {number} at {from}: {outcome:?}");
            table.count(class, outcome);
        }
    }
}

/// Groups written over others, of any segment, and over the space behind the end.
fn misdirect(subject: &Subject, table: &mut Table) {
    let mut places: Vec<(u32, usize, usize)> = Vec::new();
    for number in subject.segments.clone() {
        let frames = frames(&subject.disk, number);
        places.extend(frames.iter().map(|(from, to)| (number, *from, *to - *from)));
    }
    let groups = places.len();
    let end = frames(&subject.disk, subject.active()).last().unwrap().1;
    places.extend([0, 8, 40, 512].map(|gap| (subject.active(), end + gap, 1 << 10)));
    let pairs = (0..groups).flat_map(|from| (0..places.len()).map(move |to| (from, to)));
    for (from, to) in pairs.filter(|(from, to)| from != to).step_by(stride(41)) {
        let (number, at, len) = places[from];
        let (target, place, space) = places[to];
        if len > space {
            continue;
        }
        let behind = to >= groups;
        let class = if behind { "group repeated behind the end" } else { "group over another" };
        let bytes = bytes_of(&subject.disk, number)[at..at + len].to_vec();
        let outcome = subject.damaged(|disk| write(disk, target, place, &bytes));
        assert!(outcome <= Outcome::Refused, "{class}: {from} over {to}: {outcome:?}");
        table.count(class, outcome);
    }
}

fn misplace(subject: &Subject, table: &mut Table) {
    let segments = subject.segments.clone();
    let set = |disk: &MemoryDisk, number: u32, bytes: &[u8]| {
        disk.with_bytes(&segment(number), |all| *all = bytes.to_vec()).unwrap();
    };
    for from in &segments {
        for to in segments.iter().filter(|to| *to > from) {
            let class = "two segments swapped";
            let (one, other) = (bytes_of(&subject.disk, *from), bytes_of(&subject.disk, *to));
            let outcome = subject.damaged(|disk| {
                set(disk, *from, &other);
                set(disk, *to, &one);
            });
            assert_eq!(outcome, Outcome::Refused, "{class}: {from} and {to}");
            table.count(class, outcome);
        }
        if *from != segments[0] {
            let class = "segment missing";
            let outcome = subject.damaged(|disk| disk.remove_file(&segment(*from)).unwrap());
            assert_eq!(outcome, Outcome::Refused, "{class}: {from}");
            table.count(class, outcome);
        }
        let class = "segment of another member";
        let theirs = {
            let mut bytes = bytes_of(&subject.disk, *from);
            let mut header = SegmentHeader::decode(&bytes).unwrap();
            header.identity.member_id += 1;
            bytes[..512].copy_from_slice(&header.encode());
            bytes
        };
        let outcome = subject.damaged(|disk| set(disk, *from, &theirs));
        assert_eq!(outcome, Outcome::Refused, "{class}: {from}");
        table.count(class, outcome);
    }
    for (number, bytes) in &subject.stale {
        let active = *number == subject.active();
        let class = if active { "old copy of the newest segment" } else { "old copy of a segment" };
        let outcome = subject.outcome(subject.newest_model(), |disk| set(disk, *number, bytes));
        // An older end is missed if a vote was given since.
        let expected = outcome == Outcome::Refused || active && outcome == Outcome::Older;
        assert!(expected, "{class}: {number}: {outcome:?}");
        table.count(class, outcome);
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the table is for README")]
fn nothing_acknowledged_is_lost_in_silence() {
    let mut table = Table::default();
    let busy = Subject::new(false);
    let frames: usize = busy.segments.iter().map(|number| frames(&busy.disk, *number).len()).sum();
    assert!(frames >= 200, "{frames} records");
    flip_bits(&busy, &mut table);
    truncate(&busy, &mut table);
    tear(&busy, &mut table);
    misdirect(&busy, &mut table);
    misplace(&busy, &mut table);
    lose_sectors(&Subject::new(true), &mut table);
    println!("{}", table.lines());
    let classes: Vec<_> = table.0.keys().map(|(class, _)| class).collect();
    assert!(classes.iter().any(|class| **class == "old copy of the newest segment"));
}
