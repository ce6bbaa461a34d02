//! All that one member holds, asked of that member alone.

use std::collections::BTreeMap;
use std::time::Duration;

use etcd_client::{Client, Error, EventType, GetOptions, LeaseTimeToLiveOptions, WatchOptions};

use crate::ledger::{History, Write};

/// How long a member may take to tell its whole history.
const TELLS_WITHIN: Duration = Duration::from_secs(30);

/// A key with its value and every number that etcd keeps about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub key: String,
    pub value: String,
    pub create_revision: i64,
    pub mod_revision: i64,
    pub version: i64,
    pub lease: i64,
}

/// A member's contents at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    pub records: Vec<Record>,
    /// By lease: the seconds it was granted for and its keys.
    pub leases: BTreeMap<i64, (i64, Vec<String>)>,
}

/// The revision that a member has reached by itself, without asking the others.
pub async fn revision(client: &mut Client) -> Result<i64, Error> {
    let options = GetOptions::new().with_serializable().with_count_only();
    let answer = client.get("any", Some(options)).await?;
    Ok(answer.header().expect("an answer has a header").revision())
}

/// The contents at `revision`, read serializably.
pub async fn contents(client: &mut Client, revision: i64) -> Result<Contents, Error> {
    let options = GetOptions::new().with_all_keys().with_serializable().with_revision(revision);
    let answer = client.get("", Some(options)).await?;
    let records = answer.kvs().iter().map(|kv| Record {
        key: text(kv.key()),
        value: text(kv.value()),
        create_revision: kv.create_revision(),
        mod_revision: kv.mod_revision(),
        version: kv.version(),
        lease: kv.lease(),
    });
    let records = records.collect();
    let mut leases = BTreeMap::new();
    for lease in client.leases().await?.leases() {
        let options = LeaseTimeToLiveOptions::new().with_keys();
        let lived = client.lease_time_to_live(lease.id(), Some(options)).await?;
        let mut keys: Vec<String> = lived.keys().iter().map(|key| text(key)).collect();
        keys.sort();
        leases.insert(lease.id(), (lived.granted_ttl(), keys));
    }
    Ok(Contents { records, leases })
}

/// All changes from the first revision up to `last`, as the member's watch tells them.
pub async fn history(client: &mut Client, last: i64) -> Result<History, String> {
    let mut history = History::new();
    if last <= 1 {
        return Ok(history);
    }
    let options = WatchOptions::new().with_all_keys().with_start_revision(1);
    let told = async {
        let mut watch = client.watch("", Some(options)).await.map_err(|e| e.to_string())?;
        while history.last_key_value().is_none_or(|(revision, _)| *revision < last) {
            let message = watch.message().await.map_err(|e| e.to_string())?;
            let message = message.ok_or("the watch ended")?;
            if message.canceled() {
                return Err(format!("the watch was cancelled: {}", message.cancel_reason()));
            }
            for event in message.events() {
                let kv = event.kv().ok_or("an event without a key")?;
                let write = match event.event_type() {
                    EventType::Put => Write::Put { key: text(kv.key()), value: text(kv.value()) },
                    EventType::Delete => Write::Delete { key: text(kv.key()) },
                };
                if let Some(first) = history.insert(kv.mod_revision(), write) {
                    return Err(format!("revision {} came twice: {first:?}", kv.mod_revision()));
                }
            }
        }
        Ok(())
    };
    let told = tokio::time::timeout(TELLS_WITHIN, told).await;
    told.map_err(|_| format!("the history up to {last} does not come"))??;
    // A message may hold more than was asked for.
    history.retain(|revision, _| *revision <= last);
    Ok(history)
}

/// What a history leaves behind, in key order. Which lease a key hangs on is not in a history.
pub fn remains(history: &History) -> Vec<Record> {
    let mut live = BTreeMap::new();
    for (&revision, write) in history {
        match write {
            Write::Delete { key } => drop(live.remove(key)),
            Write::Put { key, value } => {
                let record: &mut Record = live.entry(key).or_insert_with(|| Record {
                    key: key.clone(),
                    value: String::new(),
                    create_revision: revision,
                    mod_revision: revision,
                    version: 0,
                    lease: 0,
                });
                record.value.clone_from(value);
                record.mod_revision = revision;
                record.version += 1;
            }
        }
    }
    live.into_values().collect()
}

impl Contents {
    /// What does not follow from the history, in words; empty when all is well. Every lease was
    /// granted for `ttl_s`.
    pub fn faults(&self, history: &History, ttl_s: i64) -> Vec<String> {
        let mut faults = Vec::new();
        let free = |record: &Record| Record { lease: 0, ..record.clone() };
        let expected = remains(history);
        let found: Vec<Record> = self.records.iter().map(free).collect();
        if expected != found {
            faults.push(format!("the history leaves {expected:?}\nbut there is {found:?}"));
        }
        for record in self.records.iter().filter(|record| record.lease != 0) {
            if !self.leases.contains_key(&record.lease) {
                faults.push(format!("there is no such lease: {record:?}"));
            }
        }
        for (id, lease) in &self.leases {
            let attached = self.records.iter().filter(|record| record.lease == *id);
            let expected = (ttl_s, attached.map(|record| record.key.clone()).collect());
            if *lease != expected {
                faults.push(format!("lease {id} is {lease:?}, expected {expected:?}"));
            }
        }
        faults
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: &str, revisions: (i64, i64), version: i64, lease: i64) -> Record {
        let (create_revision, mod_revision) = revisions;
        let (key, value) = (key.into(), value.into());
        Record { key, value, create_revision, mod_revision, version, lease }
    }

    fn put(key: &str, value: &str) -> Write {
        Write::Put { key: key.into(), value: value.into() }
    }

    #[test]
    fn contents_follow_from_their_history_or_every_difference_is_told() {
        let delete = Write::Delete { key: "a".into() };
        let history = [put("a", "1"), delete, put("b", "2"), put("a", "3"), put("a", "4")];
        let history: History = (2..).zip(history).collect();
        let records = vec![record("a", "4", (5, 6), 2, 7), record("b", "2", (4, 4), 1, 0)];
        let leases = BTreeMap::from([(7, (60, vec!["a".to_owned()]))]);
        let good = Contents { records, leases };
        assert_eq!(good.faults(&history, 60), Vec::<String>::new());

        let wrong = |change: fn(&mut Contents)| {
            let mut contents = good.clone();
            change(&mut contents);
            contents.faults(&history, 60).len()
        };
        assert_eq!(wrong(|it| it.records[0].version = 1), 1);
        assert_eq!(wrong(|it| it.records[0].create_revision = 2), 1);
        assert_eq!(wrong(|it| it.records[1].mod_revision = 3), 1);
        assert_eq!(wrong(|it| it.records[1].value.clear()), 1);
        assert_eq!(wrong(|it| drop(it.records.remove(1))), 1);
        assert_eq!(wrong(|it| it.records[0].lease = 0), 1, "the lease still names the key");
        assert_eq!(wrong(|it| it.records[1].lease = 8), 1, "there is no such lease");
        assert_eq!(wrong(|it| it.leases.get_mut(&7).expect("it is there").0 = 59), 1);
    }
}
