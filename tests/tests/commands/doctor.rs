//! `kvorum doctor` at clusters that are well and at clusters that are not, ours and etcd's; and
//! `kvorum explain`.

use std::process::Stdio;

use kvorum_tests::binary;
use kvorum_tests::certificates::{Authority, replace};
use kvorum_tests::cluster::{Cluster, Schemes};
use kvorum_tests::etcdctl::Etcdctl;
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd};
use kvorum_tests::skip::skip;
use kvorum_tests::wait::until;
use serde_json::Value;

struct Told {
    stdout: String,
    stderr: String,
    code: i32,
}

fn kvorum(args: &[&str]) -> Told {
    let names = Names::of(binary!());
    let mut command = names.kvorum().command();
    let output = command.args(args).stdin(Stdio::null()).output().expect("kvorum runs");
    Told {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().expect("kvorum is not killed"),
    }
}

fn doctor(endpoints: &str, flags: &[&str]) -> Told {
    kvorum(&[&["doctor", "--endpoints", endpoints], flags].concat())
}

/// The severity of the worst finding of a check.
fn severity(endpoints: &str, check: &str) -> String {
    let told = doctor(endpoints, &["-o", "json"]);
    let findings: Vec<Value> = serde_json::from_str(&told.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", told.stdout, told.stderr));
    let of_check = findings.iter().filter(|finding| finding["check"] == check);
    let order = ["ok", "unknown", "note", "warning", "critical"];
    let worst = of_check
        .filter_map(|finding| finding["severity"].as_str())
        .max_by_key(|severity| order.iter().position(|known| known == severity));
    worst.unwrap_or_else(|| panic!("nothing about {check}: {}", told.stdout)).to_owned()
}

fn servers() -> Vec<Program> {
    let ours = Names::of(binary!()).server();
    if let Some(etcd) = real_etcd() {
        return vec![ours, etcd];
    }
    skip(NO_ETCD);
    vec![ours]
}

#[test]
fn a_cluster_that_is_well_has_no_fault_and_what_is_unknown_is_said() {
    for program in servers() {
        let cluster = Cluster::start(&program, 3);
        let told = doctor(&cluster.endpoints(), &[]);
        for line in [
            "ok       addresses      all 3 advertised client URLs answer\n",
            "ok       members        3 voting members\n",
            "ok       alarms         no alarm is raised\n",
            "ok       hashes         3 members hold the same data at revision ",
            "ok       clock          clocks agree",
            "ok       certificates   no TLS is used",
            "ok       quota          m",
        ] {
            assert!(told.stdout.contains(line), "{line:?}:\n{}", told.stdout);
        }
        // Two busy cores have slow disks at times, which is a fault rightly told.
        let expected = i32::from(told.stdout.contains("warning  disk"));
        assert_eq!(told.code, expected, "{}{}", told.stdout, told.stderr);
        assert!(!told.stdout.contains("critical"), "{}", told.stdout);
    }
}

#[test]
fn a_member_that_is_gone_is_named_with_what_to_do() {
    for program in servers() {
        let mut cluster = Cluster::start(&program, 3);
        let url = cluster.members[2].client_url();
        cluster.members[2].kill();
        let endpoints = cluster.members[0].endpoint();
        let told = until(std::time::Duration::from_secs(20), || {
            let told = doctor(&endpoints, &[]);
            told.stdout.contains("the next failure stops writes").then_some(told)
        });
        let told = told.expect("the others find a leader");
        let line =
            format!("warning  addresses      m3 advertises {url}, which does not answer here");
        assert!(told.stdout.contains(&line), "{}", told.stdout);
        assert_eq!(told.code, 1);
    }
}

#[test]
fn a_full_cluster_is_told_the_three_commands() {
    for program in servers() {
        let cluster = Cluster::start_with(&program, 1, &["--quota-backend-bytes=2000000"]);
        let endpoints = cluster.endpoints();
        let ctl = Etcdctl::new(&Names::of(binary!()).etcdctl(), &endpoints);
        // Small enough that what still fits is nearly all of it.
        let value = "x".repeat(25_000);
        let full = (0..200).any(|nth| ctl.run_with(&["put", &format!("k{nth}")], &value).code != 0);
        assert!(full, "two megabytes are soon full");
        let told = doctor(&endpoints, &[]);
        assert!(told.stdout.contains("critical alarms         m1 has reached its quota"));
        for command in ["-> kvorum compaction ", "; kvorum defrag --endpoints ", "alarm disarm"] {
            assert!(told.stdout.contains(command), "{command}: {}", told.stdout);
        }
        // What is written reaches the database, whose size counts, a moment later.
        let critical = || (severity(&endpoints, "quota") == "critical").then_some(());
        until(std::time::Duration::from_secs(20), critical).expect("the quota is used up");
        assert_eq!(told.code, 1);
    }
}

#[test]
fn a_report_holds_no_key_value_user_or_password() {
    for program in servers() {
        let cluster = Cluster::start(&program, 1);
        let endpoints = cluster.endpoints();
        let ctl = Etcdctl::new(&Names::of(binary!()).etcdctl(), &endpoints);
        ctl.say(&["put", "canarykey", "canaryvalue"]);
        let flags = ["--report", "--user", "canaryuser:canarypassword"];
        // Auth is off, so the user is not even looked at by the server, or refused as such.
        let told = doctor(&endpoints, &flags);
        let said = format!("{}{}", told.stdout, told.stderr);
        assert!(!said.contains("canary"), "{said}");
        let told = doctor(&endpoints, &["--report"]);
        for part in ["cluster ", " of 1 members\n", "member ", "  version ", "nothing wrong: "] {
            assert!(told.stdout.contains(part), "{part}: {}", told.stdout);
        }
        assert!(!told.stdout.contains("canary"), "{}", told.stdout);
    }
}

#[test]
fn certificates_that_end_are_told_before_they_do() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let authority = Authority::new("the authority");
    let ca = folder.path().join("ca.pem");
    replace(&ca, authority.pem.as_bytes());
    let server = authority.certify("server").write(folder.path(), "server");
    let soon = authority.certify_for_days("canaryuser", 5).write(folder.path(), "soon");
    let text = |path: &std::path::Path| path.display().to_string();
    let schemes = Schemes { client: "https", peer: "http" };
    let (cert, key, ca) = (text(&server.cert), text(&server.key), text(&ca));
    let flags = [
        format!("--cert-file={cert}"),
        format!("--key-file={key}"),
        format!("--trusted-ca-file={ca}"),
        "--client-cert-auth".to_owned(),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    for program in servers() {
        let cluster = Cluster::start_over(&program, 1, schemes, &flags);
        let url = cluster.members[0].client_url();
        let shown =
            ["--cacert", &ca, "--cert", &text(&soon.cert), "--key", &text(&soon.key), "--report"]
                .map(str::to_owned);
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        let told = doctor(&url, &shown);
        let line = "critical certificates   this client's certificate (--cert) expires on 20";
        assert!(told.stdout.contains(line), "{}{}", told.stdout, told.stderr);
        assert!(!told.stdout.contains("canary"), "{}", told.stdout);
        assert!(told.stdout.contains("disk") || told.stdout.contains("nothing wrong"));
        assert!(!told.stdout.contains("cannot be read"), "metrics are read: {}", told.stdout);
        assert_eq!(told.code, 1);
    }
}

#[test]
fn nobody_there_is_an_error_like_any_other() {
    let told = doctor("127.0.0.1:1", &[]);
    assert_eq!(
        told.stderr,
        "error: nothing answers at 127.0.0.1:1\nhint: check that a member runs there, and that \
         this is its client port (2379 unless it was changed)\n"
    );
    assert_eq!((told.code, told.stdout.as_str()), (1, ""));
}

#[test]
fn explain_says_what_it_means_and_what_to_do() {
    let told = kvorum(&["explain", "NOSPACE"]);
    assert!(told.stdout.starts_with("NOSPACE\n\nmeans  "), "{}", told.stdout);
    assert!(told.stdout.contains("\nnext   kvorum endpoint status"), "{}", told.stdout);
    assert_eq!(told.code, 0);
    let told = kvorum(&["explain", "Error:", "etcdserver: too many requests"]);
    assert!(told.stdout.starts_with("too many requests\n"), "{}", told.stdout);
    let told = kvorum(&["explain", "NOSPCE"]);
    let expected = "error: nothing is known about \"NOSPCE\"\nhint: did you mean \"NOSPACE\"?\n";
    assert_eq!((told.stderr.as_str(), told.code), (expected, 1));
    let told = kvorum(&["explain"]);
    assert!(told.stdout.lines().count() > 40, "{}", told.stdout);
    let told = kvorum(&["explain", "128", "-o", "json"]);
    let topic: Value = serde_json::from_str(&told.stdout).expect("it is JSON");
    assert_eq!(topic["topic"], "exit 128");
}
