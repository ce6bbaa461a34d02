//! The page of metrics.

use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use kvorum_core::node::Role;
use kvorum_core::store::Root;
use kvorum_proto::etcdserverpb::AlarmType;
use tokio::task::spawn_blocking;
use tonic::Code;

use super::text::{self, Page};
use super::{Metrics, process};
use crate::edge::is_learner;
use crate::identity::hex;
use crate::runtime::{Handle, Space};
use crate::version::ETCD_VERSION;

/// `/metrics`. Some of it is read from the disk, so beside the thread that serves everybody.
pub(crate) async fn page(State(handle): State<Handle>) -> Response {
    match spawn_blocking(move || written(&handle)).await {
        Ok(page) => ([(CONTENT_TYPE, text::CONTENT_TYPE)], page).into_response(),
        Err(_) => tonic::Status::new(Code::Unavailable, "the member stops").into_http(),
    }
}

fn written(handle: &Handle) -> String {
    let mut page = Page::default();
    let root = handle.root();
    member(&mut page, handle, &root);
    consensus(&mut page, handle);
    keys(&mut page, handle, &root);
    disk(&mut page, handle);
    leases_and_watches(&mut page, &handle.metrics, &root);
    handle.metrics.health.write(&mut page);
    handle.metrics.peers.write(&mut page);
    handle.metrics.calls.write(&mut page);
    process::write(&mut page, handle.metrics.started_unix_s);
    page.into_text()
}

fn member(page: &mut Page, handle: &Handle, root: &Root) {
    let id = hex(handle.identity.member_id);
    page.family("etcd_server_id", "gauge", "The member, always 1.");
    page.sample("etcd_server_id", &[("server_id", &id)], 1);
    page.family("etcd_server_version", "gauge", "The version of etcd it behaves as, always 1.");
    page.sample("etcd_server_version", &[("server_version", ETCD_VERSION)], 1);
    if let Some(version) = root.cluster_version() {
        let version = version.rsplit_once('.').map_or(version, |(minor, _)| minor);
        page.family("etcd_cluster_version", "gauge", "The version of all members, always 1.");
        page.sample("etcd_cluster_version", &[("cluster_version", version)], 1);
    }
    let quota = handle.space().reported_quota();
    page.gauge("etcd_server_quota_backend_bytes", "How large the store may become.", quota);
    let learner = u8::from(is_learner(root, handle.identity.member_id));
    page.gauge("etcd_server_is_learner", "Whether the member has no vote.", learner);
    if !root.alarms().is_empty() {
        let name = "etcd_server_alarms";
        page.family(name, "gauge", "Alarms that are raised, each 1.");
        for alarm in root.alarms() {
            let kind = AlarmType::try_from(alarm.alarm).unwrap_or(AlarmType::None).as_str_name();
            let labels = [("alarm_type", kind), ("server_id", &hex(alarm.member_id))];
            page.sample(name, &labels, 1);
        }
    }
    let peers = root.members().iter().filter(|other| other.id != handle.identity.member_id);
    let peers: Vec<String> = peers.map(|peer| hex(peer.id)).collect();
    if !peers.is_empty() {
        let name = "etcd_network_known_peers";
        page.family(name, "gauge", "The other members, each 1.");
        for peer in &peers {
            page.sample(name, &[("Local", &id), ("Remote", peer)], 1);
        }
    }
}

fn consensus(page: &mut Page, handle: &Handle) {
    let (leadership, progress) = (handle.leadership(), &handle.progress);
    let leads = u8::from(leadership.role == Role::Leader);
    page.gauge(
        "etcd_server_has_leader",
        "Whether somebody leads.",
        u8::from(leadership.leader != 0),
    );
    page.gauge("etcd_server_is_leader", "Whether this member leads.", leads);
    page.counter(
        "etcd_server_leader_changes_seen_total",
        "How often this member saw another leader.",
        handle.metrics.leader_changes.get(),
    );
    page.gauge(
        "etcd_server_proposals_committed_total",
        "The newest entry that is agreed on.",
        progress.committed.load(Ordering::Relaxed),
    );
    page.gauge(
        "etcd_server_proposals_applied_total",
        "The newest entry that is applied.",
        progress.applied.load(Ordering::Relaxed),
    );
    page.gauge("etcd_server_proposals_pending", "Writes under way.", handle.writes.pending());
    page.counter(
        "etcd_server_proposals_failed_total",
        "Writes that were not agreed on in time.",
        handle.metrics.proposals_failed.get(),
    );
    page.counter(
        "etcd_server_read_indexes_failed_total",
        "Linearizable reads that found no leader in time.",
        handle.metrics.reads_failed.get(),
    );
}

fn keys(page: &mut Page, handle: &Handle, root: &Root) {
    let operations = &handle.metrics.operations;
    let totals = [
        ("put", "Puts", &operations.puts),
        ("delete", "Deletions", &operations.deletes),
        ("range", "Ranges", &operations.ranges),
        ("txn", "Transactions of more than one operation", &operations.txns),
    ];
    for (name, what, counter) in totals {
        let help = format!("{what} seen by this member.");
        page.counter(&format!("etcd_mvcc_{name}_total"), &help, counter.get());
        page.counter(&format!("etcd_debugging_mvcc_{name}_total"), &help, counter.get());
    }
    page.gauge("etcd_debugging_mvcc_keys_total", "Keys that exist.", root.key_count());
    page.gauge("etcd_debugging_mvcc_current_revision", "The newest revision.", root.revision());
    page.gauge(
        "etcd_debugging_mvcc_compact_revision",
        "The revision of the last compaction.",
        root.compacted_revision(),
    );
    page.gauge(
        "etcd_debugging_auth_revision",
        "Counts the changes of users and roles.",
        root.auth().revision(),
    );
}

fn disk(page: &mut Page, handle: &Handle) {
    let Space { size, in_use, .. } = handle.space();
    page.gauge("etcd_mvcc_db_total_size_in_bytes", "Size of the store.", size);
    page.gauge("etcd_debugging_mvcc_db_total_size_in_bytes", "Size of the store.", size);
    let name = "etcd_mvcc_db_total_size_in_use_in_bytes";
    page.gauge(name, "What of it holds something.", in_use);
    page.histogram(
        "etcd_disk_wal_fsync_duration_seconds",
        "How long making the log durable took.",
        &handle.metrics.log_synced,
    );
    page.histogram(
        "etcd_disk_backend_commit_duration_seconds",
        "How long writing the store took.",
        &handle.metrics.store_committed,
    );
    page.gauge(
        "etcd_disk_defrag_inflight",
        "Whether the store is being defragmented.",
        handle.metrics.defragmentations.get(),
    );
}

fn leases_and_watches(page: &mut Page, metrics: &Metrics, root: &Root) {
    page.counter(
        "etcd_debugging_lease_granted_total",
        "Leases granted.",
        metrics.operations.leases_granted.get(),
    );
    page.counter(
        "etcd_debugging_lease_renewed_total",
        "Renewals of leases that clients of this member asked for.",
        metrics.leases_renewed.get(),
    );
    page.counter(
        "etcd_debugging_server_lease_expired_total",
        "Leases that this member, as leader, found to be out of time.",
        metrics.leases_expired.get(),
    );
    page.gauge("kvorum_leases", "Leases that exist.", root.lease_count());
    page.counter(
        "etcd_debugging_mvcc_events_total",
        "Events sent to watchers.",
        metrics.events.get(),
    );
    page.gauge(
        "etcd_debugging_mvcc_watch_stream_total",
        "Streams of watches.",
        metrics.watch_streams.get(),
    );
    page.gauge("etcd_debugging_mvcc_watcher_total", "Watches.", metrics.watchers.get());
}
