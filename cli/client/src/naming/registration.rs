//! An address that is registered for as long as somebody keeps its lease.

use thiserror::Error;

use super::{Metadata, ServiceAddress, ServiceName, stored};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::pb;
use crate::queue;
use crate::range::KeyRange;
use crate::request::{Compare, CompareOp, CompareTarget, Get, Op, Put, Txn};
use crate::session::LeaseSession;

/// What is to be registered.
#[derive(Debug, Clone)]
pub struct Registration {
    pub name: ServiceName,
    pub address: ServiceAddress,
    pub metadata: Option<Metadata>,
    pub ttl_s: i64,
}

/// Who has an address already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupant {
    /// 0 if it is kept without one.
    pub lease: i64,
    pub create_revision: i64,
}

/// Why an address is not registered.
#[derive(Debug, Clone, Error)]
pub enum NotRegistered {
    #[error("it is registered already, since revision {}, under lease {:016x}", .0.create_revision, .0.lease)]
    Taken(Occupant),
    #[error(transparent)]
    Failure(#[from] Failure),
}

/// Registers an address under a new lease, which is kept from now on, and gives the revision.
///
/// Where somebody else has it, it is left alone unless `may_take` says otherwise of that occupant;
/// between the question and the answer, nobody else gets it unnoticed.
pub async fn register(
    connection: &Connection,
    registration: &Registration,
    may_take: impl Fn(Occupant) -> bool,
) -> Result<(LeaseSession, i64), NotRegistered> {
    let session = connection.session(registration.ttl_s).await?;
    match claim(connection, registration, &session, may_take).await {
        Ok(revision) => Ok((session, revision)),
        Err(error) => {
            // Whether the lease is gone at once or when its time is up, nothing hangs on it.
            let _ = session.close().await;
            Err(error)
        }
    }
}

async fn claim(
    connection: &Connection,
    registration: &Registration,
    session: &LeaseSession,
    may_take: impl Fn(Occupant) -> bool,
) -> Result<i64, NotRegistered> {
    let key = registration.name.key(&registration.address);
    let value = stored(&registration.address, registration.metadata.as_ref());
    let put = Put { lease: session.lease(), ..Put::new(key, value) };
    let mut found = None;
    for _ in 0..MAX_ATTEMPTS {
        let answer = connection.txn(unless_changed(&put, found)).await?;
        if answer.succeeded {
            return Ok(queue::revision(answer.header.as_ref()));
        }
        found = answer.responses.first().and_then(occupant);
        if let Some(occupant) = found
            && !may_take(occupant)
        {
            return Err(NotRegistered::Taken(occupant));
        }
    }
    let message = "others register it and give it up all the time".to_owned();
    Err(Failure::Refused { code: tonic::Code::Aborted, message }.into())
}

/// The place may be taken, given up and taken again between two looks at it.
const MAX_ATTEMPTS: usize = 5;

/// Puts if the place is as it was found, else looks who has it.
fn unless_changed(put: &Put, found: Option<Occupant>) -> Txn {
    let compare =
        |target| Compare { range: KeyRange::single(put.key.clone()), op: CompareOp::Equal, target };
    let guards = match found {
        None => vec![CompareTarget::CreateRevision(0)],
        Some(Occupant { lease, create_revision }) => {
            vec![CompareTarget::CreateRevision(create_revision), CompareTarget::Lease(lease)]
        }
    };
    Txn {
        compares: guards.into_iter().map(compare).collect(),
        success: vec![Op::Put(put.clone())],
        failure: vec![Op::Get(Get::key(put.key.clone()))],
    }
}

/// Who was found in the place, if the transaction looked and somebody was.
fn occupant(response: &pb::ResponseOp) -> Option<Occupant> {
    match &response.response {
        Some(pb::ResponseOpKind::ResponseRange(range)) => range
            .kvs
            .first()
            .map(|kv| Occupant { lease: kv.lease, create_revision: kv.create_revision }),
        _ => None,
    }
}
