//! What a scan of everything below a prefix would read, before it is begun.

use crate::connection::Connection;
use crate::failure::Failure;
use crate::range::KeyRange;
use crate::request::Get;

/// Above this a person is asked first: a member that serves others has better things to do.
pub const ASK_ABOVE_BYTES: u64 = 256 << 20;

/// What a scan would read, about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    pub keys: u64,
    pub bytes: u64,
}

/// A key with its numbers, when only keys are read: the member does not say how long they are.
const KEY_BYTES: u64 = 128;

/// How much a scan of these ranges would read. `None`: no more than [`ASK_ABOVE_BYTES`], by the
/// size of the whole database, so the keys were not counted.
///
/// The database also holds history, so what is found is rather too much than too little.
pub async fn estimate(
    connection: &Connection,
    ranges: &[KeyRange],
    values: bool,
) -> Result<Option<Estimate>, Failure> {
    let status = connection.status_of_any().await?;
    let in_use = u64::try_from(status.db_size_in_use.max(0)).unwrap_or(0);
    if in_use <= ASK_ABOVE_BYTES {
        return Ok(None);
    }
    let mut keys = 0;
    for range in ranges {
        keys += counted(connection, range.clone()).await?;
    }
    if !values {
        return Ok(Some(Estimate { keys, bytes: in_use.min(keys * KEY_BYTES) }));
    }
    let everything = KeyRange::prefix("");
    let all = match ranges {
        [range] if *range == everything => keys,
        // Who may not count everything is told the most it can be.
        _ => counted(connection, everything).await.unwrap_or(keys),
    };
    Ok(Some(Estimate { keys, bytes: share(in_use, keys, all) }))
}

async fn counted(connection: &Connection, range: KeyRange) -> Result<u64, Failure> {
    let get = Get { range, count_only: true, serializable: true, ..Get::default() };
    Ok(connection.get(get).await?.count.max(0) as u64)
}

fn share(bytes: u64, keys: u64, all: u64) -> u64 {
    (u128::from(bytes) * u128::from(keys.min(all)) / u128::from(all.max(1))) as u64
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn a_part_of_the_keys_is_that_part_of_the_bytes() {
        assert_eq!(share(1 << 40, 1, 4), 1 << 38);
        assert_eq!(share(100, 7, 5), 100);
        assert_eq!(share(100, 0, 0), 0);
    }
}
