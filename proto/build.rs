//! Generates the messages, and with the feature `grpc` the stubs, by a compiler in pure Rust.

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
    tonic_prost_build::configure()
        .build_client(grpc)
        .build_server(grpc)
        .bytes(".")
        .compile_fds(protox::compile(files, ["."])?)?;
    Ok(())
}
