//! Which keys, or which branches, are written most, while the changes come.

use std::collections::HashMap;

use crate::explore::Segments;
use crate::pb;
use crate::queue::is_deletion;

/// What happened to one key, or to the keys of one branch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heat {
    pub puts: u64,
    pub deletes: u64,
    /// Of keys and values together.
    pub bytes: u64,
}

/// One name and what happened below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hot {
    /// A key, or a branch with its separator.
    pub name: Vec<u8>,
    pub heat: Heat,
}

/// The names, hottest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HotReport {
    pub names: Vec<Hot>,
    /// What was added up without a name, because there were more names than can be remembered.
    pub rest: Option<Heat>,
    pub total: Heat,
}

/// Names that are told apart: a few MiB. When there are more, the colder half is added up: what is
/// hot comes back at once, and is hot again.
pub const MAX_NAMES: usize = 10_000;

/// Of their names together, for names of which a few are as much.
const MAX_NAME_BYTES: usize = 16 << 20;

/// Adds changes up.
#[derive(Debug)]
pub struct HotFold {
    skip: usize,
    separator: u8,
    /// 0 is by key.
    depth: usize,
    most: usize,
    names: HashMap<Vec<u8>, Heat>,
    name_bytes: usize,
    rest: Option<Heat>,
    total: Heat,
}

impl Heat {
    pub fn events(&self) -> u64 {
        self.puts + self.deletes
    }

    fn add(&mut self, other: Heat) {
        self.puts += other.puts;
        self.deletes += other.deletes;
        self.bytes += other.bytes;
    }
}

impl HotFold {
    /// Changes of keys that begin with `prefix`, told apart by key, or with a `depth` other than 0
    /// by so many segments behind the prefix.
    pub fn new(prefix: &[u8], separator: u8, depth: usize) -> Self {
        Self::remembering(MAX_NAMES, prefix, separator, depth)
    }

    fn remembering(most: usize, prefix: &[u8], separator: u8, depth: usize) -> Self {
        let (names, rest, total) = (HashMap::new(), None, Heat::default());
        Self { skip: prefix.len(), separator, depth, most, names, name_bytes: 0, rest, total }
    }

    pub fn push(&mut self, event: &pb::Event) {
        let Some(kv) = &event.kv else { return };
        let bytes = (kv.key.len() + kv.value.len()) as u64;
        let is_deletion = is_deletion(event);
        let heat = Heat { puts: u64::from(!is_deletion), deletes: u64::from(is_deletion), bytes };
        self.total.add(heat);
        let end = self.end_of_name(&kv.key);
        let name = &kv.key[..end];
        if let Some(known) = self.names.get_mut(name) {
            return known.add(heat);
        }
        let is_full = self.names.len() >= self.most
            || (self.name_bytes + name.len() > MAX_NAME_BYTES && !self.names.is_empty());
        if is_full {
            self.forget_the_colder_half();
        }
        self.name_bytes += name.len();
        self.names.insert(name.to_vec(), heat);
    }

    /// What came since the beginning, or since the last report, and begins anew.
    pub fn take(&mut self) -> HotReport {
        let names = std::mem::take(&mut self.names).into_iter();
        self.name_bytes = 0;
        let mut names: Vec<_> = names.map(|(name, heat)| Hot { name, heat }).collect();
        names.sort_by(|a, b| hotter(a.heat, b.heat).then_with(|| a.name.cmp(&b.name)));
        HotReport { names, rest: self.rest.take(), total: std::mem::take(&mut self.total) }
    }

    fn end_of_name(&self, key: &[u8]) -> usize {
        if self.depth == 0 {
            return key.len();
        }
        let segments = Segments::new(key, self.skip, self.separator);
        self.skip.min(key.len()) + segments.take(self.depth).map(<[u8]>::len).sum::<usize>()
    }

    fn forget_the_colder_half(&mut self) {
        let mut names: Vec<_> = self.names.drain().collect();
        let half = names.len() / 2;
        names.select_nth_unstable_by(half, |a, b| hotter(a.1, b.1));
        let rest = self.rest.get_or_insert_default();
        names.drain(half..).for_each(|(_, heat)| rest.add(heat));
        self.name_bytes = names.iter().map(|(name, _)| name.len()).sum();
        self.names.extend(names);
    }
}

fn hotter(a: Heat, b: Heat) -> std::cmp::Ordering {
    (b.events(), b.bytes).cmp(&(a.events(), a.bytes))
}

#[cfg(test)]
mod tests {
    use super::{Heat, HotFold};
    use crate::pb;

    fn event(key: &str, value: Option<&str>) -> pb::Event {
        let value_bytes = value.unwrap_or_default().into();
        let kv = pb::KeyValue { key: key.into(), value: value_bytes, ..pb::KeyValue::default() };
        let kind = if value.is_some() { 0 } else { pb::EVENT_DELETE };
        pb::Event { r#type: kind, kv: Some(kv), prev_kv: None }
    }

    fn names(fold: &mut HotFold) -> Vec<(String, u64)> {
        let names = fold.take().names.into_iter();
        names.map(|hot| (String::from_utf8(hot.name).unwrap(), hot.heat.events())).collect()
    }

    fn fold(depth: usize) -> HotFold {
        let mut fold = HotFold::new(b"/a/", b'/', depth);
        for key in ["/a/x/1", "/a/x/2", "/a/y", "/a/x/1", "/a/z/deep/1", "/a/z/deep/2"] {
            fold.push(&event(key, Some("vv")));
        }
        fold.push(&event("/a/x/2", None));
        fold
    }

    #[test]
    fn changes_are_added_up_by_key_or_by_branch_the_hottest_first() {
        let by_branch = [("/a/x/", 4), ("/a/z/", 2), ("/a/y", 1)];
        assert_eq!(names(&mut fold(1)), by_branch.map(|(name, count)| (name.to_owned(), count)));
        let by_key = names(&mut fold(0));
        assert_eq!(by_key.len(), 5);
        assert_eq!(by_key[0], ("/a/x/1".to_owned(), 2));
        let mut fold = fold(2);
        let report = fold.take();
        assert_eq!(report.names[0].name, b"/a/z/deep/");
        assert_eq!(report.total, Heat { puts: 6, deletes: 1, bytes: 5 * 6 + 4 + 11 * 2 - 6 + 12 });
        assert_eq!(fold.take(), super::HotReport::default(), "and it begins anew");
    }

    #[test]
    fn names_that_are_long_are_fewer() {
        let mut fold = HotFold::new(b"", b'/', 0);
        let long = "k".repeat(1 << 20);
        for round in 0..40 {
            fold.push(&event(&format!("{round}{long}"), Some("")));
            assert!(fold.name_bytes <= super::MAX_NAME_BYTES);
        }
        let report = fold.take();
        assert!(report.names.len() <= 16 && report.total.events() == 40);
    }

    #[test]
    fn of_too_many_names_the_hot_ones_stay_and_no_event_is_lost() {
        let mut fold = HotFold::remembering(10, b"", b'/', 0);
        for round in 0..1000 {
            fold.push(&event("hot", Some("")));
            fold.push(&event(&format!("cold{round}"), Some("")));
        }
        let report = fold.take();
        assert!(report.names.len() <= 10);
        assert_eq!(report.names[0].name, b"hot");
        assert_eq!(report.names[0].heat.events(), 1000);
        let named: u64 = report.names.iter().map(|hot| hot.heat.events()).sum();
        assert_eq!(named + report.rest.unwrap().events(), 2000);
        assert_eq!(report.total.events(), 2000);
    }
}
