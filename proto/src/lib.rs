//! etcd's v3 wire contract, the log entry and the peer protocol.
//!
//! Packages, services, names and field numbers are those of etcd 3.7, so that every client of
//! etcd speaks to us unchanged. Every `bytes` field is [`bytes::Bytes`]: a value read from the
//! network, the log or the store is never copied on its way out. The feature `grpc` adds client
//! and server stubs; the pure crates do without it.

pub mod key_range;
mod secret;

/// The public services and their messages, as an encoded `google.protobuf.FileDescriptorSet`.
#[cfg(feature = "grpc")]
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Defines a module per protobuf package, from what the build script generated.
macro_rules! packages {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[allow(clippy::all, clippy::pedantic, unreachable_pub, reason = "generated")]
        pub mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".rs"));
        }
    )*};
}

packages! {
    /// Users, roles and permissions as they are stored.
    authpb,
    /// The public services but for locks and elections, and the log entry.
    etcdserverpb,
    /// What members say to each other.
    kvorumpb,
    /// Leases as they are stored.
    leasepb,
    /// Members as the replicated state knows them.
    membershippb,
    /// A key at one revision, and events.
    mvccpb,
    /// The election service.
    v3electionpb,
    /// The lock service.
    v3lockpb,
}
