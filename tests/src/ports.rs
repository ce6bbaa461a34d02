//! Ports that nobody uses.
//!
//! They lie below the range from which the kernel takes the ports of outgoing connections, so
//! that a member that is killed and started again finds its own port still free. Two tests may
//! still choose the same; whoever comes second fails to bind and chooses again.

use std::net::TcpListener;

const LOWEST: u16 = 10_000;
/// Linux takes ports of outgoing connections from 32768 on.
const HIGHEST: u16 = 32_000;

/// `count` ports of the loopback address, all different.
pub fn free(count: usize) -> Vec<u16> {
    let span = HIGHEST - LOWEST;
    let start = rand::random::<u16>() % span;
    let mut held = Vec::new();
    for step in 0..span {
        if held.len() == count {
            break;
        }
        let port = LOWEST + (start + step) % span;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            held.push((port, listener));
        }
    }
    assert_eq!(held.len(), count, "this machine has no free ports");
    held.into_iter().map(|(port, _)| port).collect()
}
