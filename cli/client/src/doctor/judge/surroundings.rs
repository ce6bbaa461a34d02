//! What members stand on: disk, clock, certificates.

use std::time::Duration;

use super::finding;
use crate::doctor::facts::{Facts, Latency, MemberFacts};
use crate::doctor::finding::{Check, Finding, Severity};
use crate::tls::Certificate;

/// etcd's documentation on metrics: 99 of 100 fsyncs of the log should take less.
const SLOW_FSYNC: Duration = Duration::from_millis(10);
/// And so of the commits of the backend.
const SLOW_COMMIT: Duration = Duration::from_millis(25);
/// With fewer a single slow one decides.
const MIN_SAMPLES: u64 = 100;

/// As etcd writes its log; of a benchmark of etcd's documentation.
const MEASURE: &str =
    "fio --rw=write --ioengine=sync --fdatasync=1 --bs=2300 --size=22m --name=etcd --directory=DIR";

/// etcd's own warning begins at one second between peers; a `Date` is only exact to one.
const CLOCK_SKEW_SECONDS: i64 = 3;

const EXPIRES_CRITICAL_DAYS: i64 = 7;
const EXPIRES_WARNING_DAYS: i64 = 30;

pub(super) fn disk(facts: &Facts, found: &mut Vec<Finding>) {
    let check = Check::Disk;
    let before = found.len();
    for (member, _) in facts.answering() {
        let name = member.label();
        let disk = match &member.disk {
            Ok(disk) => disk,
            Err(why) => {
                let sentence = format!("the disk of {name} is not known: {}", why.0);
                found.push(finding(Severity::Unknown, check, sentence).remedy(format!(
                    "let this machine read {}/metrics, or measure the disk itself: {MEASURE}",
                    member.address()
                )));
                continue;
            }
        };
        if disk.fsync.is_none_or(|fsync| fsync.samples < MIN_SAMPLES) {
            let sentence = format!(
                "{name} has written too little since it was started to tell whether its disk is \
                 slow"
            );
            let remedy = "look again when it has served a while; or have it write for a minute as 50 \
                          clients do, which a busy cluster feels: kvorum check perf";
            found.push(finding(Severity::Unknown, check, sentence).remedy(remedy));
        }
        latency(member, "an fsync of the log", disk.fsync, SLOW_FSYNC, found);
        latency(member, "a commit of the backend", disk.commit, SLOW_COMMIT, found);
    }
    if found.len() == before && facts.answering().next().is_some() {
        let sentence = format!("no disk is slow: 99 of 100 fsyncs take less than {SLOW_FSYNC:?}");
        found.push(finding(Severity::Fine, check, sentence));
    }
}

fn latency(
    member: &MemberFacts,
    what: &str,
    latency: Option<Latency>,
    limit: Duration,
    found: &mut Vec<Finding>,
) {
    let Some(Latency { samples, p99 }) = latency else { return };
    if samples < MIN_SAMPLES || p99.is_some_and(|p99| p99 <= limit) {
        return;
    }
    let took = p99.map_or_else(|| "longer than it measures".to_owned(), |p99| format!("{p99:?}"));
    let sentence = format!(
        "the disk of {} is slow: 99 of 100 times, {what} took up to {took} since it was started, \
         where {limit:?} is good",
        member.label()
    );
    found.push(
        finding(Severity::Warning, Check::Disk, sentence)
            .remedy(format!("give etcd a disk of its own, an SSD; or measure: {MEASURE}")),
    );
}

pub(super) fn clock(facts: &Facts, found: &mut Vec<Finding>) {
    let check = Check::Clock;
    let before = found.len();
    let mut known: Vec<(i64, &MemberFacts)> = Vec::new();
    for (member, _) in facts.answering() {
        match &member.clock_ahead_seconds {
            Ok(ahead) => known.push((*ahead, member)),
            Err(why) => {
                let sentence = format!("the clock of {} is not known: {}", member.label(), why.0);
                found.push(finding(Severity::Unknown, check, sentence));
            }
        }
    }
    let first = known.iter().min_by_key(|(ahead, _)| *ahead);
    let last = known.iter().max_by_key(|(ahead, _)| *ahead);
    let (Some((slow, behind)), Some((fast, ahead))) = (first, last) else { return };
    if fast - slow > CLOCK_SKEW_SECONDS {
        let sentence = format!(
            "the clocks of members differ: {} is {} s ahead of {}",
            ahead.label(),
            fast - slow,
            behind.label()
        );
        found.push(
            finding(Severity::Warning, check, sentence)
                .remedy("let each of them follow a time server: timedatectl set-ntp true"),
        );
    } else if slow.abs() > CLOCK_SKEW_SECONDS {
        let direction = if *slow > 0 { "ahead of" } else { "behind" };
        let sentence = format!(
            "the members' clocks are {} s {direction} this machine's, which judges certificates",
            slow.abs()
        );
        found.push(
            finding(Severity::Note, check, sentence)
                .remedy("see whose is wrong: date -u; timedatectl"),
        );
    }
    if found.len() == before {
        let sentence = "clocks agree, as far as the seconds of an HTTP Date tell";
        found.push(finding(Severity::Fine, check, sentence));
    }
}

pub(super) fn certificates(facts: &Facts, found: &mut Vec<Finding>) {
    let before = found.len();
    let mut seen = 0;
    for member in &facts.members {
        for address in &member.addresses {
            let Some(certificate) = &address.certificate else { continue };
            seen += 1;
            let whose = format!("the certificate of {} at {}", member.label(), address.url);
            expiry(facts, certificate, &whose, found);
        }
    }
    if let Some(certificate) = &facts.own_certificate {
        seen += 1;
        expiry(facts, certificate, "this client's certificate (--cert)", found);
    }
    if found.len() == before {
        let sentence = if seen == 0 {
            "no TLS is used, so no certificate can expire".to_owned()
        } else {
            format!("all {seen} certificates are good for {EXPIRES_WARNING_DAYS} days and more")
        };
        found.push(finding(Severity::Fine, Check::Certificates, sentence));
    }
}

fn expiry(facts: &Facts, certificate: &Certificate, whose: &str, found: &mut Vec<Finding>) {
    let end = certificate.not_after;
    let left = facts.now.days_until(end);
    let severity = match left {
        _ if end < facts.now => Severity::Critical,
        EXPIRES_WARNING_DAYS.. => return,
        EXPIRES_CRITICAL_DAYS.. => Severity::Warning,
        _ => Severity::Critical,
    };
    let sentence = if end < facts.now {
        format!("{whose} expired on {end}")
    } else {
        format!("{whose} expires on {end}, in {left} days")
    };
    let remedy = "have it renewed before; a member reads its new files without a restart";
    found.push(finding(severity, Check::Certificates, sentence).remedy(remedy));
}
