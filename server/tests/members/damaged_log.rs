//! A member of a cluster whose log was damaged comes back, and does not vote until it has got back
//! what was lost.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::support::{Client, Cluster, PATIENCE, eventually};
use kvorum_proto::etcdserverpb::{RangeRequest, StatusRequest};

fn log_dir(cluster: &Cluster, index: usize) -> PathBuf {
    cluster.config(index).data_dir.join("kvorum/log")
}

/// Flips a bit of the frame in the middle of the member's log. Between frames it would not matter.
fn damage(cluster: &Cluster, index: usize) {
    let path = log_dir(cluster, index).join("00000001.log");
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let frames = frames(&bytes);
    let at = frames[frames.len() / 2] + FRAME_POSITION.start;
    file.write_all_at(&[bytes[at] ^ 0x10], at as u64).unwrap();
}

/// Where in a frame's header its own position stands, behind what every frame begins with.
const FRAME_POSITION: std::ops::Range<usize> = 8..16;
const FRAME_MAGIC: [u8; 4] = [0x6d, 0x72, 0x76, 0x6b];

/// Where the frames of the first segment begin.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let is_frame = |at: &usize| {
        let position = (1 << 32) | *at as u64;
        bytes[*at..].starts_with(&FRAME_MAGIC)
            && bytes[*at..].get(FRAME_POSITION) == Some(&position.to_le_bytes())
    };
    (0..bytes.len()).step_by(8).filter(is_frame).collect()
}

fn was_set_aside(cluster: &Cluster, index: usize) -> bool {
    let names = fs::read_dir(log_dir(cluster, index)).unwrap();
    names.flatten().any(|name| name.file_name().to_string_lossy().ends_with(".damaged"))
}

async fn fill(client: &Client, range: std::ops::Range<u32>) {
    for at in range {
        client.put(&format!("k{at:03}"), &format!("v{at}")).await;
    }
}

async fn keys(client: &Client) -> usize {
    let all = RangeRequest { key: "k".into(), range_end: "l".into(), ..RangeRequest::default() };
    client.kv().range(all).await.unwrap().into_inner().kvs.len()
}

#[test]
fn a_member_with_a_damaged_log_gets_back_what_it_lost() {
    let mut cluster = Cluster::start(3);
    let client = cluster.client(1);
    cluster.runtime.block_on(fill(&client, 0..100));
    cluster.stop(0);
    cluster.runtime.block_on(fill(&client, 100..150));
    damage(&cluster, 0);
    cluster.restart(0);
    assert!(was_set_aside(&cluster, 0));
    let back = cluster.client(0);
    let complete = async || {
        let member = cluster.members[0].as_ref().unwrap();
        (!member.is_incomplete()).then_some(())
    };
    cluster.runtime.block_on(async {
        eventually("it is complete", complete).await;
        assert_eq!(keys(&back).await, 150);
    });
    // Its vote counts again, and it stays complete.
    cluster.stop(2);
    cluster.stop(0);
    cluster.restart(0);
    assert!(!cluster.members[0].as_ref().unwrap().is_incomplete());
    let back = cluster.client(0);
    cluster.runtime.block_on(async {
        fill(&back, 150..160).await;
        assert_eq!(keys(&back).await, 160);
    });
}

#[test]
fn with_a_member_that_is_not_complete_there_is_no_quorum_of_two() {
    let mut cluster = Cluster::start(3);
    let client = cluster.client(1);
    cluster.runtime.block_on(fill(&client, 0..60));
    for index in 0..3 {
        cluster.stop(index);
    }
    damage(&cluster, 0);
    for index in [0, 1] {
        let member = cluster.try_restart(index).unwrap();
        assert_eq!(member.is_incomplete(), index == 0);
        cluster.members[index] = Some(member);
    }
    // Longer than elections take.
    assert!(!cluster.members[1].as_ref().unwrap().wait_ready(std::time::Duration::from_secs(4)));
    let client = cluster.client(1);
    cluster.runtime.block_on(async {
        let status = client.maintenance().status(StatusRequest {}).await.unwrap();
        assert_eq!(status.into_inner().leader, 0, "it leads without having been elected");
        let status = cluster.client(0).maintenance().status(StatusRequest {}).await.unwrap();
        let errors = status.into_inner().errors;
        let said = |what| errors.iter().any(|error| error.contains(what));
        assert!(
            said("the log was damaged") && said("start the members that are down"),
            "{errors:?}"
        );
    });
    assert!(cluster.members[0].as_ref().unwrap().is_incomplete());
    cluster.restart(2);
    assert!(cluster.members[0].as_ref().unwrap().wait_ready(PATIENCE));
    let back = cluster.client(0);
    cluster.runtime.block_on(async {
        let member = cluster.members[0].as_ref().unwrap();
        eventually("it is complete", async || (!member.is_incomplete()).then_some(())).await;
        assert_eq!(keys(&back).await, 60);
    });
}

#[test]
fn a_single_member_with_a_damaged_log_does_not_start() {
    let mut cluster = Cluster::start(1);
    let client = cluster.client(0);
    cluster.runtime.block_on(fill(&client, 0..60));
    cluster.stop(0);
    damage(&cluster, 0);
    let Err(error) = cluster.try_restart(0) else { panic!("it started") };
    assert!(error.to_string().starts_with("the log is damaged: "), "{error}");
    assert!(!was_set_aside(&cluster, 0));
}
