//! `kvorum`, `etcd`, `etcdctl`: one binary.

fn main() -> std::process::ExitCode {
    kvorum::run()
}
