//! A snapshot of one member, as it comes.

use std::sync::Arc;

use etcd_client::SnapshotStreaming;

use crate::connection::{Connection, Effect};
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::link::Link;

/// The parts of a snapshot. It has no deadline of its own: how long it takes depends on how large
/// it is, and a connection that is dead is found out by its probes.
pub struct SnapshotStream {
    parts: SnapshotStreaming,
    link: Arc<Link>,
}

/// The next bytes of the file; the last ones are the SHA-256 of those before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPart {
    pub blob: Vec<u8>,
    /// Of the file, without the hash.
    pub remaining_bytes: u64,
    /// Of the server's storage; empty before etcd 3.6.
    pub version: String,
}

impl Connection {
    /// Asks the member behind `endpoint` for all it has.
    pub async fn snapshot(&self, endpoint: &Endpoint) -> Result<SnapshotStream, Failure> {
        let ask = |client: etcd_client::Client| async move {
            client.maintenance_client().snapshot().await
        };
        let parts = self.call_at(Effect::Reads, endpoint, ask).await?;
        Ok(SnapshotStream { parts, link: self.link_to(endpoint).await? })
    }
}

impl SnapshotStream {
    /// The next part; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<SnapshotPart>, Failure> {
        let part = self.parts.message().await.map_err(|error| self.link.failure(error, false))?;
        Ok(part.map(|part| SnapshotPart {
            blob: part.0.blob,
            remaining_bytes: part.0.remaining_bytes,
            version: part.0.version,
        }))
    }
}
