//! A member whose state is not the cluster's is found out, raises the alarm and serves no data.

use std::path::Path;

use crate::support::{Client, Cluster, PATIENCE, eventually, get, put};
use bytes::Bytes;
use kvorum_core::store::{Change, Position, RestoreError, Store, Table};
use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
use kvorum_proto::etcdserverpb::watch_request::RequestUnion;
use kvorum_proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmType, WatchCreateRequest, WatchRequest,
};
use kvorum_server::storage::backend::{Backend, RedbBackend};
use kvorum_server::storage::disk::FileDisk;
use tokio::time::timeout;
use tonic::Code;

/// Changes the last byte of a version in a store that lies still, as if it had been applied so:
/// the hash fits.
fn tamper(data_dir: &Path) {
    let mut backend =
        RedbBackend::open(&FileDisk, &data_dir.join("kvorum").join("store.redb")).unwrap();
    let mut records: Vec<_> = backend.records().unwrap().collect();
    let version = records.iter_mut().find(|(table, _, _)| *table == Table::Versions).unwrap();
    let mut value = version.2.to_vec();
    *value.last_mut().unwrap() ^= 1;
    version.2 = value.into();
    let (table, key, value) = version.clone();
    let position = backend.position().clone();
    let hash = match Store::restore(position.clone(), records.into_iter()) {
        Err(RestoreError::Hash { found, .. }) => found,
        other => panic!("the change is noticed: {:?}", other.err()),
    };
    let changed = [Change::Put { table, key, value }];
    backend.commit(&changed, &Position { hash, ..position }).unwrap();
}

async fn alarms(client: &Client) -> Vec<AlarmMember> {
    let request = AlarmRequest { action: AlarmAction::Get as i32, ..AlarmRequest::default() };
    client.maintenance().alarm(request).await.unwrap().into_inner().alarms
}

#[test]
fn a_member_that_holds_another_state_is_found_out_and_serves_no_data() {
    let mut cluster = Cluster::start(3);
    let runtime = cluster.runtime.handle().clone();
    let client = cluster.client(0);
    runtime.block_on(async {
        for number in 0..20 {
            client.put("key", &format!("value {number}")).await;
        }
    });
    let id = cluster.members[2].as_ref().unwrap().identity().member_id;
    cluster.stop(2);
    tamper(&cluster.config(2).data_dir);
    cluster.restart(2);

    let (client, diverged) = (cluster.client(0), cluster.client(2));
    runtime.block_on(async {
        let create = WatchCreateRequest { key: Bytes::from("key"), ..Default::default() };
        let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        let requests =
            tokio_stream::StreamExt::chain(tokio_stream::once(create), tokio_stream::pending());
        let watch = diverged.watch().watch(requests).await;
        let refused =
            eventually("it serves no data", async || diverged.kv().range(get("key")).await.err());
        let refused = refused.await;
        assert_eq!(refused.code(), Code::DataLoss);
        assert_eq!(refused.message(), "etcdserver: corrupt cluster");
        if let Ok(watch) = watch {
            let mut responses = watch.into_inner();
            let ended = async { while let Ok(Some(_)) = responses.message().await {} };
            timeout(PATIENCE, ended).await.expect("the watch ends");
        }
        let raised = AlarmMember { member_id: id, alarm: AlarmType::Corrupt as i32 };
        eventually("the alarm is raised", async || {
            (alarms(&client).await == [raised]).then_some(())
        })
        .await;
        // The others can still be read; nothing is changed until somebody has looked.
        assert_eq!(client.get("key").await.as_deref(), Some("value 19"));
        let refused = client.kv().put(put("key", "more")).await.unwrap_err();
        assert_eq!(refused.message(), "etcdserver: corrupt cluster");
    });

    // The alarm keeps it silent after a start, before anything can have been compared.
    cluster.stop(2);
    cluster.restart(2);
    let diverged = cluster.client(2);
    runtime.block_on(async {
        let refused = diverged.kv().range(get("key")).await.unwrap_err();
        assert_eq!(refused.code(), Code::DataLoss);
    });
}

#[test]
fn a_member_that_the_alarm_names_serves_no_data_until_it_is_disarmed() {
    let mut cluster = Cluster::start(1);
    let runtime = cluster.runtime.handle().clone();
    let id = cluster.members[0].as_ref().unwrap().identity().member_id;
    let set = |action: AlarmAction| AlarmRequest {
        action: action as i32,
        member_id: id,
        alarm: AlarmType::Corrupt as i32,
    };
    let client = cluster.client(0);
    runtime.block_on(async {
        client.put("key", "value").await;
        client.maintenance().alarm(set(AlarmAction::Activate)).await.unwrap();
        let refused = async || client.kv().range(get("key")).await.err();
        let refused = eventually("it serves no data", refused).await;
        assert_eq!(refused.code(), Code::DataLoss);
    });
    cluster.stop(0);
    cluster.restart(0);
    let client = cluster.client(0);
    runtime.block_on(async {
        let refused = client.kv().range(get("key")).await.unwrap_err();
        assert_eq!(refused.code(), Code::DataLoss, "it begins with the alarm");
        client.maintenance().alarm(set(AlarmAction::Deactivate)).await.unwrap();
        let served = async || client.kv().range(get("key")).await.ok();
        eventually("it serves again", served).await;
        assert_eq!(client.get("key").await.as_deref(), Some("value"));
        client.put("key", "more").await;
    });
}

#[test]
fn members_that_agree_raise_nothing_over_hundreds_of_entries() {
    let cluster = Cluster::start(3);
    cluster.runtime.block_on(async {
        let client = cluster.client(1);
        for number in 0..600 {
            client.put(&format!("key {}", number % 7), "value").await;
        }
        let compared =
            || cluster.members.iter().flatten().all(|member| member.states_compared() > 0);
        eventually("all have compared", async || compared().then_some(())).await;
        assert_eq!(alarms(&client).await, []);
    });
}
