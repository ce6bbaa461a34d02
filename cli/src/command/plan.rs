//! `--dry-run`: what a command would write, found out by reading.

use kvorum_client::{Get, Op, Put, Txn};

use super::{CommandError, Session, guard};
use crate::output::{escape_control, go};

/// Keys that are named.
const SAMPLE_KEYS: usize = 5;

pub(super) fn shown(key: &[u8]) -> String {
    String::from_utf8_lossy(&escape_control(key)).into_owned()
}

/// What a put would do.
pub(super) async fn put(put: &Put, session: &mut Session) -> Result<(), CommandError> {
    let sentence = put_sentence(put, session).await?;
    session.say(&format!("would {sentence}"))
}

async fn put_sentence(put: &Put, session: &Session) -> Result<String, CommandError> {
    let get = Get { serializable: true, ..Get::key(put.key.clone()) };
    let known = session.connection.get(get).await?.kvs.into_iter().next();
    let key = shown(&put.key);
    let new = match (put.ignore_value, &known) {
        (true, Some(known)) => go::size(known.value.len() as u64),
        _ => go::size(put.value.len() as u64),
    };
    let lease = match (put.ignore_lease, put.lease) {
        (true, _) => ", keeping its lease".to_owned(),
        (false, 0) => String::new(),
        (false, lease) => format!(", under lease {lease:016x}"),
    };
    Ok(match known {
        None => format!("create {key} with {new}{lease}"),
        Some(known) if known.value == put.value && !put.ignore_value => {
            format!(
                "write {key} as it is, {new}{lease}; modified at revision {}",
                known.mod_revision
            )
        }
        Some(known) => format!(
            "put {new} into {key} over {}{lease}; modified at revision {}",
            go::size(known.value.len() as u64),
            known.mod_revision
        ),
    })
}

/// Which branch of a transaction would run now, and what it would do.
pub(super) async fn txn(txn: &Txn, session: &mut Session) -> Result<(), CommandError> {
    let compares = Txn { compares: txn.compares.clone(), ..Txn::default() };
    let holds = session.connection.txn(compares).await?.succeeded;
    let (name, ops) = if holds { ("success", &txn.success) } else { ("failure", &txn.failure) };
    session.say(&format!("would run the {name} requests: {}", ops.len()))?;
    for op in ops {
        let sentence = match op {
            Op::Get(get) => format!("get {}", shown(&get.range.key)),
            Op::Put(put) => put_sentence(put, session).await?,
            Op::Delete(delete) => {
                let count = Get {
                    range: delete.range.clone(),
                    count_only: true,
                    serializable: true,
                    ..Get::default()
                };
                let count = session.connection.get(count).await?.count;
                format!("delete {} from {}", guard::keys(count), shown(&delete.range.key))
            }
            Op::Txn(_) => "run a transaction within".to_owned(),
        };
        session.say(&format!("  {sentence}"))?;
    }
    Ok(())
}

/// What revoking a lease would delete.
pub(super) async fn revoke(id: i64, session: &mut Session) -> Result<(), CommandError> {
    let lease = session.connection.lease_time_to_live(id, true).await?;
    if lease.ttl < 0 {
        return session.say(&format!("there is no lease {id:016x} to revoke"));
    }
    let count = guard::keys(lease.keys.len() as i64);
    session.say(&format!("would revoke lease {id:016x} and delete {count}"))?;
    for key in lease.keys.iter().take(SAMPLE_KEYS) {
        session.say(&format!("  {}", shown(key)))?;
    }
    if lease.keys.len() > SAMPLE_KEYS {
        session.say(&format!("  … and {} more", lease.keys.len() - SAMPLE_KEYS))?;
    }
    Ok(())
}

/// What a compaction would give up.
pub(super) async fn compact(revision: i64, session: &mut Session) -> Result<(), CommandError> {
    let now = session.connection.status_of_any().await?;
    let now = now.header.map_or(0, |header| header.revision);
    session.say(&format!("would give up the history before revision {revision}; now it is {now}"))
}
