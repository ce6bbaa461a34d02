//! What the virtual disk keeps, what it loses, and what it does to whoever believes it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvorum_core::node::Group;
use kvorum_core::store::{Change, Position, Revision, StateHash, Value, Version};
use raft_proto::eraftpb::{Entry, HardState};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::identity::Identity;
use crate::storage::backend::{Backend, RedbBackend};
use crate::storage::disk::{Disk, DiskFile, Lock};
use crate::storage::wal::{Log, Options};

const OURS: Identity = Identity { cluster_id: 0xc1, member_id: 0xa1, incarnation: 0x77 };

fn path() -> &'static Path {
    Path::new("/file")
}

/// A disk with an empty durable file.
fn file() -> (MemoryDisk, Arc<dyn DiskFile>) {
    let disk = MemoryDisk::new();
    let file = disk.create(path()).unwrap();
    file.sync().unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    (disk, file)
}

fn bytes(disk: &MemoryDisk) -> Vec<u8> {
    let file = disk.open(path()).unwrap();
    let mut bytes = vec![0; file.size().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

fn fail(errno: Errno, op: Op) -> Fault {
    Fault::new(Effect::Fail(errno), &[op])
}

/// What a file should be: bytes in the cache and on the medium, the naive way.
#[derive(Default)]
struct Model {
    cache: Vec<u8>,
    medium: Vec<u8>,
    pending: Vec<(usize, Option<Vec<u8>>)>,
}

impl Model {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.cache, offset, bytes);
        self.pending.push((offset, Some(bytes.to_vec())));
    }

    fn resize(&mut self, size: usize) {
        self.cache.resize(size, 0);
        self.pending.push((size, None));
    }

    fn crash(&mut self, mut survives: impl FnMut() -> bool) {
        for (at, change) in std::mem::take(&mut self.pending) {
            let Some(bytes) = change else {
                if survives() {
                    self.medium.resize(at, 0);
                }
                continue;
            };
            let mut from = 0;
            while from < bytes.len() {
                let to = bytes.len().min(from + 512 - (at + from) % 512);
                if survives() {
                    put(&mut self.medium, at + from, &bytes[from..to]);
                }
                from = to;
            }
        }
        self.cache.clone_from(&self.medium);
    }
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    file.resize(file.len().max(offset + bytes.len()), 0);
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
}

#[test]
fn it_holds_and_loses_what_a_naive_model_does() {
    for seed in 0..60 {
        let mut random = StdRng::seed_from_u64(seed);
        let (disk, mut file) = file();
        let mut model = Model::default();
        for step in 0..150 {
            let what = format!("seed {seed} step {step}");
            let offset = random.random_range(0..20_000);
            match random.random_range(0..20) {
                0..10 => {
                    let len = random.random_range(1..if step % 9 == 0 { 9000 } else { 300 });
                    let value = if random.random_bool(0.3) { 0 } else { random.random() };
                    let bytes = vec![value; len];
                    file.write_at(&bytes, offset as u64).unwrap();
                    model.write(offset, &bytes);
                }
                10 => {
                    file.set_size(offset as u64).unwrap();
                    model.resize(offset);
                }
                11 => {
                    file.preallocate(offset as u64).unwrap();
                    model.resize(offset.max(model.cache.len()));
                }
                12..16 => {
                    file.sync().unwrap();
                    model.medium.clone_from(&model.cache);
                    model.pending.clear();
                }
                16 => {
                    let survival = random.random_range(0.0..1.0);
                    let mut same = random.clone();
                    disk.crash(|| random.random_bool(survival));
                    model.crash(|| same.random_bool(survival));
                    file = disk.open(path()).unwrap();
                }
                _ => {
                    let mut read = vec![1; random.random_range(0..9000)];
                    let len = file.read_at(&mut read, offset as u64).unwrap();
                    let rest = model.cache.get(offset..).unwrap_or_default();
                    assert_eq!(read[..len], rest[..rest.len().min(read.len())], "{what}");
                }
            }
            assert!(bytes(&disk) == model.cache, "{what}");
            assert!(bytes(&disk.copy()) == model.cache, "{what}: the copy");
        }
    }
}

#[test]
fn a_sync_moves_only_what_was_written_and_zeros_take_no_memory() {
    let (disk, file) = file();
    let segment = 64 << 20;
    file.preallocate(segment).unwrap();
    file.write_at(&vec![0; 1 << 20], 0).unwrap();
    file.sync().unwrap();
    disk.take_work();
    for at in 0..1000 {
        file.write_at(&[7; 200], at * 200).unwrap();
        file.sync().unwrap();
    }
    let work = disk.take_work();
    assert_eq!((work.writes, work.written_bytes, work.syncs), (1000, 200_000, 1000));
    assert!(work.synced_bytes <= 2 * 4096 * 1000, "{work:?}");
    assert_eq!(disk.take_work(), Work::default());
    assert_eq!(disk.allocated_bytes(), segment);
    assert!(disk.state().files.values().all(|file| file.pages_in_memory() < 110));
}

#[test]
fn a_file_that_is_gone_takes_no_space() {
    let (disk, file) = file();
    file.write_at(&[1; 8192], 0).unwrap();
    disk.remove_file(path()).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    assert_eq!(disk.allocated_bytes(), 8192, "it is open");
    let mut read = [0; 1];
    assert_eq!(file.read_at(&mut read, 8000).unwrap(), 1);
    drop(file);
    assert_eq!(disk.allocated_bytes(), 0);
    assert!(disk.state().files.is_empty());
    // One whose name may come back stays.
    let (disk, file) = self::file();
    file.write_at(&[1; 8192], 0).unwrap();
    file.sync().unwrap();
    drop(file);
    disk.remove_file(path()).unwrap();
    disk.crash(|| false);
    assert_eq!(bytes(&disk), [1; 8192]);
    disk.create(Path::new("/new")).unwrap().write_at(b"new", 0).unwrap();
    disk.rename(Path::new("/new"), path()).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    assert_eq!(disk.state().files.len(), 1, "what was replaced is gone");
}

#[test]
fn after_a_failed_sync_the_next_one_lies() {
    for errno in [Errno::Eio, Errno::Enospc] {
        let (disk, file) = file();
        file.write_at(&[1; 5000], 0).unwrap();
        file.sync().unwrap();
        file.write_at(&[2; 100], 0).unwrap();
        disk.inject(fail(errno, Op::Sync).times(1));
        assert!(file.sync().is_err());
        file.sync().unwrap();
        assert_eq!(bytes(&disk)[0], 2, "it can be read");
        let copy_of_cache = bytes(&disk);
        // What is written to the page afterwards takes all of the page with it.
        file.write_at(&[3], 4096).unwrap();
        file.sync().unwrap();
        disk.crash(|| false);
        assert_eq!(bytes(&disk)[..3], [1, 1, 1], "{errno:?}");
        assert_eq!(bytes(&disk)[4096], 3);
        let file = disk.open(path()).unwrap();
        file.write_at(&[2; 100], 0).unwrap();
        disk.inject(fail(errno, Op::Sync).times(1));
        file.sync().unwrap_err();
        file.write_at(&[3], 4095).unwrap();
        file.sync().unwrap();
        disk.crash(|| false);
        assert_eq!(bytes(&disk)[..100], copy_of_cache[..100]);
    }
}

#[test]
fn what_failed_to_be_synced_may_have_arrived() {
    let (disk, file) = file();
    file.write_at(&[2; 1024], 0).unwrap();
    disk.inject(fail(Errno::Eio, Op::Sync).times(1));
    file.sync().unwrap_err();
    file.sync().unwrap();
    let mut sector = 0;
    disk.crash(|| {
        sector += 1;
        sector == 2
    });
    assert_eq!(bytes(&disk), [[0; 512], [2; 512]].concat());
}

#[test]
fn a_page_that_failed_to_be_synced_is_dirty_as_a_whole_when_it_is_written_again() {
    let (disk, file) = file();
    file.write_at(&[2; 1024], 0).unwrap();
    disk.inject(fail(Errno::Eio, Op::Sync).times(1));
    file.sync().unwrap_err();
    file.write_at(&[3], 4000).unwrap();
    // The two sectors that failed did not arrive then; all of the page has now.
    let mut sector = 0;
    disk.crash(|| {
        sector += 1;
        sector > 2
    });
    assert_eq!(bytes(&disk)[..1024], [2; 1024]);
    assert_eq!(sector, 10);
}

#[test]
fn without_the_cache_a_failed_sync_is_seen() {
    let (disk, file) = file();
    file.write_at(&[1; 5000], 0).unwrap();
    file.sync().unwrap();
    file.write_at(&[2; 100], 0).unwrap();
    disk.inject(fail(Errno::Eio, Op::Sync).times(1));
    file.sync().unwrap_err();
    file.write_at(&[3; 100], 4096).unwrap();
    file.forget_cache().unwrap();
    let read = bytes(&disk);
    assert_eq!((read[0], read[4096]), (1, 3), "what waits to be written stays");
}

#[test]
fn a_process_that_dies_before_a_sync_leaves_what_it_wrote() {
    let (disk, file) = file();
    disk.fail_after(1);
    file.write_at(&[2; 100], 0).unwrap();
    file.sync().unwrap_err();
    assert!(file.write_at(&[3; 100], 0).is_err());
    disk.heal();
    file.sync().unwrap();
    disk.crash(|| false);
    assert_eq!(bytes(&disk), [2; 100]);
}

#[test]
fn a_fault_strikes_what_it_is_for_and_when() {
    let disk = MemoryDisk::new();
    for dir in ["/log", "/other"] {
        disk.create_dir_all(Path::new(dir)).unwrap();
    }
    let log = disk.create(Path::new("/log/1.new")).unwrap();
    let other = disk.create(Path::new("/other/1")).unwrap();
    disk.rename(Path::new("/log/1.new"), Path::new("/log/1")).unwrap();
    disk.inject(fail(Errno::Enospc, Op::Write).under(Path::new("/log/1")).once_after(2));
    disk.inject(fail(Errno::Eio, Op::Read).under(Path::new("/other")));
    let kind = |result: io::Result<()>| result.err().map(|error| error.kind());
    let written: Vec<_> = (0..4).map(|_| kind(log.write_at(b"x", 0))).collect();
    assert_eq!(written, [None, None, Some(io::ErrorKind::StorageFull), None]);
    other.write_at(b"x", 0).unwrap();
    other.read_at(&mut [0], 0).unwrap_err();
    log.read_at(&mut [0], 0).unwrap();
    disk.heal();
    other.read_at(&mut [0], 0).unwrap();
    disk.inject(Fault::new(Effect::Fail(Errno::Erofs), &Op::NEED_WRITABLE));
    assert_eq!(
        kind(disk.open(Path::new("/log/1")).map(drop)),
        Some(io::ErrorKind::ReadOnlyFilesystem)
    );
    log.read_at(&mut [0], 0).unwrap();
}

#[test]
fn a_short_write_leaves_its_first_sectors() {
    let (disk, file) = file();
    let effect = Effect::Short { sectors: 2, errno: Errno::Eio };
    disk.inject(Fault::new(effect, &[Op::Write]).times(1));
    file.write_at(&[1; 3000], 100).unwrap_err();
    assert_eq!(bytes(&disk).len(), 1024);
    assert_eq!(bytes(&disk)[100..], [1; 924]);
}

#[test]
fn a_lost_write_is_read_until_the_crash() {
    let (disk, file) = file();
    disk.inject(Fault::new(Effect::Lose, &[Op::Write]).once_after(1));
    file.write_at(&[1; 4096], 0).unwrap();
    file.write_at(&[2; 4096], 4096).unwrap();
    file.write_at(&[3; 4096], 8192).unwrap();
    file.sync().unwrap();
    assert_eq!(bytes(&disk)[4096], 2);
    disk.crash(|| true);
    assert_eq!(bytes(&disk), [[1; 4096], [0; 4096], [3; 4096]].concat());
}

#[test]
fn a_lost_sync_is_acknowledged() {
    let (disk, file) = file();
    disk.inject(Fault::new(Effect::Lose, &[Op::Sync, Op::SyncDir]));
    file.write_at(&[1; 10], 0).unwrap();
    file.sync().unwrap();
    disk.create(Path::new("/named")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk.heal();
    file.sync().unwrap();
    disk.crash(|| false);
    assert!(bytes(&disk).iter().all(|byte| *byte == 0));
    assert!(disk.kind(Path::new("/named")).unwrap().is_none());
}

#[test]
fn a_misdirected_write_damages_what_it_hits() {
    let (disk, file) = file();
    let other = disk.create(Path::new("/other")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    for file in [&file, &other] {
        file.write_at(&[1; 8192], 0).unwrap();
        file.sync().unwrap();
    }
    let elsewhere = Effect::Misdirect { file: None, offset: 4096 };
    disk.inject(Fault::new(elsewhere, &[Op::Write]).times(1));
    let other_file = Effect::Misdirect { file: Some(path().to_owned()), offset: 4100 };
    disk.inject(Fault::new(other_file, &[Op::Write]).under(Path::new("/other")).times(1));
    file.write_at(&[2; 2], 0).unwrap();
    other.write_at(&[3; 2], 0).unwrap();
    file.sync().unwrap();
    assert_eq!((bytes(&disk)[0], bytes(&disk)[4096]), (2, 1), "the cache is right");
    disk.crash(|| false);
    let found = bytes(&disk);
    assert_eq!((found[0], &found[4096..4103]), (1, &[2, 2, 1, 1, 3, 3, 1][..]));
}

#[test]
fn a_full_disk_takes_what_fits_and_what_was_reserved() {
    let (disk, file) = file();
    disk.set_capacity(Some(3 * 4096));
    file.preallocate(8192).unwrap();
    assert_eq!(file.preallocate(5 * 4096).unwrap_err().kind(), io::ErrorKind::StorageFull);
    let error = file.write_at(&[1; 8192], 8192).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(bytes(&disk).len(), 3 * 4096, "what fits is written");
    file.write_at(&[2; 3 * 4096], 0).unwrap();
    let other = disk.create(Path::new("/other")).unwrap();
    assert!(other.write_at(&[0], 0).is_err());
    disk.crash(|| true);
    let file = disk.open(path()).unwrap();
    assert!(file.write_at(&[1], 3 * 4096).is_err(), "a crash makes no room");
    disk.set_capacity(None);
    file.write_at(&[1], 3 * 4096).unwrap();
}

#[test]
fn of_the_changes_of_names_any_may_be_lost_with_all_that_follow_on_it() {
    let made = |survive: &[bool]| {
        let (disk, _) = file();
        disk.create(Path::new("/1")).unwrap();
        disk.create(Path::new("/2.new")).unwrap();
        disk.rename(Path::new("/2.new"), Path::new("/2")).unwrap();
        disk.create_dir_all(Path::new("/dir")).unwrap();
        disk.create(Path::new("/dir/3")).unwrap();
        disk.remove_file(path()).unwrap();
        let mut answers = survive.iter();
        disk.crash(|| *answers.next().expect("it asks too often"));
        assert_eq!(answers.next(), None, "it asks too little");
        let names = disk.files().into_iter().map(|path| path.to_str().unwrap().to_owned());
        names.collect::<Vec<_>>().join(" ")
    };
    let (y, n) = (true, false);
    assert_eq!(made(&[y, y, y, y, y, y]), "/1 /2 /dir/3");
    assert_eq!(made(&[n, y, y, y, y, y]), "/2 /dir/3");
    assert_eq!(made(&[n, y, n, y, n, n]), "/2.new /file");
    assert_eq!(made(&[y, n, n, y]), "/1");
    assert_eq!(made(&[n, n, n, n]), "/file");
}

#[test]
fn a_bit_flips_at_rest() {
    let (disk, file) = file();
    file.write_at(&[0, 0, 5, 0, 6], 4095).unwrap();
    file.sync().unwrap();
    let pick = |nth| disk.pick_byte(|_| true, |count| if count == 2 { nth } else { 99 });
    assert_eq!(pick(0), Some((path().to_owned(), 4097)));
    assert_eq!(pick(1), Some((path().to_owned(), 4099)));
    assert_eq!(disk.pick_byte(|path| path == Path::new("/no"), |_| 0), None);
    assert!(disk.flip(path(), 4097, 1).unwrap());
    assert!(!disk.flip(path(), 4100, 1).unwrap(), "it is behind the end");
    assert_eq!(bytes(&disk)[4095..], [0, 0, 7, 0, 6]);
    disk.crash(|| false);
    assert_eq!(bytes(&disk)[4095..], [0, 0, 7, 0, 6]);
}

#[test]
fn what_was_done_is_written_down() {
    let disk = MemoryDisk::new();
    disk.record();
    let file = disk.create(path()).unwrap();
    disk.inject(fail(Errno::Eio, Op::Sync));
    file.write_at(b"abc", 0).unwrap();
    file.sync().unwrap_err();
    let Lock::Held(_) = disk.lock(Path::new("/lock"), "").unwrap() else { panic!("it is taken") };
    let record: Vec<_> =
        disk.take_record().into_iter().map(|done| (done.op, done.bytes, done.failed)).collect();
    let expected =
        [(Op::Create, 0, false), (Op::Write, 3, false), (Op::Sync, 0, true), (Op::Lock, 0, false)];
    assert_eq!(record, expected);
}

/// Appends and syncs groups of one entry of 200 bytes.
fn append(disk: &MemoryDisk, count: u64) -> Duration {
    let dir = Path::new("/log");
    disk.create_dir_all(dir).unwrap();
    let options = Options::default();
    Log::create(disk, dir, OURS, (0, 0), options).unwrap();
    let (mut log, _) = Log::open(Arc::new(disk.clone()), dir, OURS, 0, options).unwrap();
    let began = Instant::now();
    for index in 1..=count {
        let data = Bytes::from_static(&[7; 200]);
        let entries = vec![Entry { index, term: 1, data, ..Entry::default() }];
        let hard_state = Some(HardState { term: 1, vote: 7, commit: index - 1 });
        let number = index;
        log.append(&Group { number, entries, hard_state, ..Group::default() }).unwrap();
        log.sync().unwrap();
    }
    began.elapsed()
}

/// Commits transactions of 20 records of 100 bytes.
fn commit(disk: &MemoryDisk, count: u64) -> Duration {
    let path = Path::new("/store.redb");
    let position = |index| Position { index, term: 1, ..Position::default() };
    RedbBackend::create(disk, path, OURS, &[], &position(0)).unwrap();
    let mut backend = RedbBackend::open(disk, path).unwrap();
    let version = |main: i64| Version {
        key: Bytes::from(format!("key{}", main % 97)),
        value: Value::Resident(Bytes::from_static(&[5; 100])),
        value_len: 100,
        at: Revision { main, sub: 0 },
        create_revision: main,
        version: 1,
        lease: 0,
        prev: None,
        jump: None,
        depth: 0,
        hash: StateHash::default(),
    };
    let began = Instant::now();
    for index in 1..=count {
        let mains = index as i64 * 20..index as i64 * 20 + 20;
        let changes: Vec<Change> =
            mains.map(|main| Change::Version(Arc::new(version(main)))).collect();
        backend.commit(&changes, &position(index)).unwrap();
    }
    began.elapsed()
}

#[test]
fn a_log_and_a_store_cost_little_on_it() {
    // `KVORUM_BENCH` is for measuring: the figures are of the whole log and the whole store.
    let bench = std::env::var_os("KVORUM_BENCH").is_some();
    let (appends, commits) = if bench { (10_000, 1000) } else { (2000, 50) };
    let disk = MemoryDisk::new();
    let (log, store) = (append(&disk, appends), commit(&disk, commits));
    if bench {
        let mut out = io::stdout();
        let figures = format!("{appends} appends {log:?}, {commits} commits {store:?}\n");
        io::Write::write_all(&mut out, figures.as_bytes()).unwrap();
    }
    // A disk that copies whole segments at each sync needs minutes.
    assert!(log + store < Duration::from_secs(10), "{log:?} {store:?}");
}
