//! Back through the life of one key.

use crate::connection::Connection;
use crate::failure::Failure;
use crate::pb;
use crate::request::Get;

/// The key as it was at `revision` (0: now), and then each change before that, the newest first,
/// until its creation. `each` gets every one and says whether to go on. Answers what it was told of
/// last, if that is not the creation: what was before was compacted, or nobody wanted it.
///
/// `None`: the key is not there at that revision.
pub async fn walk(
    connection: &Connection,
    key: &[u8],
    revision: i64,
    values: bool,
    mut each: impl FnMut(pb::KeyValue) -> bool,
) -> Result<Option<Walked>, Failure> {
    let mut get = Get { revision, keys_only: !values, serializable: true, ..Get::key(key) };
    let Some(mut kv) = connection.get(get.clone()).await?.kvs.pop() else { return Ok(None) };
    loop {
        let (created, modified) = (kv.create_revision, kv.mod_revision);
        let goes_on = each(kv);
        if created == modified {
            return Ok(Some(Walked { created, end: End::Creation }));
        }
        if !goes_on {
            return Ok(Some(Walked { created, end: End::Unwanted }));
        }
        get.revision = modified - 1;
        kv = match connection.get(get.clone()).await {
            Ok(mut answer) => match answer.kvs.pop() {
                Some(kv) => kv,
                None => return Ok(Some(Walked { created, end: End::Compacted })),
            },
            Err(failure) if failure.is_compacted() => {
                return Ok(Some(Walked { created, end: End::Compacted }));
            }
            Err(failure) => return Err(failure),
        };
    }
}

/// How far a walk came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// The revision at which this life of the key began.
    pub created: i64,
    pub end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything since the key was created was told.
    Creation,
    /// What was before is no longer kept.
    Compacted,
    /// Whoever asked had enough.
    Unwanted,
}
