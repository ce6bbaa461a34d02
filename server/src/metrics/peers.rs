//! What goes to the other members and comes from them.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::text::Page;
use crate::identity::hex;

/// By member: bytes, counted once a frame, and messages that were not sent because the member is
/// away or slow.
#[derive(Debug, Default)]
pub(crate) struct PeerTraffic {
    sent: Mutex<BTreeMap<u64, u64>>,
    received: Mutex<BTreeMap<u64, u64>>,
    failed: Mutex<BTreeMap<u64, u64>>,
}

impl PeerTraffic {
    pub(crate) fn sent(&self, peer: u64, bytes: usize) {
        *self.sent.lock().entry(peer).or_default() += bytes as u64;
    }

    /// `peer` is a member that was told from others.
    pub(crate) fn received(&self, peer: u64, bytes: usize) {
        *self.received.lock().entry(peer).or_default() += bytes as u64;
    }

    pub(crate) fn failed(&self, peer: u64) {
        *self.failed.lock().entry(peer).or_default() += 1;
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
            (
                "etcd_network_peer_sent_failures_total",
                "To",
                "Messages to each member that were not sent, as it is away or slow.",
                &self.failed,
            ),
        ];
        for (name, label, help, counts) in directions {
            let counts = counts.lock().clone();
            if counts.is_empty() {
                continue;
            }
            page.family(name, "counter", help);
            for (peer, count) in counts {
                page.sample(name, &[(label, &hex(peer))], count);
            }
        }
    }
}
