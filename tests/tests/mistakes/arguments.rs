//! bad-inputs.md §7.8, as `etcdctl`: B115 to B122. The texts and codes of B116 for a watch and a
//! transaction are pinned in `tests/tests/commands/etcdctl.rs`.

use kvorum_tests::binary;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::or_skip;
use kvorum_tests::ports;
use kvorum_tests::program::{NO_ETCD, Names, real_etcdctl};

use super::site::{run, servers};

#[test]
fn rows_that_need_no_server_are_answered_as_etcdctl_answers_them() {
    let etcdctl = Names::of(binary!()).etcdctl();
    let real = or_skip!(real_etcdctl(), NO_ETCD);
    for (row, args, stderr) in [
        ("B115", &["get"][..], "Error: get command needs one argument as key and an optional"),
        (
            "B117",
            &["get", "k", "--prefix", "--from-key"],
            "Error: `--prefix` and `--from-key` cannot be set at the same time, choose one\n",
        ),
        (
            "B118",
            &["get", "k", "--keys-only", "--count-only"],
            "Error: `--keys-only` and `--count-only` cannot be set at the same time, choose one\n",
        ),
        ("B119", &["lease", "revoke", "zz"], "Error: bad lease ID arg ("),
        ("B120", &["member", "remove", "zz"], "Error: bad member ID arg ("),
        ("B121", &["get", "k", "--cert", ""], "Error: empty string is passed to --cert option\n"),
    ] {
        let told = run(&etcdctl, args);
        assert!(told.stderr.starts_with(stderr), "{row} {args:?}: {}", told.stderr);
        assert_eq!((told.code, told.stdout.as_str()), (128, ""), "{row} {args:?}");
        let real = run(&real, args);
        // 3.4 has no --count-only.
        if row != "B118" {
            assert_eq!((&told.stderr, told.code), (&real.stderr, real.code), "{row} {args:?}");
        }
    }
}

#[test]
fn b116_the_server_refuses_and_nobody_is_there() {
    let etcdctl = Names::of(binary!()).etcdctl();
    for server in servers() {
        let cluster = Cluster::start(&server, 1);
        let told =
            run(&etcdctl, &["put", "k", "v", "--lease", "7", "--endpoints", &cluster.endpoints()]);
        assert_eq!(told.stderr, "Error: etcdserver: requested lease not found\n");
        assert_eq!((told.code, told.stdout.as_str()), (1, ""));
    }
    let nobody = format!("127.0.0.1:{}", ports::free(1)[0]);
    let args = ["get", "k", "--endpoints", &nobody, "--command-timeout=300ms"];
    let told = run(&etcdctl, &args);
    assert_eq!((told.code, told.stderr.as_str()), (1, "Error: context deadline exceeded\n"));
}
