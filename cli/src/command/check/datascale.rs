//! `check datascale`: how much memory does a member need for so many keys?

use kvorum_client::{Amount, Connection, Load, LoadRun};

use super::progress::Progress;
use super::{
    CommandError, Finished, Session, clients, delete, finish, refuse_keys, say_errors, tidy,
};
use crate::args::{CheckLoadArgs, LoadSize};
use crate::exit;
use crate::signals::Interrupted;

const PREFIX: &str = "/etcdctl-check-datascale/";
const KEY_BYTES: usize = 512;
const VALUE_BYTES: usize = 512;

/// Keys, and clients.
fn workload(size: LoadSize) -> (u64, usize) {
    match size {
        LoadSize::Small => (10_000, 50),
        LoadSize::Medium => (100_000, 200),
        LoadSize::Large => (1_000_000, 500),
        LoadSize::ExtraLarge => (3_000_000, 1000),
    }
}

pub(super) async fn execute(
    args: &CheckLoadArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    let prefix = args.prefix(PREFIX);
    let (keys, count) = workload(args.size()?);
    let clients = clients(session, count)?;
    refuse_keys(&clients[0], &prefix, "etcdctl del --prefix {}").await?;
    let before = memory_bytes(&clients[0], "before", session).await?;
    let kv_bytes = KEY_BYTES + VALUE_BYTES;
    session.say(&format!(
        "Start data scale check for work load [{keys} key-value pairs, {kv_bytes} bytes per \
         key-value, {count} concurrent clients]."
    ))?;
    let load = Load {
        prefix: prefix.clone(),
        key_bytes: KEY_BYTES,
        value_bytes: VALUE_BYTES,
        amount: Amount::Writes(keys),
    };
    let mut interrupted = Interrupted::new()?;
    let shown = Progress::new(keys, &session.manner);
    let mut run = LoadRun::start(&clients, &load);
    let finished = finish(&mut run, &mut interrupted, &shown).await;
    drop(shown);
    let report = run.report();
    let after = match finished {
        Ok(Finished::Whole) => Some(memory_bytes(&clients[0], "after", session).await?),
        Ok(Finished::Interrupted) | Err(_) => None,
    };
    let deleted = delete(&clients[0], &prefix).await;
    let deleted = deleted.map_err(|message| CommandError::Other { code: exit::ERROR, message })?;
    // How much memory a part of the keys needs says nothing.
    let Some(after) = after else { return Err(CommandError::Silent { code: exit::SIGINT }) };
    tidy(&clients[0], args, Some(&deleted), session).await?;
    if say_errors(&report, session)? {
        return Err(CommandError::Silent { code: exit::ERROR });
    }
    let used_mib = (after - before) / f64::from(1 << 20);
    session.say(&format!("PASS: Approximate system memory used : {used_mib:.2} MB."))
}

/// The memory of the first endpoint, which is the one that is looked at.
async fn memory_bytes(
    client: &Connection,
    when: &str,
    session: &mut Session,
) -> Result<f64, CommandError> {
    match client.resident_memory_bytes(&client.endpoints()[0]).await {
        Ok(bytes) if bytes != 0.0 => return Ok(bytes),
        Ok(_) => {}
        Err(error) => session.say(&error.to_string())?,
    }
    session.say(&format!(
        "FAIL: Could not read process_resident_memory_bytes {when} the put operations."
    ))?;
    Err(CommandError::Silent { code: exit::ERROR })
}
