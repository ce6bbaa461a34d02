//! Every flag that Debian's etcdctl and ours share is in some invocation.

use std::collections::BTreeSet;

use kvorum::args::txn::words;
use kvorum_tests::or_skip;
use kvorum_tests::program::{NO_ETCD, Program, real_etcdctl};

use crate::cases;

/// What the scenes of [`crate::long`], [`crate::secure`] and [`crate::restored`] give, which are no
/// single lines.
const PLAYED: &[(&str, &[&str])] = &[
    ("check datascale", &["auto-compact", "auto-defrag"]),
    ("check perf", &["auto-compact", "auto-defrag"]),
    ("make-mirror", &["prefix", "dest-cacert", "dest-cert", "dest-key", "dest-insecure-transport"]),
    (
        "snapshot restore",
        &[
            "name",
            "data-dir",
            "initial-cluster",
            "initial-cluster-token",
            "initial-advertise-peer-urls",
            "skip-hash-check",
        ],
    ),
    (
        "",
        &[
            "cacert",
            "cert",
            "key",
            "insecure-skip-tls-verify",
            "insecure-transport",
            "debug",
            "discovery-srv",
            "discovery-srv-name",
            "insecure-discovery",
        ],
    ),
];

/// What is in no invocation, and why.
const EXCUSED: &[(&str, &[&str], &str)] = &[
    ("migrate", &["data-dir", "no-ttl", "transformer", "wal-dir"], "gone since etcdctl 3.5"),
    ("snapshot restore", &["wal-dir"], "Kvorum's log lies in the data directory, and it says so"),
    // The scripts of cobra call its program back in a way of cobra's own.
    ("completion bash", &["no-descriptions"], "the scripts are each program's own"),
    ("completion fish", &["no-descriptions"], "the scripts are each program's own"),
    ("completion powershell", &["no-descriptions"], "the scripts are each program's own"),
    ("completion zsh", &["no-descriptions"], "the scripts are each program's own"),
];

/// Commands of Debian's etcdctl, and for each its flags: the long name, and the letter if it has one.
type Flags = Vec<(String, Vec<(String, Option<char>)>)>;

fn help(etcdctl: &Program, command: &str) -> String {
    let mut process = etcdctl.command();
    process.args(command.split_whitespace()).arg("--help");
    let output = process.output().expect("etcdctl runs");
    String::from_utf8(output.stdout).expect("its help is text")
}

/// The lines of a section that is headed so.
fn section<'a>(help: &'a str, heading: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = help.lines().skip_while(move |line| *line != heading).skip(1);
    lines.take_while(|line| line.is_empty() || line.starts_with([' ', '\t']))
}

fn flags(help: &str, heading: &str) -> Vec<(String, Option<char>)> {
    let flag = |line: &str| {
        let (before, after) = line.split_once("--")?;
        let name = after.split(['=', '[', ' ', '\t']).next()?.to_owned();
        Some((name, before.trim().strip_prefix('-').and_then(|rest| rest.chars().next())))
    };
    let is_known = |(name, _): &(String, _)| name != "help";
    section(help, heading).filter_map(flag).filter(is_known).collect()
}

/// The global ones stand under no command.
fn shared(etcdctl: &Program) -> Flags {
    let top = help(etcdctl, "");
    let commands = section(&top, "COMMANDS:").filter_map(|line| {
        let name = line.trim().split('\t').next()?.split("  ").next()?;
        (!name.is_empty()).then(|| name.to_owned())
    });
    let own = |name: String| {
        let flags = flags(&help(etcdctl, &name), "OPTIONS:");
        (name, flags)
    };
    let mut all: Flags = commands.map(own).collect();
    all.push((String::new(), flags(&top, "OPTIONS:")));
    all
}

/// Whether a line gives this flag to this command.
fn gives(line: &[String], command: &str, flag: &str, letter: Option<char>) -> bool {
    let command: Vec<&str> = command.split_whitespace().collect();
    let is_flag = |word: &String| {
        let name = word.split('=').next().unwrap_or_default();
        let by_letter = |letter| word.starts_with('-') && word[1..].starts_with(letter);
        name.strip_prefix("--") == Some(flag) || letter.is_some_and(by_letter)
    };
    let is_of = command.is_empty() || line.windows(command.len()).any(|words| words == command);
    is_of && line.iter().any(is_flag)
}

#[test]
fn every_flag_of_etcdctl_3_4_is_in_an_invocation() {
    let etcdctl = or_skip!(real_etcdctl(), NO_ETCD);
    let cases = cases::scenes().into_iter().flat_map(|scene| scene.cases);
    let line = |line: &str| -> Option<Vec<String>> {
        let words = words(line.as_bytes())?;
        Some(words.iter().map(|word| word.to_string_lossy().into_owned()).collect())
    };
    let lines: BTreeSet<_> = cases.filter_map(|case| line(&case.line)).collect();
    let elsewhere = PLAYED.iter().copied();
    let elsewhere: Vec<_> =
        elsewhere.chain(EXCUSED.iter().map(|(name, flags, _)| (*name, *flags))).collect();
    let mut known = 0;
    let mut missing = Vec::new();
    let all = shared(&etcdctl);
    for (command, flags) in &all {
        for (flag, letter) in flags {
            known += 1;
            let is_elsewhere = elsewhere
                .iter()
                .any(|(name, flags)| name == command && flags.contains(&flag.as_str()));
            if !is_elsewhere && !lines.iter().any(|line| gives(line, command, flag, *letter)) {
                missing.push(format!("{command} --{flag}"));
            }
        }
    }
    let is_known = |(command, named): &(&str, &[&str])| {
        let flags = all.iter().find(|(name, _)| name == command).map(|(_, flags)| flags);
        named
            .iter()
            .all(|flag| flags.is_some_and(|flags| flags.iter().any(|(name, _)| name == flag)))
    };
    let stale: Vec<_> = elsewhere.iter().filter(|row| !is_known(row)).collect();
    assert!(stale.is_empty(), "etcdctl has no such flags: {stale:?}");
    assert!(known > 80, "only {known} flags are found in the help of etcdctl");
    assert!(missing.is_empty(), "{missing:#?}");
}
