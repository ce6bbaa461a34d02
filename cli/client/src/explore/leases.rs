//! The leases of a cluster with what each is about.

use futures::stream::{self, Stream, StreamExt};

use tonic::Code;

use super::AT_ONCE;
use crate::connection::Connection;
use crate::failure::Failure;

/// One lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    pub id: i64,
    /// What is known of it; `None` if its keys may not be read, which is what it takes to ask.
    pub time: Option<LeaseTime>,
    /// The keys attached to it, if they were asked for.
    pub keys: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTime {
    /// What was granted; 0 if the lease was gone when it was asked about.
    pub granted_s: i64,
    /// Seconds left; below 0 if it is gone.
    pub left_s: i64,
}

/// Every lease in the order of their ids, each asked about on its own, some at the same time.
pub async fn leases(
    connection: &Connection,
    keys: bool,
) -> Result<impl Stream<Item = Result<LeaseRow, Failure>>, Failure> {
    let mut ids: Vec<i64> =
        connection.leases().await?.leases.into_iter().map(|lease| lease.id).collect();
    // As they are written, in hexadecimal.
    ids.sort_unstable_by_key(|id| *id as u64);
    let connection = connection.clone();
    let ask = move |id| {
        let connection = connection.clone();
        async move {
            match connection.lease_time_to_live(id, keys).await {
                Ok(answer) => {
                    let time = LeaseTime { granted_s: answer.granted_ttl, left_s: answer.ttl };
                    Ok(LeaseRow { id, time: Some(time), keys: answer.keys })
                }
                Err(failure) if failure.code() == Some(Code::PermissionDenied) => {
                    Ok(LeaseRow { id, time: None, keys: Vec::new() })
                }
                Err(failure) => Err(failure),
            }
        }
    };
    Ok(stream::iter(ids).map(ask).buffered(AT_ONCE))
}
