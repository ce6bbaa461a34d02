//! Two states of a keyspace side by side, in the order of their keys.

use std::collections::VecDeque;

use kvorum_proto::mvccpb::KeyValue;
use thiserror::Error;

use crate::connection::Connection;
use crate::explore::{Scan, ScanRequest};
use crate::failure::Failure;
use crate::range::KeyRange;

/// One state: keys in their order, each once.
pub struct Source {
    kind: Kind,
    /// Bytes before what is compared of a key.
    prefix_len: usize,
    next: VecDeque<KeyValue>,
}

enum Kind {
    Cluster { scan: Scan, revision: i64 },
    Other(Box<dyn Iterator<Item = Result<KeyValue, String>> + Send>),
}

/// What two states have of one key.
#[derive(Debug, Clone, PartialEq)]
pub enum Pair {
    /// Only the first has it.
    First(KeyValue),
    /// Only the second has it.
    Second(KeyValue),
    Both(KeyValue, KeyValue),
}

#[derive(Debug, Error)]
pub enum DifferenceError {
    #[error(transparent)]
    Failure(#[from] Failure),
    /// It cannot be read at one revision any more.
    #[error("the history at revision {0} was compacted while it was read")]
    Compacted(i64),
    /// Of what is no cluster.
    #[error("{0}")]
    Unreadable(String),
}

/// Two states, compared as they come: no more than some pages of each are held.
pub struct Difference {
    first: Source,
    second: Source,
}

impl Source {
    /// The keys that begin with `prefix` in a cluster as they were at a revision; 0 is now. What is
    /// behind the prefix is compared. Must be called within a runtime.
    pub fn cluster(connection: &Connection, prefix: &[u8], revision: i64, values: bool) -> Self {
        let whole = Self::range(connection, KeyRange::prefix(prefix), revision, values);
        Self { prefix_len: prefix.len(), ..whole }
    }

    /// The keys of a range in a cluster; they are compared whole.
    pub fn range(connection: &Connection, range: KeyRange, revision: i64, values: bool) -> Self {
        let scan = Scan::start(connection, ScanRequest { ranges: vec![range], revision, values });
        Self { kind: Kind::Cluster { scan, revision }, prefix_len: 0, next: VecDeque::new() }
    }

    /// Keys that come in their order from elsewhere, all with a prefix of so many bytes.
    pub fn other(
        kvs: Box<dyn Iterator<Item = Result<KeyValue, String>> + Send>,
        prefix_len: usize,
    ) -> Self {
        Self { kind: Kind::Other(kvs), prefix_len, next: VecDeque::new() }
    }

    /// The revision it is read at, if a cluster has told; else 0.
    pub fn revision(&self) -> i64 {
        match self.kind {
            Kind::Cluster { revision, .. } => revision,
            Kind::Other(_) => 0,
        }
    }

    async fn fill(&mut self) -> Result<(), DifferenceError> {
        if !self.next.is_empty() {
            return Ok(());
        }
        match &mut self.kind {
            Kind::Cluster { scan, revision } => {
                let Some(page) = scan.next().await? else { return Ok(()) };
                if page.anew {
                    return Err(DifferenceError::Compacted(*revision));
                }
                *revision = page.revision;
                self.next.extend(page.kvs);
            }
            Kind::Other(kvs) => {
                let next = kvs.next().transpose().map_err(DifferenceError::Unreadable)?;
                self.next.extend(next);
            }
        }
        Ok(())
    }

    fn compared(&self) -> Option<&[u8]> {
        self.next.front().map(|kv| kv.key.get(self.prefix_len..).unwrap_or_default())
    }
}

impl Difference {
    pub fn of(first: Source, second: Source) -> Self {
        Self { first, second }
    }

    /// The two states; their revisions are known when something was read.
    pub fn sources(&self) -> (&Source, &Source) {
        (&self.first, &self.second)
    }

    /// What is next in the order of keys; `None` at the end of both.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Pair>, DifferenceError> {
        self.first.fill().await?;
        self.second.fill().await?;
        let order = match (self.first.compared(), self.second.compared()) {
            (None, None) => return Ok(None),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(first), Some(second)) => first.cmp(second),
        };
        let mut first = || self.first.next.pop_front();
        let mut second = || self.second.next.pop_front();
        Ok(match order {
            std::cmp::Ordering::Less => first().map(Pair::First),
            std::cmp::Ordering::Greater => second().map(Pair::Second),
            std::cmp::Ordering::Equal => {
                first().zip(second()).map(|(first, second)| Pair::Both(first, second))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kvorum_proto::mvccpb::KeyValue;
    use proptest::prelude::*;

    use super::{Difference, Pair, Source};
    use crate::explore::block_on;

    fn source(prefix: &str, keys: &BTreeMap<String, u8>) -> Source {
        let kvs: Vec<_> = keys
            .iter()
            .map(|(key, value)| {
                let key = format!("{prefix}{key}").into_bytes().into();
                Ok(KeyValue { key, value: vec![*value].into(), ..KeyValue::default() })
            })
            .collect();
        Source::other(Box::new(kvs.into_iter()), prefix.len())
    }

    fn pairs(first: Source, second: Source) -> Vec<(String, Option<u8>, Option<u8>)> {
        let mut difference = Difference::of(first, second);
        let mut pairs = Vec::new();
        block_on(async {
            while let Some(pair) = difference.next().await.unwrap() {
                let (kv, first, second) = match &pair {
                    Pair::First(kv) => (kv, Some(kv.value[0]), None),
                    Pair::Second(kv) => (kv, None, Some(kv.value[0])),
                    Pair::Both(a, b) => (a, Some(a.value[0]), Some(b.value[0])),
                };
                let key = String::from_utf8(kv.key.to_vec()).unwrap();
                pairs.push((key.rsplit('/').next().unwrap().to_owned(), first, second));
            }
        });
        pairs
    }

    proptest! {
        #[test]
        fn two_states_are_compared_as_maps_are(
            first in proptest::collection::btree_map("[a-c]{1,3}", 0u8..3, 0..12),
            second in proptest::collection::btree_map("[a-c]{1,3}", 0u8..3, 0..12),
        ) {
            let mut keys: Vec<_> = first.keys().chain(second.keys()).cloned().collect();
            keys.sort();
            keys.dedup();
            let expected: Vec<_> = keys
                .into_iter()
                .map(|key| {
                    let values = (first.get(&key).copied(), second.get(&key).copied());
                    (key, values.0, values.1)
                })
                .collect();
            prop_assert_eq!(pairs(source("/a/", &first), source("/long/b/", &second)), expected);
        }
    }
}
