//! The state hash is that of the logical records and of nothing else: equal whatever a member did
//! on its own, other as soon as anything in the state is.

use std::collections::BTreeSet;
use std::fmt::Debug;

use bytes::Bytes;
use kvorum_core::store::{RestoreError, Revision, StateHash, Store, Table, Version};
use kvorum_proto::authpb::{Role, User, UserAddOptions};
use kvorum_proto::etcdserverpb::InternalRaftRequest;
use kvorum_proto::leasepb::Lease;
use kvorum_proto::membershippb::{Attributes, Member, RaftAttributes};
use kvorum_proto::mvccpb::KeyValue;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use crate::load::{Local, RoleWrite, UserWrite, Write, local, write};
use crate::machine::{Machine, Records};

/// What is left of everything that was ever written, by the definition: dead under a compaction
/// is what was replaced up to it and is older, and a deletion that is older.
fn logical(written: &[Version], compacted: i64) -> Vec<&Version> {
    let is_dead = |i: usize| {
        let version = &written[i];
        let next = written[i + 1..].iter().find(|later| later.key == version.key);
        let replaced = next.is_some_and(|next| next.at.main <= compacted);
        version.at.main < compacted && (replaced || version.is_deletion())
    };
    (0..written.len()).filter(|i| !is_dead(*i)).map(|i| &written[i]).collect()
}

/// The records of exactly what is left, made without the store.
fn naive_records(machine: &Machine) -> Records {
    let root = machine.store.root();
    let mut records = machine.records.clone();
    records.retain(|(table, _), _| *table != Table::Versions);
    for version in logical(&machine.written, root.compacted_revision()) {
        let message = KeyValue {
            key: version.key.clone(),
            create_revision: version.create_revision,
            mod_revision: version.at.main,
            version: version.version,
            value: version.value.resident().expect("as it was written").clone(),
            lease: version.lease,
        };
        let key = Bytes::copy_from_slice(&version.at.to_bytes());
        records.insert((Table::Versions, key), encoded(&message));
    }
    records
}

fn encoded(message: &impl Message) -> Bytes {
    let mut record = vec![1];
    record.extend(message.encode_to_vec());
    record.into()
}

fn restore(machine: &Machine, records: Records) -> Result<Store, RestoreError> {
    let records = records.into_iter().map(|((table, key), value)| (table, key, value));
    Store::restore(machine.store.position(), records)
}

fn check(machine: &Machine) {
    let root = machine.store.root();
    let hash = root.state_hash();
    assert_eq!(root.recompute_hash(|at| machine.read(at)), Ok(hash));
    if let Err(error) = restore(machine, naive_records(machine)) {
        panic!("the state is not what was written: {error}");
    }
}

type Step = (Write, Vec<Local>, Vec<Local>);

fn step() -> impl Strategy<Value = Step> {
    (write(), vec(local(), 0..3), vec(local(), 0..2))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn it_is_that_of_the_logical_records_whatever_members_do_on_their_own(
        steps in vec(step(), 0..80),
    ) {
        let (mut one, mut other, mut idle) = (Machine::new(), Machine::new(), Machine::new());
        let (mut held, mut held_by_other) = (Vec::new(), Vec::new());
        for (write, locals, locals_of_other) in steps {
            let entry = write.entry(&one.store.root());
            for machine in [&mut one, &mut other, &mut idle] {
                machine.apply(entry.clone());
            }
            for local in &locals {
                local.perform(&mut one, &mut held);
            }
            for local in &locals_of_other {
                local.perform(&mut other, &mut held_by_other);
            }
            prop_assert_eq!(one.store.position(), other.store.position());
            prop_assert_eq!(one.store.position(), idle.store.position());
            check(&one);
        }
        check(&other);
        check(&idle);
    }
}

/// A state with a record of every kind and every field set.
fn full() -> Machine {
    let raft_attributes = Some(RaftAttributes {
        peer_urls: vec!["http://a:1".into(), "http://b:2".into()],
        is_learner: true,
    });
    let member_attributes = Some(Attributes {
        name: "one".into(),
        client_urls: vec!["http://c:3".into()],
        incarnation: 5,
    });
    let members = vec![
        Member { id: 1, raft_attributes, member_attributes },
        Member { id: 2, ..Member::default() },
    ];
    let mut machine = Machine::of(members);
    for write in [
        Write::Grant(1),
        Write::Checkpoint(1, 2),
        Write::Put { key: 1, value: 100, lease: 1 },
        Write::Put { key: 1, value: 101, lease: 1 },
        Write::Txn(vec![(2, Some(102)), (3, Some(103))]),
        Write::Delete { from: 3, to: 4 },
        Write::Alarm(true, 1, 3),
        Write::ClusterVersion(6),
        Write::Compact(1),
        Write::Put { key: 2, value: 104, lease: 0 },
    ] {
        let entry = write.entry(&machine.store.root());
        machine.apply(entry).reply.expect("it is done");
    }
    machine
}

#[test]
fn records_of_the_state_itself_are_taken() {
    let machine = full();
    check(&machine);
    for table in [Table::Versions, Table::Leases, Table::Members, Table::Alarms, Table::Meta] {
        assert!(machine.records.keys().any(|(found, _)| *found == table), "{table:?}");
    }
}

/// The same with users and roles.
fn full_with_auth() -> Machine {
    let mut machine = full();
    for write in [
        Write::User(1, UserWrite::Add),
        Write::User(2, UserWrite::AddWithoutPassword),
        Write::Role(1, RoleWrite::Add),
        Write::Role(2, RoleWrite::Add),
        Write::Role(1, RoleWrite::Grant(1, 1)),
        Write::Role(1, RoleWrite::Grant(2, 2)),
        Write::User(1, UserWrite::Grant(1)),
        Write::User(1, UserWrite::Grant(2)),
    ] {
        let entry = write.entry(&machine.store.root());
        machine.apply(entry).reply.expect("it is done");
    }
    machine
}

/// Lets `change` make others of each record of a table, and expects each to be found out.
fn assert_told<M: Message + Default + Debug>(
    table: Table,
    changes: &[fn(&mut Bytes, &mut M)],
    applies: impl Fn(&M) -> bool,
) {
    let machine = full_with_auth();
    let mut told = 0;
    for (i, change) in changes.iter().enumerate() {
        for ((_, key), value) in machine.records.iter().filter(|((found, _), _)| *found == table) {
            let mut message = M::decode(&value[1..]).expect("it was encoded");
            if !applies(&message) {
                continue;
            }
            let mut records = machine.records.clone();
            records.remove(&(table, key.clone()));
            let mut key = key.clone();
            change(&mut key, &mut message);
            records.insert((table, key), encoded(&message));
            let refused = restore(&machine, records);
            let is_told = matches!(refused, Err(RestoreError::Hash { .. }));
            assert!(is_told, "{table:?}, change {i}, {message:?}: {:?}", refused.err());
            told += 1;
        }
    }
    assert!(told >= changes.len(), "{told}");
}

#[test]
fn every_field_of_a_version_counts() {
    let changes: &[fn(&mut Bytes, &mut KeyValue)] = &[
        |_, kv| kv.key = [&kv.key[..], b"x"].concat().into(),
        |_, kv| kv.key = kv.key.slice(1..),
        |_, kv| kv.value = [&kv.value[..], b"\0"].concat().into(),
        |_, kv| kv.create_revision += 1,
        |_, kv| kv.version += 1,
        |_, kv| kv.lease += 1,
        |_, kv| std::mem::swap(&mut kv.create_revision, &mut kv.version),
        |_, kv| kv.lease = std::mem::replace(&mut kv.version, kv.lease + 1),
        // What ends the key may as well begin the value.
        |_, kv| {
            let last = kv.key.split_off(kv.key.len() - 1);
            kv.value = [&last[..], &kv.value[..]].concat().into();
        },
        // Another place in the history.
        |key, _| *key = moved(key, 0, 7),
        |key, kv| {
            kv.mod_revision += 100;
            *key = moved(key, 100, 0);
        },
    ];
    // Of one that is dead nothing counts; none of these is.
    let living = |kv: &KeyValue| kv.version > 0 && kv.mod_revision >= 3 && kv.lease < 2;
    assert_told(Table::Versions, changes, |kv| living(kv) && kv.create_revision != kv.version);
}

fn moved(key: &Bytes, main: i64, sub: i64) -> Bytes {
    let at = Revision::from_bytes(key[..].try_into().expect("a revision"));
    Bytes::copy_from_slice(&Revision { main: at.main + main, sub: at.sub + sub }.to_bytes())
}

#[test]
fn every_field_of_a_lease_counts() {
    let changes: &[fn(&mut Bytes, &mut Lease)] = &[
        |key, lease| {
            lease.id += 1;
            *key = Bytes::copy_from_slice(&lease.id.to_be_bytes());
        },
        |_, lease| lease.ttl += 1,
        |_, lease| lease.remaining_ttl += 1,
        |_, lease| std::mem::swap(&mut lease.ttl, &mut lease.remaining_ttl),
    ];
    assert_told(Table::Leases, changes, |_| true);
}

#[test]
fn every_field_of_a_member_counts() {
    fn raft(member: &mut Member) -> &mut RaftAttributes {
        member.raft_attributes.as_mut().expect("they are set")
    }
    fn own(member: &mut Member) -> &mut Attributes {
        member.member_attributes.as_mut().expect("they are set")
    }
    let changes: &[fn(&mut Bytes, &mut Member)] = &[
        |key, member| {
            member.id += 10;
            *key = Bytes::copy_from_slice(&member.id.to_be_bytes());
        },
        |_, member| raft(member).is_learner = false,
        |_, member| raft(member).peer_urls.reverse(),
        |_, member| raft(member).peer_urls = vec!["http://a:1http://b:2".into()],
        |_, member| raft(member).peer_urls.push(String::new()),
        |_, member| member.raft_attributes = None,
        |_, member| own(member).name.push('x'),
        |_, member| own(member).incarnation += 1,
        |_, member| own(member).client_urls.clear(),
        |_, member| own(member).client_urls[0].push('x'),
        |_, member| member.member_attributes = None,
        |_, member| member.member_attributes = Some(Attributes::default()),
        // What belongs to the raft attributes may as well belong to the others.
        |_, member| {
            let url = raft(member).peer_urls.pop().expect("there are two");
            own(member).client_urls.push(url);
        },
    ];
    assert_told(Table::Members, changes, |member: &Member| member.raft_attributes.is_some());
    let unset: &[fn(&mut Bytes, &mut Member)] = &[
        |_, member| member.raft_attributes = Some(RaftAttributes::default()),
        |_, member| member.member_attributes = Some(Attributes::default()),
    ];
    assert_told(Table::Members, unset, |member: &Member| member.raft_attributes.is_none());
}

#[test]
fn every_field_of_a_user_counts() {
    let changes: &[fn(&mut Bytes, &mut User)] = &[
        |key, user| {
            user.name = "other".into();
            *key = user.name.clone();
        },
        |_, user| user.password = [&user.password[..], b"x"].concat().into(),
        |_, user| user.roles.reverse(),
        |_, user| user.roles.clear(),
        |_, user| user.options = None,
        |_, user| user.options = Some(UserAddOptions { no_password: true }),
    ];
    assert_told(Table::Users, changes, |user: &User| user.roles.len() == 2);
}

#[test]
fn every_field_of_a_role_counts() {
    let changes: &[fn(&mut Bytes, &mut Role)] = &[
        |key, role| {
            role.name = "other".into();
            *key = role.name.clone();
        },
        |_, role| role.key_permission.reverse(),
        |_, role| role.key_permission[0].perm_type = 0,
        |_, role| role.key_permission[0].key = "kex".into(),
        |_, role| role.key_permission[0].range_end = Bytes::new(),
    ];
    assert_told(Table::Roles, changes, |role: &Role| role.key_permission.len() == 2);
}

#[test]
fn every_alarm_name_and_revision_counts() {
    let machine = full();
    let alarm = |member: u64, kind: i32| {
        let key = [&member.to_be_bytes()[..], &kind.to_be_bytes()[..]].concat();
        (Table::Alarms, Bytes::from(key), Bytes::new())
    };
    let meta = |name: &'static str, value: &[u8]| {
        (Table::Meta, name.into(), Bytes::from([&[1], value].concat()))
    };
    for (table, key, value) in [
        alarm(2, 3),
        alarm(1, 2),
        alarm(1, -3),
        meta("cluster_version", b"3.6.1"),
        meta("cluster_version", b""),
        meta("revision", &1000_i64.to_be_bytes()),
        meta("compacted", &3_i64.to_be_bytes()),
        meta("compacted", &6_i64.to_be_bytes()),
        meta("auth_enabled", &[1]),
        meta("auth_revision", &2_u64.to_be_bytes()),
    ] {
        let mut records = machine.records.clone();
        records.insert((table, key.clone()), value.clone());
        let refused = restore(&machine, records).err();
        let is_told = matches!(refused, Some(RestoreError::Hash { .. }));
        assert!(is_told, "{table:?} {key:?} {value:?}: {refused:?}");
    }
}

#[test]
fn a_record_that_is_missing_is_told_unless_it_says_nothing() {
    let machine = full();
    let root = machine.store.root();
    let left: BTreeSet<Bytes> = (logical(&machine.written, root.compacted_revision()).iter())
        .map(|version| Bytes::copy_from_slice(&version.at.to_bytes()))
        .collect();
    let mut dead = 0;
    for (table, key) in machine.records.keys() {
        let mut records = machine.records.clone();
        records.remove(&(*table, key.clone()));
        let is_dead = *table == Table::Versions && !left.contains(key);
        dead += usize::from(is_dead);
        // The newest version tells the revision as well.
        let says_nothing = is_dead || key == "revision";
        let refused = restore(&machine, records).err();
        assert_eq!(refused.is_none(), says_nothing, "{table:?} {key:?}: {refused:?}");
    }
    assert!(dead > 0);
}

#[test]
fn a_mismatch_names_both_hashes_and_the_index() {
    let machine = full();
    let mut records = machine.records.clone();
    records.retain(|(table, _), _| *table != Table::Alarms);
    let error = restore(&machine, records).err().expect("an alarm is missing");
    let RestoreError::Hash { index, expected, found } = &error else { panic!("{error}") };
    assert_eq!(
        (*index, *expected),
        (machine.store.position().index, machine.store.position().hash)
    );
    let text = error.to_string();
    for part in [expected.to_string(), found.to_string(), format!("entry {index}")] {
        assert!(text.contains(&part), "{text}");
    }
}

#[test]
fn an_entry_that_changes_nothing_leaves_it() {
    let mut machine = full();
    let before = machine.store.root().state_hash();
    machine.apply(Write::Delete { from: 5, to: 6 }.entry(&machine.store.root()));
    assert!(machine.apply(InternalRaftRequest::default()).reply.is_err());
    assert_eq!(machine.store.root().state_hash(), before);
}

/// Members of different versions compare it and backends keep it.
#[test]
fn it_stays_what_it_is() {
    let hash = full().store.root().state_hash();
    assert_eq!(hash.to_string(), "c7aa2a07183db961a473cf747c971f4d");
    assert_eq!(StateHash::from_bytes(hash.to_bytes()), hash);
}
