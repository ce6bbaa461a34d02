//! One member of etcd and the program that drives it.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use kvorum::args::txn::words;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::program::Program;
use serde_json::Value;

use crate::cases::{Case, Mask};

/// How long output that must come may take to come.
const COMES_WITHIN: Duration = Duration::from_secs(20);

pub(crate) struct Side {
    cluster: Cluster,
    program: Program,
    /// What this side alone calls so, and what both call it; the longest first.
    names: Vec<(String, String)>,
    /// The lease granted last, in hexadecimal.
    lease: String,
    leases: usize,
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
    pub(crate) fn start(etcd: &Program, program: Program) -> Self {
        let cluster = Cluster::start(etcd, 1);
        let member = &cluster.members[0];
        let mut names = vec![
            (member.peer_url(), "http://PEER".to_owned()),
            (member.client_url(), "http://CLIENT".to_owned()),
            (member.endpoint(), "ENDPOINT".to_owned()),
        ];
        let mut side =
            Self { cluster, program, names: Vec::new(), lease: String::new(), leases: 0 };
        let header = &side.json(&["get", "x"])["header"];
        for (field, name) in [("cluster_id", "CLUSTER"), ("member_id", "MEMBER")] {
            let id = header[field].as_u64().expect("a header has IDs");
            names.push((id.to_string(), format!("{name}-ID")));
            names.push((format!("{id:x}"), format!("{name}-ID-HEX")));
        }
        side.names = names;
        side
    }

    pub(crate) fn run(&mut self, case: &Case) -> Outcome {
        let line = self.filled_in(&case.line);
        let args = words(line.as_bytes()).expect("the line's quotes are right");
        let mut command = self.program.command();
        if case.variables.is_empty() {
            command.arg("--endpoints").arg(self.endpoint());
        }
        for (name, value) in &case.variables {
            command.env(name, self.filled_in(value));
        }
        let (stdout, ending) = output(command.args(args), &self.filled_in(case.input), case.lines);
        self.learn_lease(&stdout);
        Outcome { stdout: self.masked(&stdout, case.mask), ending }
    }

    fn endpoint(&self) -> String {
        self.cluster.members[0].endpoint()
    }

    /// The line with the present revision, the last lease and the endpoint in it.
    fn filled_in(&self, line: &str) -> String {
        let mut line = line.replace("{LEASE}", &self.lease).replace("{ENDPOINT}", &self.endpoint());
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

    fn json(&self, args: &[&str]) -> Value {
        let mut command = self.program.command();
        command.arg("--endpoints").arg(self.endpoint()).args(["-w", "json"]).args(args);
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

    fn masked(&self, stdout: &str, mask: Mask) -> String {
        let mut text = stdout.to_owned();
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        for (name, shared) in names {
            text = text.replace(name, shared);
        }
        match mask {
            Mask::Ids => text,
            Mask::After(markers) => {
                markers.iter().fold(text, |text, marker| number_after(&text, marker))
            }
            Mask::Numbers => squeezed(&digits(&text)),
        }
    }
}

/// Runs the command to its end, or until it has printed the lines that it is to print.
fn output(command: &mut Command, input: &str, lines: Option<usize>) -> (String, Ending) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("etcdctl runs");
    let mut stdin = child.stdin.take().expect("the input is a pipe");
    // A command that does not read its input may have closed it.
    let _ = stdin.write_all(input.as_bytes());
    let stdin = lines.map(|_| stdin);
    let (stdout, stop) = read(&mut child, lines.unwrap_or(usize::MAX));
    drop(stdin);
    if stop.is_some() {
        child.kill().expect("a running child can be killed");
    }
    let status = child.wait().expect("a child can be waited for");
    (stdout, stop.unwrap_or_else(|| status.code().map_or(Ending::Crashed, Ending::Exited)))
}

/// Reads so many lines, or all there are, and says why the child is to be stopped if its output
/// has not come to its end.
fn read(child: &mut Child, count: usize) -> (String, Option<Ending>) {
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
    let mut text = String::new();
    for _ in 0..count {
        match lines.recv_timeout(COMES_WITHIN) {
            Ok(line) => text.push_str(&readable(&line)),
            Err(RecvTimeoutError::Disconnected) => return (text, None),
            Err(RecvTimeoutError::Timeout) => return (text, Some(Ending::Hung)),
        }
    }
    (text, Some(Ending::Stopped))
}

/// Text as it is, and every byte that is none as `\x…`, so that nothing is lost.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

/// Replaces the number (or duration) that follows each `marker`.
fn number_after(text: &str, marker: &str) -> String {
    let mut parts = text.split(marker);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || ".µnms".contains(c));
        out.push_str(marker);
        out.push('N');
        out.push_str(rest);
    }
    out
}

/// Replaces every number, decimals included, by `N`.
fn digits(text: &str) -> String {
    let mut out = String::new();
    let mut within = false;
    for c in text.chars() {
        let digit = c.is_ascii_digit() || (within && c == '.');
        if digit && !within {
            out.push('N');
        }
        if !digit {
            out.push(c);
        }
        within = digit;
    }
    // Which unit it was is part of the number.
    out.replace("µs", "ms").replace(" kB", " B").replace(" MB", " B")
}

/// Runs of spaces and of dashes become one: the columns of a table are as wide as what is in them.
fn squeezed(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if !((c == ' ' || c == '-') && out.ends_with(c)) {
            out.push(c);
        }
    }
    out
}
