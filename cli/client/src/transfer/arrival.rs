//! What becomes of a key that arrives.

use kvorum_proto::mvccpb::KeyValue;

use super::LeaseBook;
use crate::change::{Change, Target};
use crate::travel::Pair;

/// Where keys go, and what may happen there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aim {
    /// Bytes of the prefix of a key that goes…
    pub from_len: usize,
    /// …in the place of which comes this.
    pub to: Vec<u8>,
    /// What does not arrive is deleted there.
    pub deletes: bool,
    /// What is there is not overwritten.
    pub spares: bool,
    /// What arrives is deleted where it comes from, in the same transaction.
    pub takes: bool,
}

/// What becomes of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// They happen together.
    Changes(Vec<Change>),
    /// It is already as it is to be.
    Unchanged,
    /// Something else is there, and stays.
    Spared,
    /// It is there, did not arrive, and stays.
    Beside,
}

/// Decides on a key, of which the first of the pair arrives and the second is there. Its lease must
/// be known to the book.
pub fn decide(pair: Pair, aim: &Aim, book: &mut LeaseBook) -> Arrival {
    let (arriving, there) = match pair {
        Pair::First(arriving) => (arriving, None),
        Pair::Both(arriving, there) => (arriving, Some(there)),
        Pair::Second(there) if aim.deletes => {
            let (key, expected) = (there.key.to_vec(), there.mod_revision);
            return Arrival::Changes(vec![Change { key, expected, to: Target::Deleted }]);
        }
        Pair::Second(_) => return Arrival::Beside,
    };
    let behind = arriving.key.get(aim.from_len..).unwrap_or_default();
    let key = [&aim.to, behind].concat();
    let expected = there.as_ref().map_or(0, |there| there.mod_revision);
    let to = match &there {
        Some(there) if is_same(&arriving, there, book) => {
            if !aim.takes {
                return Arrival::Unchanged;
            }
            Target::Unchanged
        }
        Some(_) if aim.spares => return Arrival::Spared,
        there => Target::Value {
            value: arriving.value.to_vec(),
            lease: book.put(arriving.lease, there.as_ref().map_or(0, |there| there.lease)),
        },
    };
    let mut changes = vec![Change { key, expected, to }];
    if aim.takes {
        let (key, expected) = (arriving.key.to_vec(), arriving.mod_revision);
        changes.push(Change { key, expected, to: Target::Deleted });
    }
    Arrival::Changes(changes)
}

fn is_same(arriving: &KeyValue, there: &KeyValue, book: &mut LeaseBook) -> bool {
    arriving.value == there.value && book.is_right(arriving.lease, there.lease)
}

#[cfg(test)]
mod tests {
    use kvorum_proto::mvccpb::KeyValue;

    use super::{Aim, Arrival, decide};
    use crate::change::{Change, Target};
    use crate::transfer::{LeaseBook, LeaseRule};
    use crate::travel::Pair;

    fn kv(key: &str, value: &str, mod_revision: i64, lease: i64) -> KeyValue {
        let (key, value) = (key.to_owned().into(), value.to_owned().into());
        KeyValue { key, value, mod_revision, lease, ..KeyValue::default() }
    }

    fn aim() -> Aim {
        Aim { from_len: 3, to: b"/new/".to_vec(), ..Aim::default() }
    }

    fn decided(pair: Pair, aim: &Aim) -> Arrival {
        decide(pair, aim, &mut LeaseBook::new(LeaseRule::Keep, true))
    }

    fn change(key: &str, expected: i64, to: Target) -> Change {
        Change { key: key.into(), expected, to }
    }

    fn value(text: &str) -> Target {
        Target::Value { value: text.into(), lease: 0 }
    }

    #[test]
    fn a_key_arrives_under_its_new_name_guarded_by_what_is_there() {
        let arriving = kv("/a/k", "v", 5, 0);
        let created = Arrival::Changes(vec![change("/new/k", 0, value("v"))]);
        assert_eq!(decided(Pair::First(arriving.clone()), &aim()), created);
        let there = |text, lease| kv("/new/k", text, 9, lease);
        let overwritten = Arrival::Changes(vec![change("/new/k", 9, value("v"))]);
        let both = |text, lease| Pair::Both(arriving.clone(), there(text, lease));
        assert_eq!(decided(both("w", 0), &aim()), overwritten);
        assert_eq!(decided(both("v", 0), &aim()), Arrival::Unchanged);
        assert_eq!(decided(both("v", 3), &aim()), overwritten, "it leaves a lease it did not have");
        let spares = Aim { spares: true, ..aim() };
        assert_eq!(decided(both("w", 0), &spares), Arrival::Spared);
    }

    #[test]
    fn what_does_not_arrive_is_deleted_only_if_that_is_meant() {
        let there = || Pair::Second(kv("/new/x", "v", 9, 0));
        assert_eq!(decided(there(), &aim()), Arrival::Beside);
        let deletes = Aim { deletes: true, ..aim() };
        let deleted = Arrival::Changes(vec![change("/new/x", 9, Target::Deleted)]);
        assert_eq!(decided(there(), &deletes), deleted);
    }

    #[test]
    fn what_is_taken_is_deleted_where_it_came_from_in_the_same_step() {
        let takes = Aim { takes: true, ..aim() };
        let arriving = kv("/a/k", "v", 5, 0);
        let gone = change("/a/k", 5, Target::Deleted);
        let moved = Arrival::Changes(vec![change("/new/k", 0, value("v")), gone.clone()]);
        assert_eq!(decided(Pair::First(arriving.clone()), &takes), moved);
        // It is there already, and must stay so while the other goes.
        let there = Pair::Both(arriving, kv("/new/k", "v", 9, 0));
        let left = Arrival::Changes(vec![change("/new/k", 9, Target::Unchanged), gone]);
        assert_eq!(decided(there, &takes), left);
    }
}
