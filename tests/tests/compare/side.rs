//! A cluster of etcd and the program that drives it.
//!
//! In the lines of cases, `{MEMBER}` is the ID of the first member and `{PEER}` its peer address,
//! `{NEW}` the ID of the member announced last, `{LEADER}` and `{FOLLOWER}` the IDs of who leads
//! and of somebody else, `{FOLLOWER-ENDPOINT}` the address of the latter.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use kvorum::args::txn::words;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::program::Program;
use kvorum_tests::wait::until;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::cases::{Case, Scene};
use crate::mask;

/// How long output that must come may take to come.
const COMES_WITHIN: Duration = Duration::from_secs(20);

pub(crate) struct Side {
    cluster: Cluster,
    program: Program,
    /// What this side alone calls so, and what both call it.
    names: Vec<(String, String)>,
    /// The lease granted last, in hexadecimal.
    lease: String,
    leases: usize,
    /// The IDs of all members that there ever were.
    members: Vec<u64>,
    /// The one announced last.
    new_member: u64,
}

/// What came out, masked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    stdout: String,
    ending: Ending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Exited(i32),
    Crashed,
    /// It was stopped after the lines that it was to print.
    Stopped,
    /// It was stopped because nothing more came.
    Hung,
}

impl Outcome {
    /// Whether the command did what any of its kind does, be it an error: two that hang are alike
    /// and show nothing.
    pub(crate) fn is_orderly(&self) -> bool {
        matches!(self.ending, Ending::Exited(_) | Ending::Stopped)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stdout)?;
        match self.ending {
            Ending::Exited(code) => writeln!(f, "exit {code}"),
            Ending::Crashed => writeln!(f, "crashes"),
            Ending::Stopped => writeln!(f, "goes on"),
            Ending::Hung => writeln!(f, "prints nothing more and does not end"),
        }
    }
}

impl Side {
    pub(crate) fn start(etcd: &Program, program: Program, scene: &Scene) -> Self {
        let cluster = Cluster::start_with(etcd, scene.members, scene.flags);
        let mut names = Vec::new();
        for member in &cluster.members {
            names.extend([
                (member.peer_url(), "http://PEER".to_owned()),
                (member.client_url(), "http://CLIENT".to_owned()),
                (member.endpoint(), "ENDPOINT".to_owned()),
            ]);
            if cluster.members.len() > 1 {
                names.push((format!("{}=http", member.name), "NAME=http".to_owned()));
                names.push((format!(", {}, ", member.name), ", NAME, ".to_owned()));
                names.push((format!("\"name\":\"{}\"", member.name), "\"name\":NAME".to_owned()));
            }
        }
        let mut side = Self {
            cluster,
            program,
            names,
            lease: String::new(),
            leases: 0,
            members: Vec::new(),
            new_member: 0,
        };
        let header = &side.json(&["get", "x"])["header"];
        let cluster = header["cluster_id"].as_u64().expect("a header has the ID of the cluster");
        side.name_id(cluster, "CLUSTER");
        for id in side.member_ids() {
            side.name_id(id, "MEMBER");
            side.members.push(id);
        }
        if scene.members > 1 {
            side.await_members_in_touch();
        }
        side
    }

    pub(crate) fn run(&mut self, case: &Case) -> Outcome {
        let line = self.filled_in(&case.line);
        let args = words(line.as_bytes()).expect("the line's quotes are right");
        let mut command = self.program.command();
        if case.variables.is_empty() {
            command.arg("--endpoints").arg(self.cluster.endpoints());
        }
        for (name, value) in &case.variables {
            command.env(name, self.filled_in(value));
        }
        let (stdout, ending) = output(command.args(args), &self.filled_in(case.input), case);
        self.learn_lease(&mask::readable(&stdout));
        if self.cluster.members.len() == 1 {
            return Outcome { stdout: mask::masked(&stdout, &self.names, case.mask), ending };
        }
        self.learn_members();
        let text = mask::masked(&stdout, &self.names, case.mask);
        Outcome { stdout: mask::in_any_order(&text), ending }
    }

    fn endpoint(&self) -> String {
        self.cluster.members[0].endpoint()
    }

    /// The line with everything in it that stands in braces.
    fn filled_in(&self, line: &str) -> String {
        if !line.contains('{') {
            return line.to_owned();
        }
        let first = &self.cluster.members[0];
        let mut line = line
            .replace("{LEASE}", &self.lease)
            .replace("{ENDPOINT}", &self.endpoint())
            .replace("{PEER}", &first.peer_url())
            .replace("{NEW}", &format!("{:x}", self.new_member));
        if line.contains("{MEMBER}") {
            let status = self.status();
            line = line.replace("{MEMBER}", &format!("{:x}", id_of(&status[0])));
        }
        if line.contains("{LEADER") || line.contains("{FOLLOWER") {
            line = self.with_leader(&line);
        }
        for back in 0..10 {
            let name = if back == 0 { "{REV}".to_owned() } else { format!("{{REV-{back}}}") };
            if line.contains(&name) {
                let header = &self.json(&["get", "x"])["header"];
                let revision = header["revision"].as_i64().expect("a header has a revision");
                line = line.replace(&name, &(revision - back).to_string());
            }
        }
        line
    }

    fn with_leader(&self, line: &str) -> String {
        let status = self.status();
        let leader = status[0]["Status"]["leader"].as_u64().expect("there is a leader");
        let all = status.as_array().expect("status is a list");
        let follower = all.iter().find(|one| id_of(one) != leader).expect("not all lead");
        let endpoint = follower["Endpoint"].as_str().expect("a member has an address");
        line.replace("{LEADER}", &format!("{leader:x}"))
            .replace("{FOLLOWER}", &format!("{:x}", id_of(follower)))
            .replace("{FOLLOWER-ENDPOINT}", endpoint)
    }

    /// The status of every member, once they agree about the leader.
    fn status(&self) -> Value {
        let agreed = until(COMES_WITHIN, || {
            let status = self.json(&["endpoint", "status"]);
            let leader = status[0]["Status"]["leader"].as_u64().filter(|id| *id > 0);
            let all = status.as_array()?;
            let agree = |one: &Value| one["Status"]["leader"].as_u64() == leader;
            let agree = all.len() == self.cluster.members.len() && all.iter().all(agree);
            (leader.is_some() && agree).then_some(status)
        });
        agreed.expect("the members agree about their leader")
    }

    fn member_ids(&self) -> Vec<u64> {
        let list = self.json(&["member", "list"]);
        let members = list["members"].as_array().expect("there are members");
        members.iter().filter_map(|member| member["ID"].as_u64()).collect()
    }

    fn name_id(&mut self, id: u64, name: &str) {
        self.names.push((id.to_string(), format!("{name}-ID")));
        // Where it is padded, a short ID has spaces before it.
        for before in ["Member", "cluster"] {
            self.names.push((format!("{before} {id:16x}"), format!("{before} {name}-ID-HEX")));
        }
        self.names.push((format!("{id:x}"), format!("{name}-ID-HEX")));
    }

    /// A member that has just been announced has a name of its own from now on.
    fn learn_members(&mut self) {
        for id in self.member_ids() {
            if !self.members.contains(&id) {
                self.members.push(id);
                self.name_id(id, "NEW");
                self.new_member = id;
            }
        }
    }

    /// etcd takes no new member before the others have been in touch for five seconds.
    fn await_members_in_touch(&mut self) {
        let add = ["member", "add", "first", "--learner", "--peer-urls=http://127.0.0.1:2"];
        let added = until(COMES_WITHIN, || {
            let mut command = self.program.command();
            command.arg("--endpoints").arg(self.endpoint()).args(add);
            command.output().expect("etcdctl runs").status.success().then_some(())
        });
        added.expect("a cluster takes a new member");
        let known = std::mem::take(&mut self.members);
        let new = self.member_ids().into_iter().find(|id| !known.contains(id));
        self.members = known;
        let id = format!("{:x}", new.expect("the new member is listed"));
        self.json(&["member", "remove", &id]);
    }

    fn json(&self, args: &[&str]) -> Value {
        let mut command = self.program.command();
        command.arg("--endpoints").arg(self.cluster.endpoints()).args(["-w", "json"]).args(args);
        let output = command.output().expect("etcdctl runs");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// A lease that has just been granted has a number of its own from now on.
    fn learn_lease(&mut self, stdout: &str) {
        let id = if let Some((id, _)) = stdout
            .strip_prefix("lease ")
            .and_then(|rest| rest.split_once(" granted with TTL(1000s)\n"))
        {
            i64::from_str_radix(id, 16).ok()
        } else {
            let rest = stdout.split_once("\"ID\":").or_else(|| stdout.split_once("\"ID\" : "));
            rest.and_then(|(_, rest)| {
                let end = rest.find(|c: char| !c.is_ascii_digit())?;
                rest[..end].parse().ok()
            })
            .filter(|_| stdout.contains("TTL") && !stdout.contains("GrantedTTL"))
        };
        let Some(id) = id.filter(|id| format!("{id:016x}") != self.lease) else { return };
        self.leases += 1;
        self.lease = format!("{id:016x}");
        self.names.push((self.lease.clone(), format!("LEASE-{}-HEX", self.leases)));
        self.names.push((id.to_string(), format!("LEASE-{}", self.leases)));
    }
}

/// Runs the command to its end, or until it has printed the lines that it is to print.
fn output(command: &mut Command, input: &str, case: &Case) -> (Vec<u8>, Ending) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("etcdctl runs");
    let mut stdin = child.stdin.take().expect("the input is a pipe");
    // A command that does not read its input may have closed it.
    let _ = stdin.write_all(input.as_bytes());
    let stdin = case.lines.map(|_| stdin);
    let (stdout, stop) = read(&mut child, case.lines.unwrap_or(usize::MAX));
    drop(stdin);
    if stop.is_some() {
        let signal = if stop == Some(Ending::Stopped) { case.signal } else { Signal::KILL };
        kill_process(Pid::from_child(&child), signal).expect("a running child can be signalled");
    }
    let status = child.wait().expect("a child can be waited for");
    let ended = status.code().map_or(Ending::Crashed, Ending::Exited);
    let ending = match stop {
        Some(Ending::Stopped) if case.signal != Signal::KILL => ended,
        Some(stop) => stop,
        None => ended,
    };
    (stdout, ending)
}

/// Reads so many lines, or all there are, and says why the child is to be stopped if its output
/// has not come to its end.
fn read(child: &mut Child, count: usize) -> (Vec<u8>, Option<Ending>) {
    let mut stdout = BufReader::new(child.stdout.take().expect("the output is a pipe"));
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        let mut line = Vec::new();
        while stdout.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            if sender.send(std::mem::take(&mut line)).is_err() {
                break;
            }
        }
    });
    let mut text = Vec::new();
    for _ in 0..count {
        match lines.recv_timeout(COMES_WITHIN) {
            Ok(mut line) => text.append(&mut line),
            Err(RecvTimeoutError::Disconnected) => return (text, None),
            Err(RecvTimeoutError::Timeout) => return (text, Some(Ending::Hung)),
        }
    }
    (text, Some(Ending::Stopped))
}

/// The ID of the member whose status it is.
fn id_of(status: &Value) -> u64 {
    status["Status"]["header"]["member_id"].as_u64().expect("a member has an ID")
}
