use raft_proto::eraftpb::HardState;

use super::*;

/// A log as etcd's encoder writes it.
#[derive(Clone, Default)]
struct Writer {
    bytes: Vec<u8>,
    checksum: u32,
}

impl Writer {
    /// The head of a file that goes on where another ended.
    fn after(checksum: u32) -> Writer {
        let mut writer = Writer { bytes: Vec::new(), checksum };
        writer.frame(&Record { kind: CHECKSUM, checksum, data: Bytes::new() });
        writer.record(METADATA, b"who and where".to_vec());
        writer
    }

    fn record(&mut self, kind: i64, data: Vec<u8>) {
        self.checksum = crc32c_append(self.checksum, &data);
        self.frame(&Record { kind, checksum: self.checksum, data: data.into() });
    }

    fn frame(&mut self, record: &Record) {
        let record = record.encode_to_vec();
        let padding = (8 - record.len() % 8) % 8;
        let mut head = record.len() as u64;
        if padding > 0 {
            head |= (0x80 | padding as u64) << 56;
        }
        self.bytes.extend(head.to_le_bytes());
        self.bytes.extend(record);
        self.bytes.extend(vec![0; padding]);
    }

    fn entry(&mut self, index: u64, term: u64, data: &str) {
        let mut entry = Entry { index, term, data: data.to_owned().into(), ..Entry::default() };
        entry.set_entry_type(EntryType::EntryNormal);
        self.record(ENTRY, entry.encode_to_vec());
    }

    fn commit(&mut self, commit: u64) {
        self.record(STATE, HardState { term: 1, vote: 1, commit }.encode_to_vec());
    }
}

fn dir(files: &[&[u8]]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (number, bytes) in files.iter().enumerate() {
        let name = format!("{number:016x}-{:016x}.wal", 10 * number);
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    // etcd prepares the next file ahead.
    fs::write(dir.path().join("0.tmp"), [0; 64]).unwrap();
    dir
}

/// All entries after one, and how many of them are not known to be committed.
fn found(files: &[&[u8]], after: u64) -> Result<(Vec<(u64, String)>, u64), WalError> {
    let mut found = Vec::new();
    let rest = read(dir(files).path(), after, |entry| -> Result<(), WalError> {
        found.push((entry.index, String::from_utf8(entry.data.to_vec()).unwrap()));
        Ok(())
    })?;
    Ok((found, rest))
}

fn all(files: &[&[u8]], after: u64) -> Result<Vec<(u64, String)>, WalError> {
    Ok(found(files, after)?.0)
}

fn of(entries: &[(u64, &str)]) -> Vec<(u64, String)> {
    entries.iter().map(|(index, data)| (*index, (*data).to_owned())).collect()
}

/// Two files; what follows the last commit is not committed, and some was replaced.
fn two_files() -> [Vec<u8>; 2] {
    let mut first = Writer::after(0);
    first.record(SNAPSHOT, vec![]);
    first.entry(1, 1, "one");
    first.entry(2, 1, "void");
    first.entry(3, 1, "void");
    first.entry(2, 2, "two");
    first.commit(2);
    let mut second = Writer::after(first.checksum);
    second.commit(2);
    second.entry(3, 2, "three");
    second.entry(4, 2, "four");
    second.commit(3);
    second.bytes.extend([0; 4096]);
    [first.bytes, second.bytes]
}

#[test]
fn every_entry_is_handed_out_once_and_in_order_whether_or_not_it_is_known_to_be_committed() {
    let [first, second] = two_files();
    let files: [&[u8]; 2] = [&first, &second];
    let four = of(&[(1, "one"), (2, "two"), (3, "three"), (4, "four")]);
    assert_eq!(found(&files, 0).unwrap(), (four, 1));
    assert_eq!(found(&files, 2).unwrap(), (of(&[(3, "three"), (4, "four")]), 1));
    // The store may be further than the last note of what is committed.
    assert_eq!(found(&files, 3).unwrap(), (of(&[(4, "four")]), 1));
    assert_eq!(found(&files, 4).unwrap(), (vec![], 0));
}

#[test]
fn a_store_that_is_further_than_the_log_is_refused() {
    let [first, second] = two_files();
    let error = found(&[&first, &second], 5).unwrap_err();
    assert!(matches!(error, WalError::StoreAhead { applied: 5, last: 4 }), "{error}");
    // Unless the state came from another member, as the log then says.
    let mut log = Writer::after(0);
    log.entry(1, 1, "one");
    log.record(SNAPSHOT, Snapshot { index: 9 }.encode_to_vec());
    assert_eq!(found(&[&log.bytes], 9).unwrap(), (vec![], 0));
    log.entry(10, 1, "ten");
    assert_eq!(found(&[&log.bytes], 9).unwrap(), (of(&[(10, "ten")]), 1));
}

#[test]
fn a_store_older_than_the_state_that_the_log_goes_on_from_is_refused() {
    let mut log = Writer::after(0);
    log.entry(1, 1, "one");
    log.record(SNAPSHOT, Snapshot { index: 9 }.encode_to_vec());
    let error = found(&[&log.bytes], 1).unwrap_err();
    assert!(matches!(error, WalError::StoreBehind { snapshot: 9, last: 1 }), "{error}");
}

#[test]
fn old_files_may_be_gone_but_nothing_that_is_wanted() {
    let [_, second] = two_files();
    assert_eq!(all(&[&second], 2).unwrap(), of(&[(3, "three"), (4, "four")]));
    assert!(matches!(all(&[&second], 1), Err(WalError::Damaged { .. })));
    let directory = dir(&[&second, &second, &second]);
    let middle = directory.path().join(format!("{:016x}-{:016x}.wal", 1, 10));
    fs::remove_file(middle).unwrap();
    let found = read(directory.path(), 2, |_| Ok::<_, WalError>(()));
    assert!(matches!(found, Err(WalError::Gap(_))), "{found:?}");
    let found = read(tempfile::tempdir().unwrap().path(), 0, |_| Ok::<_, WalError>(()));
    assert!(matches!(found, Err(WalError::NoLog(_))), "{found:?}");
}

#[test]
fn a_file_that_does_not_go_on_where_the_one_before_ended_is_refused() {
    let [first, _] = two_files();
    let mut stranger = Writer::after(0x1234);
    stranger.entry(3, 2, "three");
    assert!(matches!(all(&[&first, &stranger.bytes], 0), Err(WalError::Damaged { .. })));
}

#[test]
fn a_last_file_that_was_cut_anywhere_gives_what_it_still_says_or_is_refused() {
    let [first, second] = two_files();
    let whole = all(&[&first, &second], 0).unwrap();
    for cut in 0..second.len() {
        let Ok(found) = all(&[&first, &second[..cut]], 0) else { continue };
        assert!(whole.starts_with(&found), "cut at {cut}: {found:?}");
        assert!(found.len() >= 2, "what the first file says is whole");
    }
    // A file before it is never cut.
    let cut = &first[..first.len() - 4];
    assert!(all(&[cut, &second], 0).is_err());
}

#[test]
fn a_log_with_any_bit_changed_gives_a_part_of_the_truth_or_is_refused() {
    let [first, second] = two_files();
    let whole = all(&[&first, &second], 0).unwrap();
    // Of the zeros at the end a few are enough.
    for (file, len) in [(0, first.len()), (1, second.len() - 4000)] {
        for at in 0..len {
            for bit in 0..8 {
                let mut files = [first.clone(), second.clone()];
                files[file][at] ^= 1 << bit;
                if let Ok(found) = all(&[&files[0], &files[1]], 0) {
                    assert!(whole.starts_with(&found), "byte {at} of file {file}: {found:?}");
                }
            }
        }
    }
}

#[test]
fn a_record_of_which_a_sector_was_not_written_ends_the_last_file() {
    let mut log = Writer::after(0);
    log.entry(1, 1, "one");
    log.commit(1);
    let torn = log.bytes.len();
    log.entry(2, 1, &"x".repeat(4000));
    let mut bytes = log.bytes.clone();
    let sector = torn.next_multiple_of(512);
    bytes[sector..sector + 512].fill(0);
    assert_eq!(all(&[&bytes], 0).unwrap(), of(&[(1, "one")]));
    // Nor is it the end when there is more.
    let mut more = Writer { bytes: bytes.clone(), checksum: log.checksum };
    more.entry(3, 1, "three");
    assert!(matches!(all(&[&more.bytes], 0), Err(WalError::Damaged { .. })));
    // Less than a sector is no crash.
    let mut bytes = log.bytes.clone();
    bytes[sector..sector + 500].fill(0);
    assert!(matches!(all(&[&bytes], 0), Err(WalError::Damaged { .. })));
}

#[test]
fn a_record_that_says_it_is_huge_takes_no_memory() {
    let mut bytes = Writer::after(0).bytes;
    bytes.extend(((1_u64 << 55) | 5).to_le_bytes());
    bytes.extend([1; 64]);
    assert!(matches!(all(&[&bytes], 0), Err(WalError::Damaged { .. })));
}
