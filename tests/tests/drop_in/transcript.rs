//! What one etcdctl answers to the steps, with the parts that change from run to run replaced.

use std::time::Duration;

use kvorum_tests::cluster::Cluster;
use kvorum_tests::etcdctl::{Etcdctl, Outcome};
use kvorum_tests::program::Program;
use kvorum_tests::wait::until;

use crate::steps::Step;

/// What etcd 3.4 appends for itself: configuration, election, its name, versions.
const OWN_ENTRIES: u64 = 5;

const SETTLES_WITHIN: Duration = Duration::from_secs(20);

/// Replaces in all that is compared: addresses, ids, times and sizes.
pub(crate) struct Transcript {
    etcdctl: Etcdctl,
    client: String,
    peer: String,
    ids: Vec<(String, String)>,
    /// In the order in which they were granted, in hexadecimal.
    leases: Vec<String>,
}

/// What is compared of an invocation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) stdout: String,
    pub(crate) code: i32,
    /// Only to be shown.
    pub(crate) stderr: String,
}

impl Transcript {
    /// Begins with a fresh cluster.
    pub(crate) fn of(etcdctl: &Program, cluster: &Cluster) -> Transcript {
        let member = &cluster.members[0];
        let etcdctl = Etcdctl::new(etcdctl, cluster.endpoints());
        Transcript {
            etcdctl,
            client: member.endpoint(),
            peer: member.peer_url().replace("http://", ""),
            ids: vec![],
            leases: vec![],
        }
    }

    /// The ids of the member and its cluster, so that a pinned transcript need not have them.
    pub(crate) fn knows(mut self, judge: &Etcdctl) -> Transcript {
        // A new member appends entries of its own for some moments after it serves.
        let settled = until(SETTLES_WITHIN, || {
            let status = &judge.json(&["endpoint", "status"])[0]["Status"];
            (status["raftAppliedIndex"].as_u64() >= Some(OWN_ENTRIES)).then_some(())
        });
        settled.expect("a new member settles");
        let header = judge.json(&["get", "nothing"])["header"].clone();
        for (field, name) in [("member_id", "MEMBER"), ("cluster_id", "CLUSTER")] {
            let id = header[field].as_u64().expect("a header has ids");
            self.ids.push((format!("{id:x}"), format!("{name}-HEX")));
            self.ids.push((id.to_string(), name.to_owned()));
        }
        self
    }

    pub(crate) fn answer(&mut self, step: &Step) -> Answer {
        let args: Vec<String> = step.line.split(' ').map(|word| self.argument(word)).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let outcome = match step.lines {
            None => self.etcdctl.run_with(&args, step.input),
            Some(count) => {
                let lines = self.etcdctl.start(&args).lines(count);
                Outcome { stdout: lines.join("\n"), stderr: String::new(), code: 0 }
            }
        };
        if step.line.starts_with("lease grant") {
            self.leases.extend(granted(&outcome.stdout));
        }
        let mut stdout = self.steady(&outcome.stdout);
        if step.line.starts_with("endpoint") {
            stdout = without_sizes(&stdout);
        }
        Answer { stdout, code: outcome.code, stderr: outcome.stderr }
    }

    pub(crate) fn code(&self, line: &str) -> i32 {
        let args: Vec<&str> = line.split(' ').collect();
        self.etcdctl.run(&args).code
    }

    fn argument(&self, word: &str) -> String {
        let mut word = if word == "''" { String::new() } else { word.to_owned() };
        for (index, lease) in self.leases.iter().enumerate() {
            word = word.replace(&format!("{{{}}}", index + 1), lease);
        }
        word
    }

    fn steady(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (index, lease) in self.leases.iter().enumerate() {
            let name = format!("LEASE{}", index + 1);
            text = text.replace(lease, &format!("{name}-HEX"));
            let number = i64::from_str_radix(lease, 16).expect("a lease's id is hexadecimal");
            text = text.replace(&number.to_string(), &name);
        }
        for (id, name) in &self.ids {
            text = text.replace(id, name);
        }
        text = text.replace(&self.client, "CLIENT").replace(&self.peer, "PEER");
        for (before, after) in CHANGING {
            text = without_numbers(&text, before, after);
        }
        remaining(&text)
    }
}

/// What stands before and after a number that differs from run to run.
const CHANGING: &[(&str, &str)] = &[
    ("\"took\":\"", "\""),
    ("\"Took\" : ", "\n"),
    ("took = ", "\n"),
    ("|   true | ", " |"),
    ("\"dbSize\":", ","),
    ("\"dbSizeInUse\":", "}"),
    ("\"dbSizeInUse\":", ","),
    ("\"DBSize\" : ", "\n"),
    ("\"DBSizeInUse\" : ", "\n"),
];

/// The text with `N` between every `before` and the next `after`.
fn without_numbers(text: &str, before: &str, after: &str) -> String {
    let mut parts = text.split(before);
    let mut steady = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.find(after).map_or("", |at| &part[at..]);
        steady = steady + before + "N" + rest;
    }
    steady
}

/// Sizes differ with the moment of a commit, and with them the widths of a table.
fn without_sizes(text: &str) -> String {
    let mut steady = text.to_owned();
    for unit in [" B", " kB", " MB", "%"] {
        let mut parts = steady.split(unit);
        let mut last = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let number = last.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
            last = format!("{number}N{unit}{part}");
        }
        steady = last;
    }
    while steady.contains("--") || steady.contains("  ") {
        steady = steady.replace("--", "-").replace("  ", " ");
    }
    steady
}

/// Of a lease of 7200 seconds some seconds may be gone.
fn remaining(text: &str) -> String {
    (7180..7200).rev().fold(text.to_owned(), |text, left| text.replace(&left.to_string(), "7199"))
}

/// The id of a granted lease in hexadecimal, from any of the three formats.
fn granted(said: &str) -> Option<String> {
    let number = |text: &str| -> Option<i64> {
        text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
    };
    if let Some(id) = said.strip_prefix("lease ") {
        return id.split(' ').next().map(str::to_owned);
    }
    let id = ["\"ID\":", "\"ID\" : "].into_iter().find_map(|before| said.split(before).nth(1))?;
    Some(format!("{:016x}", number(id)?))
}
