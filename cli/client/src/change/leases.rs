//! Under which leases keys can come back.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tonic::Code;

use crate::connection::Connection;
use crate::explore::AT_ONCE;
use crate::failure::Failure;

/// The leases that are alive among those that were asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leases {
    alive: BTreeSet<i64>,
}

impl Leases {
    /// The lease, if a key can be put under it; else 0, none.
    pub fn alive_or_none(&self, lease: i64) -> i64 {
        if self.alive.contains(&lease) { lease } else { 0 }
    }
}

/// Asks about each lease once. One that may not be asked about counts as gone.
pub async fn settle_leases(
    connection: &Connection,
    leases: impl IntoIterator<Item = i64>,
) -> Result<Leases, Failure> {
    let leases: BTreeSet<i64> = leases.into_iter().filter(|lease| *lease != 0).collect();
    let ask = |lease| async move {
        match connection.lease_time_to_live(lease, false).await {
            Ok(answer) => Ok((answer.ttl > 0).then_some(lease)),
            Err(failure) if failure.code() == Some(Code::PermissionDenied) => Ok(None),
            Err(failure) => Err(failure),
        }
    };
    let asked = stream::iter(leases).map(ask).buffer_unordered(AT_ONCE);
    let alive = asked.try_filter_map(|lease| async move { Ok::<_, Failure>(lease) });
    Ok(Leases { alive: alive.try_collect().await? })
}
