//! In a read-only context, and with `--read-only` and `--dry-run`, no verb sends anything that
//! changes the cluster: counted by a proxy that every call passes, not by what the program says.

mod lines;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use kvorum_tests::binary;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::or_skip;
use kvorum_tests::ports::free;
use kvorum_tests::process::Process;
use kvorum_tests::program::{Names, real_proxy};
use kvorum_tests::recorder::{Call, Recorder};
use kvorum_tests::wait::until;

use lines::{LINES, Line};

/// Two busy cores are slow.
const STARTS_WITHIN: Duration = Duration::from_secs(20);

struct Field {
    names: Names,
    cluster: Cluster,
    recorder: Recorder,
    home: tempfile::TempDir,
}

impl Field {
    fn new() -> Field {
        let names = Names::of(binary!());
        let cluster = Cluster::start(&names.server(), 1);
        let recorder = Recorder::start(&cluster.members[0].endpoint());
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        let folder = home.path().join(".config/kvorum");
        fs::create_dir_all(&folder).expect("a folder can be made");
        let careful = format!(
            "[contexts.careful]\nendpoints = [\"{}\"]\nread-only = true\n",
            recorder.endpoint()
        );
        fs::write(folder.join("contexts.toml"), careful).expect("a file can be written");
        let settings = home.path().join("settings.env");
        fs::write(settings, "COLOR=blue\n").expect("a file can be written");
        let editor = home.path().join("editor");
        fs::write(&editor, "#!/bin/sh\necho changed > \"$1\"\n").expect("a file can be written");
        make_executable(&editor);
        Field { names, cluster, recorder, home }
    }

    /// Runs one line with these options, and says what was sent.
    fn sent(&self, line: &Line, options: &[&str]) -> Vec<Call> {
        let mut command = self.command(options);
        command.args(line.words(self.recorder.endpoint())).stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("kvorum runs");
        let mut input = child.stdin.take().expect("the input is a pipe");
        // Whoever does not read its input may have closed it.
        let _ = std::io::Write::write_all(&mut input, line.input.as_bytes());
        drop(input);
        if line.goes_on {
            // It watches, or waits for its turn, when it has sent all it is going to send at first.
            let at_work = |call: &Call| call.mutates || call.method == "Watch";
            until(STARTS_WITHIN, || {
                let ended = child.try_wait().expect("a child can be asked").is_some();
                (ended || self.recorder.has_seen(at_work)).then_some(())
            })
            .unwrap_or_else(|| panic!("{} does nothing", line.text));
            let _ = child.kill();
        }
        child.wait().expect("kvorum ends");
        self.recorder.take()
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = self.names.kvorum().command();
        command.env("HOME", self.home.path()).env("EDITOR", self.home.path().join("editor"));
        command.args(options).current_dir(self.home.path());
        command
    }

    fn writes(&self, line: &Line, options: &[&str]) -> Vec<String> {
        let sent = self.sent(line, options);
        sent.into_iter().filter(|call| call.mutates).map(|call| call.method).collect()
    }
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path, mode).expect("a file can be made executable");
}

#[test]
fn no_verb_sends_a_write_in_a_read_only_context_or_a_dry_run() {
    let field = Field::new();
    let endpoint = field.recorder.endpoint().to_owned();
    let mut sent = Vec::new();
    for options in [
        &["--context", "careful", "--yes"][..],
        &["--endpoints", &endpoint, "--read-only", "--yes"],
        // By another way to the same cluster: its protection is remembered by its id.
        &["--endpoints", &endpoint, "--yes"],
        &["--endpoints", &endpoint, "--dry-run", "--yes"],
    ] {
        for line in LINES {
            let writes = field.writes(line, options);
            if !writes.is_empty() {
                sent.push(format!("{options:?} {}: {writes:?}", line.text));
            }
        }
    }
    assert!(sent.is_empty(), "{}", sent.join("\n"));
    assert_eq!(field.cluster.members.len(), 1);
}

#[test]
fn a_context_that_may_write_opens_no_other_way_to_its_cluster() {
    let field = Field::new();
    let endpoint = field.recorder.endpoint();
    let output = |words: &[&str]| field.command(words).output().expect("kvorum runs");
    assert!(output(&["--context", "careful", "get", "a"]).status.success());
    assert!(output(&["ctx", "add", "bold", "--endpoints", endpoint]).status.success());
    assert!(output(&["ctx", "use", "bold"]).status.success());
    assert!(output(&["put", "a", "1"]).status.success());
    let refused = output(&["--endpoints", endpoint, "put", "a", "2"]);
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert!(complaint.contains("the context careful is read-only"), "{complaint}");
    let flag = output(&["--read-only", "put", "a", "2"]);
    let complaint = String::from_utf8_lossy(&flag.stderr);
    assert!(complaint.ends_with("hint: leave --read-only out\n"), "{complaint}");
}

/// etcd's proxy lists itself as the only member, of a cluster without an id.
#[test]
fn a_proxy_is_no_way_around_a_protection() {
    let proxy = or_skip!(real_proxy(), "it needs Debian's etcd");
    let field = Field::new();
    let proxied = format!("127.0.0.1:{}", free(1)[0]);
    let mut command = proxy.command();
    command.args(["--listen-addr", &proxied]);
    command.args(["--advertise-client-url", &proxied]);
    command.args(["--endpoints", &field.cluster.members[0].endpoint()]);
    command.current_dir(field.home.path());
    let _proxy = Process::start(command, &field.home.path().join("proxy.log")).expect("it runs");
    let output = |words: &[&str]| field.command(words).output().expect("kvorum runs");
    let get = ["--endpoints", &proxied, "get", "a"];
    until(STARTS_WITHIN, || output(&get).status.success().then_some(())).expect("it serves");
    assert!(output(&["--context", "careful", "get", "a"]).status.success());
    let refused = output(&["--endpoints", &proxied, "put", "a", "2"]);
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert!(complaint.contains("the context careful is read-only"), "{complaint}");
}

#[test]
fn what_is_said_to_write_does_write_when_it_may() {
    let field = Field::new();
    fs::remove_dir_all(field.home.path().join(".config")).expect("a folder can be removed");
    let endpoint = field.recorder.endpoint().to_owned();
    let options = ["--endpoints", &endpoint, "--yes"];
    let mut silent = Vec::new();
    for line in LINES.iter().filter(|line| line.writes) {
        if field.writes(line, &options).is_empty() {
            silent.push(line.text);
        }
    }
    assert!(silent.is_empty(), "these send no write at all: {silent:?}");
}

#[test]
fn every_verb_has_a_line() {
    let tried: BTreeSet<String> = LINES.iter().map(|line| line.verb.to_owned()).collect();
    let mut missing = Vec::new();
    for verb in verbs(&kvorum::kvorum::grammar(), "") {
        if !tried.contains(&verb) && !lines::ASKS_NO_CLUSTER.contains(&verb.as_str()) {
            missing.push(verb);
        }
    }
    assert!(missing.is_empty(), "no line for {missing:?}");
}

fn verbs(command: &clap::Command, path: &str) -> Vec<String> {
    if !command.has_subcommands() {
        return vec![path.trim().to_owned()];
    }
    let below = command.get_subcommands().filter(|sub| sub.get_name() != "help");
    below.flat_map(|sub| verbs(sub, &format!("{path} {}", sub.get_name()))).collect()
}
