//! What leases were granted for.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tonic::Code;

use crate::connection::Connection;
use crate::explore::AT_ONCE;
use crate::failure::Failure;

/// The times to live of leases, each asked for once.
#[derive(Debug, Default)]
pub struct Terms {
    /// `None`: it is gone, or may not be asked about.
    granted_ttl_s: BTreeMap<i64, Option<i64>>,
}

/// Leases remembered: some MiB. Of more, some are asked about again.
const MAX_REMEMBERED: usize = 100_000;

impl Terms {
    /// Asks about those that are not known yet; 0 is none.
    pub async fn learn(
        &mut self,
        connection: &Connection,
        leases: impl IntoIterator<Item = i64>,
    ) -> Result<(), Failure> {
        let leases: BTreeSet<i64> = leases.into_iter().filter(|lease| *lease != 0).collect();
        if self.granted_ttl_s.len() + leases.len() > MAX_REMEMBERED {
            self.granted_ttl_s.clear();
        }
        let unknown = leases.into_iter().filter(|lease| !self.granted_ttl_s.contains_key(lease));
        let ask = |lease| async move {
            match connection.lease_time_to_live(lease, false).await {
                Ok(answer) => Ok((lease, (answer.granted_ttl > 0).then_some(answer.granted_ttl))),
                Err(failure) if failure.code() == Some(Code::PermissionDenied) => Ok((lease, None)),
                Err(failure) => Err(failure),
            }
        };
        let unknown: Vec<_> = unknown.collect();
        let asked = stream::iter(unknown).map(ask).buffer_unordered(AT_ONCE);
        let learned: Vec<_> = asked.try_collect().await?;
        self.granted_ttl_s.extend(learned);
        Ok(())
    }

    /// Seconds, if they are known.
    pub fn granted_ttl_s(&self, lease: i64) -> Option<i64> {
        self.granted_ttl_s.get(&lease).copied().flatten()
    }
}
