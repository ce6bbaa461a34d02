//! `version`

use crate::mode::Mode;

/// The release of etcd whose behaviour and output ours is.
pub const ETCD_VERSION: &str = "3.6.0";
pub const API_VERSION: &str = "3.6";

pub(super) fn text(mode: Mode) -> String {
    let etcdctl = format!("etcdctl version: {ETCD_VERSION}\nAPI version: {API_VERSION}");
    match mode {
        Mode::Etcdctl => etcdctl,
        Mode::Kvorum => format!("kvorum version: {}\n{etcdctl}", env!("CARGO_PKG_VERSION")),
    }
}
