//! Locks and elections, as etcd's recipes lay them out: everyone who wants one puts a key
//! `name/lease` with the lease in hexadecimal, attached to that lease; the oldest has it.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt};
use kvorum_proto::mvccpb::KeyValue;

use super::AT_ONCE;
use crate::connection::Connection;
use crate::failure::Failure;

/// Someone who has a lock or waits for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contender {
    /// The order of the queue. The holder's is the fencing token: no later holder has a smaller one.
    pub create_revision: i64,
    pub key: Vec<u8>,
    pub lease: i64,
}

/// One lock with everyone who wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Without the separator behind it.
    pub name: Vec<u8>,
    /// In the order of the queue; never empty.
    pub queue: Vec<Contender>,
    /// How many more wait behind them.
    pub more: u64,
}

/// Contenders of one lock that are told one by one; behind them nobody's turn is near.
pub const MAX_CONTENDERS: usize = 1000;

/// etcd's recipes know no other.
const SEPARATOR: u8 = b'/';

/// Finds locks in keys that come in order. What is remembered is the locks that the last key lies
/// below.
#[derive(Debug, Default)]
pub struct LockFold {
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    name: Vec<u8>,
    queue: BTreeSet<Contender>,
    more: u64,
}

impl Lock {
    pub fn holder(&self) -> &Contender {
        &self.queue[0]
    }
}

impl LockFold {
    /// Takes the next key; gives the locks that no later key can belong to.
    pub fn push(&mut self, kv: &KeyValue) -> Vec<Lock> {
        let mut done = Vec::new();
        while let Some(open) = self.open.pop_if(|open| !open.may_hold(&kv.key)) {
            done.push(open.done());
        }
        let Some(name) = name_of(kv) else { return done };
        // Keys of one lock may lie between those of another: `locks/5`, `locks/a/7`, `locks/f`.
        if self.open.last().is_none_or(|open| open.name != name) {
            let (queue, more) = (BTreeSet::new(), 0);
            self.open.push(Open { name: name.to_vec(), queue, more });
        }
        if let Some(open) = self.open.last_mut() {
            open.add(kv);
        }
        done
    }

    /// The last key has come.
    pub fn finish(self) -> Vec<Lock> {
        self.open.into_iter().rev().map(Open::done).collect()
    }
}

impl Open {
    fn may_hold(&self, key: &[u8]) -> bool {
        key.strip_prefix(self.name.as_slice()).is_some_and(|rest| rest.first() == Some(&SEPARATOR))
    }

    fn add(&mut self, kv: &KeyValue) {
        let (create_revision, lease) = (kv.create_revision, kv.lease);
        self.queue.insert(Contender { create_revision, key: kv.key.to_vec(), lease });
        if self.queue.len() > MAX_CONTENDERS {
            self.queue.pop_last();
            self.more += 1;
        }
    }

    fn done(self) -> Lock {
        Lock { name: self.name, queue: self.queue.into_iter().collect(), more: self.more }
    }
}

/// How many seconds each contender's lease has left; below 0 for one that is gone.
pub async fn remaining(connection: &Connection, lock: &Lock) -> Result<Vec<i64>, Failure> {
    let ask = |lease| async move { Ok(connection.lease_time_to_live(lease, false).await?.ttl) };
    let leases: Vec<_> = lock.queue.iter().map(|contender| contender.lease).collect();
    let answers: Vec<_> = stream::iter(leases).map(ask).buffered(AT_ONCE).collect().await;
    answers.into_iter().collect()
}

/// The lock that a key stands for: its last segment must be the very lease it is attached to.
fn name_of(kv: &KeyValue) -> Option<&[u8]> {
    if kv.lease == 0 {
        return None;
    }
    let at = kv.key.iter().rposition(|byte| *byte == SEPARATOR)?;
    let (name, lease) = (&kv.key[..at], &kv.key[at + 1..]);
    (lease == format!("{:x}", kv.lease).as_bytes()).then_some(name)
}

#[cfg(test)]
mod tests {
    use kvorum_proto::mvccpb::KeyValue;

    use super::{Lock, LockFold, MAX_CONTENDERS};

    fn kv(key: impl Into<String>, lease: i64, create_revision: i64) -> KeyValue {
        KeyValue { key: key.into().into(), lease, create_revision, ..KeyValue::default() }
    }

    fn locks(mut kvs: Vec<KeyValue>) -> Vec<Lock> {
        kvs.sort_by(|a, b| a.key.cmp(&b.key));
        let mut fold = LockFold::default();
        let mut found: Vec<_> = kvs.iter().flat_map(|kv| fold.push(kv)).collect();
        found.extend(fold.finish());
        found
    }

    #[test]
    fn the_oldest_key_holds_the_lock_and_the_others_queue() {
        let found = locks(vec![
            kv("/locks/a/694d1", 0x694d1, 9),
            kv("/locks/a/694d2", 0x694d2, 5),
            kv("/locks/a/7", 7, 7),
            kv("/locks/b/1f", 0x1f, 3),
        ]);
        let queue =
            |lock: &Lock| lock.queue.iter().map(|it| it.create_revision).collect::<Vec<_>>();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].name.as_slice(), queue(&found[0])), (&b"/locks/a"[..], vec![5, 7, 9]));
        assert_eq!(found[0].holder().lease, 0x694d2);
        assert_eq!((found[1].name.as_slice(), queue(&found[1])), (&b"/locks/b"[..], vec![3]));
    }

    #[test]
    fn what_only_looks_like_a_lock_is_none() {
        let none = locks(vec![
            kv("/services/web/10", 0x11, 1),
            kv("/services/web/ff", 0, 1),
            kv("/services/web/FF", 0xff, 1),
            kv("ff", 0xff, 1),
        ]);
        assert!(none.is_empty(), "{none:?}");
    }

    #[test]
    fn keys_between_those_of_a_lock_do_not_end_it() {
        let found =
            locks(vec![kv("/l/1", 1, 4), kv("/l/1/note", 0, 5), kv("/l/2", 2, 6), kv("/m", 0, 7)]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].queue.len(), 2);
    }

    #[test]
    fn a_lock_below_another_splits_neither() {
        let found = locks(vec![kv("l/5", 5, 1), kv("l/a/7", 7, 2), kv("l/f", 15, 3)]);
        let told: Vec<_> = found.iter().map(|lock| (&*lock.name, lock.queue.len())).collect();
        assert_eq!(told, [(&b"l/a"[..], 1), (b"l", 2)]);
    }

    #[test]
    fn of_a_very_long_queue_the_front_is_told_and_the_rest_counted() {
        let count = MAX_CONTENDERS as i64 + 5;
        let found = locks((1..=count).map(|n| kv(format!("l/{n:x}"), n, count - n)).collect());
        assert_eq!((found[0].queue.len(), found[0].more), (MAX_CONTENDERS, 5));
        assert_eq!(found[0].holder().create_revision, 0);
    }
}
