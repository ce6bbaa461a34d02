//! A damaged record is refused with its place, and never taken for something else.

use bytes::Bytes;
use kvorum_core::store::{RecordError, RestoreError, Store, Table};
use kvorum_proto::etcdserverpb::{
    AlarmRequest, AlarmType, AuthRoleAddRequest, AuthUserAddRequest, CompactionRequest,
    InternalRaftRequest, LeaseGrantRequest, PutRequest, alarm_request::AlarmAction,
};
use kvorum_proto::membershippb::ClusterVersionSetRequest;

use crate::machine::Machine;

type Record = (Table, Bytes, Bytes);

/// A state with records of every table.
fn machine() -> Machine {
    let mut machine = Machine::new();
    let put = |key: &'static str| {
        Some(PutRequest { key: key.into(), value: "value".into(), ..PutRequest::default() })
    };
    let alarm = AlarmRequest {
        action: AlarmAction::Activate.into(),
        member_id: 1,
        alarm: AlarmType::Nospace.into(),
    };
    for entry in [
        InternalRaftRequest { put: put("a"), ..Default::default() },
        InternalRaftRequest { put: put("b"), ..Default::default() },
        InternalRaftRequest {
            lease_grant: Some(LeaseGrantRequest { id: 7, ttl: 60 }),
            ..Default::default()
        },
        InternalRaftRequest {
            compaction: Some(CompactionRequest { revision: 2, physical: false }),
            ..Default::default()
        },
        InternalRaftRequest {
            cluster_version_set: Some(ClusterVersionSetRequest { ver: "3.6.0".into() }),
            ..Default::default()
        },
        InternalRaftRequest { alarm: Some(alarm), ..Default::default() },
        InternalRaftRequest {
            auth_user_add: Some(AuthUserAddRequest { name: "alice".into(), ..Default::default() }),
            ..Default::default()
        },
        InternalRaftRequest {
            auth_role_add: Some(AuthRoleAddRequest { name: "reader".into() }),
            ..Default::default()
        },
    ] {
        machine.apply(entry).reply.expect("it is done");
    }
    machine
}

/// In order.
fn records() -> Vec<Record> {
    let records = machine().records.into_iter();
    records.map(|((table, key), value)| (table, key, value)).collect()
}

fn restore(records: impl IntoIterator<Item = Record>) -> Result<Store, RestoreError> {
    let position = machine().store.position();
    Store::restore(position, records.into_iter())
}

/// Damages one record after the other, where there is something to damage.
fn refusals(damage: impl Fn(&mut Record) -> bool) -> Vec<(Table, RecordError)> {
    let intact = records();
    let mut refusals = Vec::new();
    for i in 0..intact.len() {
        let mut records = intact.clone();
        if damage(&mut records[i]) {
            let place = (records[i].0, records[i].1.clone());
            let error = restore(records).err().unwrap_or_else(|| panic!("{place:?} was taken"));
            let RestoreError::Record { table, key, cause } = error else { panic!("{error}") };
            assert_eq!((table, key), place);
            refusals.push((table, cause));
        }
    }
    refusals
}

#[test]
fn intact_records_of_every_table_are_taken() {
    let records = records();
    for table in [
        Table::Versions,
        Table::Leases,
        Table::Members,
        Table::Alarms,
        Table::Users,
        Table::Roles,
        Table::Meta,
    ] {
        assert!(records.iter().any(|record| record.0 == table), "{table:?}");
    }
    assert!(restore(records).is_ok());
}

#[test]
fn an_unknown_format_is_refused() {
    let refused = refusals(|(table, _, value)| {
        let mut bytes = value.to_vec();
        if let Some(format) = bytes.first_mut() {
            *format = 2;
        }
        *value = bytes.into();
        *table != Table::Alarms
    });
    assert!(!refused.is_empty());
    assert!(refused.iter().all(|(_, cause)| *cause == RecordError::Format(2)), "{refused:?}");
}

#[test]
fn a_record_without_its_content_is_refused() {
    let refused = refusals(|(table, _, value)| {
        *value = Bytes::new();
        *table != Table::Alarms
    });
    assert!(!refused.is_empty());
    assert!(refused.iter().all(|(_, cause)| *cause == RecordError::Empty), "{refused:?}");
}

#[test]
fn a_record_under_a_key_that_does_not_fit_is_refused() {
    let refused = refusals(|(table, key, _)| {
        *key = key.slice(1..);
        *table != Table::Meta
    });
    assert!(!refused.is_empty());
    assert!(refused.iter().all(|(_, cause)| *cause == RecordError::Key), "{refused:?}");
}

#[test]
fn an_unknown_name_is_refused() {
    let refused = refusals(|(table, key, _)| {
        *key = "revisor".into();
        *table == Table::Meta
    });
    assert!(!refused.is_empty());
    assert!(refused.iter().all(|(_, cause)| *cause == RecordError::Name), "{refused:?}");
}

#[test]
fn versions_out_of_order_are_refused() {
    let mut records = records();
    records.reverse();
    let error = restore(records).err().expect("the order matters");
    let text = error.to_string();
    let RestoreError::Record { table, cause, .. } = error else { panic!("{text}") };
    assert_eq!((table, cause), (Table::Versions, RecordError::Order));
    assert!(text.starts_with("damaged record in table Versions at key"), "{text}");
}
