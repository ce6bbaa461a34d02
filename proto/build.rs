//! Generates the messages, and with the feature `grpc` the stubs and what they say about
//! themselves, by a compiler in pure Rust.

use std::path::Path;

use prost::Message;
use prost_types::FileDescriptorSet;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "etcd/auth.proto",
        "etcd/authpb.proto",
        "etcd/cluster.proto",
        "etcd/election.proto",
        "etcd/kv.proto",
        "etcd/lease.proto",
        "etcd/leasepb.proto",
        "etcd/lock.proto",
        "etcd/maintenance.proto",
        "etcd/membership.proto",
        "etcd/mvcc.proto",
        "etcd/raft_internal.proto",
        "etcd/watch.proto",
        "kvorum/peer.proto",
    ];
    println!("cargo:rerun-if-changed=etcd");
    println!("cargo:rerun-if-changed=kvorum");
    let grpc = std::env::var_os("CARGO_FEATURE_GRPC").is_some();
    let compiled = protox::compile(files, ["."])?;
    let out_dir = std::env::var("OUT_DIR")?;
    let descriptors = public(&compiled).encode_to_vec();
    std::fs::write(Path::new(&out_dir).join("descriptors.bin"), descriptors)?;
    tonic_prost_build::configure()
        .build_client(grpc)
        .build_server(grpc)
        .bytes(".")
        // What holds a password, its hash or a token shows none of it; see `src/secret.rs`.
        .skip_debug([
            ".authpb.User",
            ".etcdserverpb.AuthenticateRequest",
            ".etcdserverpb.AuthenticateResponse",
            ".etcdserverpb.AuthUserAddRequest",
            ".etcdserverpb.AuthUserChangePasswordRequest",
            ".etcdserverpb.InternalAuthenticateRequest",
        ])
        .compile_fds(compiled)?;
    Ok(())
}

/// What clients may know: neither the log entry nor what members say to each other, and no
/// comments.
fn public(all: &FileDescriptorSet) -> FileDescriptorSet {
    let internal = ["etcd/leasepb.proto", "etcd/membership.proto", "etcd/raft_internal.proto"];
    let is_public = |name: &str| name.starts_with("etcd/") && !internal.contains(&name);
    let mut file: Vec<_> = all.file.iter().filter(|file| is_public(file.name())).cloned().collect();
    for file in &mut file {
        file.source_code_info = None;
    }
    FileDescriptorSet { file }
}
