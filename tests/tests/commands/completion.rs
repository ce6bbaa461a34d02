//! Completion in a real bash, by the script that `kvorum completion bash` prints: what is in the
//! cluster is offered, a segment at a time, and a Tab never waits long.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kvorum_tests::cluster::Cluster;
use kvorum_tests::etcdctl::Etcdctl;
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd};
use kvorum_tests::{binary, or_skip, ports};
use tempfile::TempDir;

/// With half a second for the cluster, and the start of a shell and of a program.
const SOON: Duration = Duration::from_secs(5);

/// Sets what bash would set when Tab is pressed at the end of `$1`, whose words it takes apart as bash
/// does, and prints what the function that is registered answers.
const TAB: &str = r#"
eval "$(kvorum completion bash)"
function=$(complete -p kvorum | sed -E 's/.* -F ([^ ]+) .*/\1/')
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
spaced=$(sed -E 's/([:@=])/ \1 /g' <<< "$1")
read -ra COMP_WORDS <<< "$spaced"
case $1 in *[:@=\ ]) COMP_WORDS+=("") ;; esac
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
"$function" kvorum "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" 2> /dev/null
printf '%s\n' "${COMPREPLY[@]}"
"#;

struct Shell {
    names: Names,
    home: TempDir,
    endpoint: String,
}

impl Shell {
    fn at(endpoint: String) -> Shell {
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        Shell { names: Names::of(binary!()), home, endpoint }
    }

    /// What Tab offers at the end of this line.
    fn tab(&self, line: &str) -> Vec<String> {
        let kvorum = self.names.kvorum().command();
        let folder =
            std::path::Path::new(kvorum.get_program()).parent().expect("it is in a folder");
        let path = std::env::var("PATH").expect("there is a path");
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", TAB, "bash", line]).stdin(Stdio::null());
        bash.env("PATH", format!("{}:{path}", folder.display())).env("HOME", self.home.path());
        bash.env("ETCDCTL_ENDPOINTS", &self.endpoint);
        let began = Instant::now();
        let output = bash.output().expect("bash runs");
        assert!(began.elapsed() < SOON, "{line:?} takes {:?}", began.elapsed());
        let said = String::from_utf8_lossy(&output.stdout);
        said.lines()
            .filter(|line| !line.is_empty())
            .map(|line| line.trim_end().to_owned())
            .collect()
    }
}

fn offers(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let shell = Shell::at(cluster.endpoints());
    let etcdctl = Etcdctl::new(&shell.names.etcdctl(), cluster.endpoints());
    for key in ["/app/a", "/app/b/c", "/app/b/d", "/svc/10.0.0.1:80", "/svc/10.0.0.1:81", "/m/x@y"]
    {
        etcdctl.say(&["put", key, "v"]);
    }
    let id = etcdctl.json(&["lease", "grant", "600"])["ID"].as_i64().expect("a lease has an ID");
    assert_eq!(shell.tab("kvorum get /app/"), ["/app/a", "/app/b/"]);
    assert_eq!(shell.tab("kvorum show /app/b/"), ["/app/b/c", "/app/b/d"]);
    // What bash has taken apart: the part behind the character is what it replaces.
    assert_eq!(shell.tab("kvorum get /svc/10.0.0.1:"), ["80", "81"]);
    assert_eq!(shell.tab("kvorum get /svc/10.0.0.1:8"), ["80", "81"]);
    assert_eq!(shell.tab("kvorum edit /m/x@"), ["y"]);
    assert_eq!(shell.tab("kvorum get /app/a --output=js"), ["json", "jsonpath="]);
    assert_eq!(shell.tab("kvorum get /app/a -o nd"), ["ndjson"]);
    assert_eq!(shell.tab("kvorum lease revoke "), [format!("{id:016x}")]);
    assert_eq!(shell.tab("kvorum endpoint h"), ["hashkv", "health"]);
}

#[test]
fn what_is_in_a_cluster_of_ours_is_offered() {
    offers(&Names::of(binary!()).server());
}

#[test]
fn what_is_in_an_etcd_is_offered() {
    offers(&or_skip!(real_etcd(), NO_ETCD));
}

#[test]
fn where_nobody_answers_nothing_is_offered_and_nothing_is_said() {
    let shell = Shell::at(format!("127.0.0.1:{}", ports::free(1)[0]));
    assert_eq!(shell.tab("kvorum get /app/"), [""; 0]);
    assert_eq!(shell.tab("kvorum get /svc/10.0.0.1:"), [""; 0]);
}
