//! What goes to the other members and comes from them.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::text::Page;
use crate::identity::hex;

/// Bytes by member, counted once a frame.
#[derive(Debug, Default)]
pub(crate) struct PeerBytes {
    sent: Mutex<BTreeMap<u64, u64>>,
    received: Mutex<BTreeMap<u64, u64>>,
}

impl PeerBytes {
    pub(crate) fn sent(&self, peer: u64, bytes: usize) {
        *self.sent.lock().entry(peer).or_default() += bytes as u64;
    }

    /// `peer` is a member that was told from others.
    pub(crate) fn received(&self, peer: u64, bytes: usize) {
        *self.received.lock().entry(peer).or_default() += bytes as u64;
    }

    pub(super) fn write(&self, page: &mut Page) {
        let directions = [
            ("etcd_network_peer_sent_bytes_total", "To", "Bytes sent to each member.", &self.sent),
            (
                "etcd_network_peer_received_bytes_total",
                "From",
                "Bytes that came of each member.",
                &self.received,
            ),
        ];
        for (name, label, help, bytes) in directions {
            let bytes = bytes.lock().clone();
            if bytes.is_empty() {
                continue;
            }
            page.family(name, "counter", help);
            for (peer, bytes) in bytes {
                page.sample(name, &[(label, &hex(peer))], bytes);
            }
        }
    }
}
