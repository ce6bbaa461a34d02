//! A value that rots on the disk of a member that runs is served to nobody.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;

use crate::support::{Cluster, eventually, get};
use kvorum_proto::etcdserverpb::RangeRequest;
use kvorum_server::Reason;

const MARK: &str = "a value that nobody else has, and long enough to be found again";

/// More than the store keeps of its file in memory.
const OTHERS: usize = 48;

#[test]
fn a_value_that_rotted_is_not_served_and_stops_the_member() {
    let mut cluster = Cluster::start(1);
    let client = cluster.client(0);
    let old = cluster.runtime.block_on(async {
        let old = client.put("key", MARK).await;
        client.put("key", "the next").await;
        for at in 0..OTHERS {
            let value = char::from(b'a' + (at % 26) as u8).to_string().repeat(1 << 20);
            client.put("other", &value).await;
        }
        old
    });
    let path = cluster.config(0).data_dir.join("kvorum/store.redb");
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let mut marks = bytes.windows(MARK.len()).enumerate();
    let mut found = 0;
    while let Some((at, _)) = marks.find(|(_, window)| *window == MARK.as_bytes()) {
        file.write_all_at(b"A", at as u64).unwrap();
        found += 1;
    }
    assert!(found > 0, "the value is on disk");

    let at_old = RangeRequest { revision: old, ..get("key") };
    let refused = cluster.runtime.block_on(eventually("it is not served", async || {
        client.kv().range(at_old.clone()).await.err()
    }));
    assert!(refused.message().contains("the store is damaged"), "{refused}");
    let member = cluster.members[0].take().unwrap();
    match member.wait() {
        Reason::Fault(what) => assert!(what.contains("the store is damaged"), "{what}"),
        Reason::Asked => panic!("nobody asked it to stop"),
    }
}
