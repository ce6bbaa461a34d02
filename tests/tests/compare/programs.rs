//! Debian's etcd, with Debian's etcdctl and ours.

use std::time::Duration;

use kvorum_tests::binary;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::program::{Names, Program, real_etcd, real_etcdctl};

/// How long something that must happen may take.
pub(crate) const WITHIN: Duration = Duration::from_secs(20);

pub(crate) struct Programs {
    pub(crate) etcd: Program,
    pub(crate) theirs: Program,
    pub(crate) ours: Program,
}

impl Programs {
    /// `None` without Debian's etcd.
    pub(crate) fn find() -> Option<Programs> {
        let ours = Names::of(binary!()).etcdctl();
        Some(Programs { etcd: real_etcd()?, theirs: real_etcdctl()?, ours })
    }

    pub(crate) fn cluster(&self) -> Cluster {
        Cluster::start(&self.etcd, 1)
    }

    /// Plays a scene with each etcdctl.
    pub(crate) fn both<T: PartialEq + std::fmt::Debug>(&self, scene: impl Fn(&Program) -> T) -> T {
        let (theirs, ours) = (scene(&self.theirs), scene(&self.ours));
        assert_eq!(ours, theirs, "ours, and etcdctl's");
        ours
    }
}
