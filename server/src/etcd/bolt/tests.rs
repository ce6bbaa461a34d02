use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::{Strategy, any, prop, prop_assert_eq, proptest};

use super::*;

const NAMES: [&str; 4] = ["alarm", "key", "members", "meta"];

type Content = BTreeMap<&'static str, BTreeMap<Vec<u8>, Vec<u8>>>;

struct ToMemory(Vec<u8>);

impl Sink for ToMemory {
    type Error = BuildError;
    const WRITES: bool = true;

    fn put(&mut self, bytes: Vec<u8>) -> Result<(), BuildError> {
        self.0.extend(bytes);
        Ok(())
    }
}

fn fill<S: Sink>(content: &Content, builder: &mut Builder<S>) -> Result<(), S::Error> {
    for (name, items) in content {
        builder.bucket(name)?;
        for (key, value) in items {
            builder.item(key, value.len(), || Ok(Bytes::copy_from_slice(value)))?;
        }
    }
    Ok(())
}

fn built(content: &Content) -> Vec<u8> {
    let mut measured = Builder::measure();
    fill(content, &mut measured).unwrap();
    let (layout, _) = measured.finish().unwrap();
    let mut writer = Builder::write(ToMemory(Vec::new()), layout).unwrap();
    fill(content, &mut writer).unwrap();
    let (_, ToMemory(bytes)) = writer.finish().unwrap();
    assert_eq!(bytes.len() as u64, layout.file_bytes());
    bytes
}

fn on_disk(bytes: &[u8]) -> (Arc<File>, u64) {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    (Arc::new(file), bytes.len() as u64)
}

type Found = BTreeMap<Vec<u8>, Vec<(Bytes, Bytes)>>;

/// Everything in a file, or why it cannot be read. A walk that does not end fails the test.
fn read((file, size): (Arc<File>, u64)) -> Result<Found, BoltError> {
    let bolt = Bolt::open(file, size)?;
    let mut all = BTreeMap::new();
    for bucket in bolt.buckets()? {
        let (name, entries) = bucket?;
        let items: Vec<_> = entries.take(1_000_000).collect::<Result<_, _>>()?;
        assert!(items.len() < 1_000_000, "the walk does not end");
        all.insert(name.to_vec(), items);
    }
    Ok(all)
}

fn assert_holds(bytes: &[u8], content: &Content) {
    let found = read(on_disk(bytes)).unwrap();
    assert_eq!(found.len(), content.len());
    for (name, items) in content {
        let found: BTreeMap<_, _> =
            found[name.as_bytes()].iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
        assert_eq!(&found, items, "{name}");
    }
}

fn of_keys(count: u32, value: usize) -> Content {
    let items = (0..count).map(|key| (key.to_be_bytes().to_vec(), vec![key as u8; value]));
    NAMES.into_iter().map(|name| (name, items.clone().collect())).collect()
}

#[test]
fn what_is_written_is_read_back_at_every_depth() {
    for count in [0, 1, 2, 100, 10_000, 60_000] {
        let content = of_keys(count, 3);
        assert_holds(&built(&content), &content);
    }
    let large = of_keys(30, 10_000);
    assert_holds(&built(&large), &large);
}

#[test]
fn every_branch_has_two_children() {
    // As many as fill a leaf, and around as many leaves as fill a branch.
    let in_leaf = ((PAGE_BYTES - format::PAGE_HEADER) / (format::ELEMENT + 4 + 3)) as u32;
    let in_branch = ((PAGE_BYTES - format::PAGE_HEADER) / (format::ELEMENT + 4)) as u32;
    for leaves in in_branch - 1..=in_branch + 2 {
        let bytes = built(&of_keys(leaves * in_leaf, 3));
        for page in bytes.chunks(PAGE_BYTES) {
            let header = format::Header::decode(page).unwrap();
            assert!(header.kind != format::BRANCH || header.count >= 2, "of {leaves} leaves");
        }
    }
}

#[test]
fn a_value_of_another_length_than_measured_is_refused() {
    let mut measured = Builder::measure();
    measured.bucket("key").unwrap();
    measured.item(b"k", 4, || unreachable!("nothing is read to measure")).unwrap();
    let (layout, _) = measured.finish().unwrap();
    let mut writer = Builder::write(ToMemory(Vec::new()), layout).unwrap();
    writer.bucket("key").unwrap();
    let error = writer.item(b"k", 4, || Ok(Bytes::from_static(b"abc"))).unwrap_err();
    assert_eq!(error, BuildError::Length { measured: 4, found: 3 });
}

#[test]
fn content_that_changed_between_the_passes_is_refused() {
    let mut measured = Builder::measure();
    fill(&of_keys(1000, 3), &mut measured).unwrap();
    let (layout, _) = measured.finish().unwrap();
    let mut writer = Builder::write(ToMemory(Vec::new()), layout).unwrap();
    fill(&of_keys(2000, 3), &mut writer).unwrap();
    assert_eq!(writer.finish().err(), Some(BuildError::Changed));
}

#[test]
fn a_file_without_its_first_meta_page_is_read_by_its_second() {
    let content = of_keys(100, 3);
    let mut bytes = built(&content);
    bytes[..PAGE_BYTES].fill(0);
    assert_holds(&bytes, &content);
    bytes[PAGE_BYTES..2 * PAGE_BYTES].fill(0);
    assert!(matches!(read(on_disk(&bytes)), Err(BoltError::NoMeta)));
}

#[test]
fn a_file_that_lost_its_end_says_so() {
    let bytes = built(&of_keys(1000, 3));
    for cut in [1, PAGE_BYTES, bytes.len() / 2] {
        let read = read(on_disk(&bytes[..bytes.len() - cut]));
        assert!(matches!(read, Err(BoltError::Short { .. })), "{read:?}");
    }
    assert!(read(on_disk(&[])).is_err());
}

/// The branches of a file, each with the pages that it leads to.
fn branches(bytes: &[u8]) -> BTreeMap<usize, Vec<usize>> {
    let pages = bytes.chunks(PAGE_BYTES).enumerate().filter_map(|(id, page)| {
        let header = format::Header::decode(page).unwrap();
        let child = |at: usize| {
            format::u64_at(page, format::PAGE_HEADER + at * format::ELEMENT + 8).unwrap() as usize
        };
        let children = (0..usize::from(header.count)).map(child);
        (header.kind == format::BRANCH).then(|| (id, children.collect()))
    });
    pages.collect()
}

/// A page that leads to itself, and two pages that lead to each other.
#[test]
fn a_tree_that_goes_round_in_a_circle_is_refused() {
    let bytes = built(&of_keys(60_000, 3));
    let branches = branches(&bytes);
    let above = |page: &usize| branches.iter().find(|(_, below)| below.contains(page));
    let mut circles_of_two = 0;
    for page in branches.keys() {
        let parent = above(page).map(|(parent, _)| parent);
        circles_of_two += usize::from(parent.is_some());
        for to in [Some(page), parent].into_iter().flatten() {
            let mut circle = bytes.clone();
            let child = page * PAGE_BYTES + format::PAGE_HEADER + 8;
            circle[child..child + 8].copy_from_slice(&(*to as u64).to_le_bytes());
            let read = read(on_disk(&circle));
            assert!(matches!(read, Err(BoltError::Page { .. })), "{page} leads to {to}");
        }
    }
    assert!(circles_of_two >= 4, "the tree is too low");
}

/// All children of a branch are one leaf, which goes on over hundreds of pages and has no items.
#[test]
fn a_page_that_is_led_to_again_and_again_counts_with_all_that_it_goes_on_over() {
    let small = of_keys(10_000, 3).remove("key").unwrap();
    let large = BTreeMap::from([(vec![1], vec![7; 1 << 20])]);
    let mut bytes = built(&Content::from([("alarm", large), ("key", small)]));
    let is_large = |id: &usize| {
        let header = format::Header::decode(&bytes[id * PAGE_BYTES..]).unwrap();
        header.kind == format::LEAF && header.id == *id as u64 && header.overflow > 200
    };
    let leaf = (2..bytes.len() / PAGE_BYTES).find(is_large).unwrap();
    bytes[leaf * PAGE_BYTES + 10..][..2].fill(0);
    for (branch, children) in branches(&bytes) {
        for at in 0..children.len() {
            let child = branch * PAGE_BYTES + format::PAGE_HEADER + at * format::ELEMENT + 8;
            bytes[child..child + 8].copy_from_slice(&(leaf as u64).to_le_bytes());
        }
    }
    assert!(matches!(read(on_disk(&bytes)), Err(BoltError::Page { .. })));
}

#[test]
fn a_file_with_any_byte_changed_is_read_or_refused_and_never_more() {
    let content = of_keys(40, 30);
    let bytes = built(&content);
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(&bytes, 0).unwrap();
    let file = Arc::new(file);
    for at in 0..bytes.len() {
        let zeros = bytes[at] == 0 && at % 7 != 0;
        let changes: &[u8] = if zeros { &[0xff] } else { &[0x01, 0x02, 0x80, 0xff] };
        for change in changes {
            file.write_all_at(&[bytes[at] ^ change], at as u64).unwrap();
            let _ = read((Arc::clone(&file), bytes.len() as u64));
        }
        file.write_all_at(&bytes[at..=at], at as u64).unwrap();
    }
    assert!(read((file, bytes.len() as u64)).is_ok());
}

fn bucket() -> impl Strategy<Value = BTreeMap<Vec<u8>, Vec<u8>>> {
    let key = prop::collection::vec(any::<u8>(), 1..40);
    let long = prop::collection::vec(any::<u8>(), 0..9000);
    let value = prop::collection::vec(any::<u8>(), 0..60);
    prop::collection::btree_map(key, proptest::prop_oneof![9 => value, 1 => long], 0..300)
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn any_content_is_read_back(buckets in prop::collection::vec(bucket(), 4)) {
        let content: Content = NAMES.into_iter().zip(buckets).collect();
        assert_holds(&built(&content), &content);
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        junk in prop::collection::vec((0..20_000_usize, any::<u8>()), 1..60),
    ) {
        let mut bytes = built(&of_keys(400, 20));
        let len = bytes.len();
        for (at, byte) in junk {
            bytes[at % len] = byte;
        }
        let _ = read(on_disk(&bytes));
        prop_assert_eq!(bytes.len(), len);
    }
}
