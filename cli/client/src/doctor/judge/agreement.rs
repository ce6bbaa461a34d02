//! Whether the members are of one mind: how far each of them is, its version, its data.

use std::collections::{BTreeMap, BTreeSet};

use super::finding;
use crate::doctor::facts::{Facts, Hash, MemberFacts, Status};
use crate::doctor::finding::{Check, Finding, Severity};

/// Entries that may lie between two looks at a busy cluster. etcd itself turns requests away when
/// 5000 are committed and not applied.
const LAG_ENTRIES: u64 = 1000;

pub(super) fn lag(facts: &Facts, found: &mut Vec<Finding>) {
    let check = Check::Lag;
    let before = found.len();
    let newest = facts.answering().map(|(_, status)| status.index).max().unwrap_or(0);
    for (member, status) in facts.answering() {
        learner(member, status, newest, found);
        let name = member.label();
        let behind = newest.saturating_sub(status.index);
        if behind > LAG_ENTRIES && !member.is_learner {
            let sentence = format!("{name} is {behind} entries behind in the log");
            found.push(finding(Severity::Warning, check, sentence).remedy(format!(
                "see whether it catches up: kvorum endpoint status --cluster; then look at the \
                 network and the disk of {name}"
            )));
        }
        let unapplied = status.index.saturating_sub(status.applied);
        // Before 3.4 nobody told.
        if status.applied > 0 && unapplied > LAG_ENTRIES {
            let sentence =
                format!("{name} has {unapplied} entries in its log that it has not applied");
            found.push(finding(Severity::Warning, check, sentence).remedy(format!(
                "look at the disk of {name}: its backend is slower than what is written"
            )));
        }
        for error in status.errors.iter().filter(|error| is_news(error)) {
            let error = crate::escape::printable(error, 200);
            let sentence = format!("{name} says: {error}");
            found.push(
                finding(Severity::Warning, check, sentence)
                    .remedy("kvorum explain lists what errors mean"),
            );
        }
    }
    if found.len() == before {
        let revisions: BTreeSet<i64> =
            facts.answering().map(|(_, status)| status.revision).collect();
        let sentence = match (revisions.first(), revisions.last()) {
            (Some(first), Some(last)) if first == last => {
                format!("everyone who answers is at revision {first}")
            }
            (Some(first), Some(last)) => {
                format!("members are between revisions {first} and {last}: there are writes")
            }
            _ => return,
        };
        found.push(finding(Severity::Fine, check, sentence));
    }
}

fn learner(member: &MemberFacts, status: &Status, newest: u64, found: &mut Vec<Finding>) {
    if !member.is_learner {
        return;
    }
    let behind = newest.saturating_sub(status.index);
    // etcd promotes a learner that has nine tenths of the leader's log.
    let ready = status.index as f64 >= newest as f64 * 0.9;
    let name = member.label();
    let finding = if ready && behind <= LAG_ENTRIES {
        finding(Severity::Note, Check::Lag, format!("the learner {name} has caught up"))
            .remedy(format!("make it a voting member: kvorum member promote {:x}", member.id))
    } else {
        let sentence = format!("the learner {name} is {behind} entries behind");
        finding(Severity::Warning, Check::Lag, sentence)
            .remedy("wait until it has caught up: kvorum endpoint status --cluster")
    };
    found.push(finding);
}

/// What other checks do not say already.
fn is_news(error: &str) -> bool {
    !error.starts_with("memberID:") && !error.contains("no leader")
}

pub(super) fn versions(facts: &Facts, found: &mut Vec<Finding>) {
    let check = Check::Versions;
    let mut by_version: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (member, status) in facts.answering() {
        by_version.entry(&status.version).or_default().push(member.label());
    }
    let minors: BTreeSet<String> = by_version.keys().map(|version| minor(version)).collect();
    let listed: Vec<_> = by_version
        .iter()
        .map(|(version, members)| format!("{} ({})", shown(version), members.join(", ")))
        .collect();
    match (by_version.len(), minors.len()) {
        (0, _) => {}
        (1, _) => found.push(finding(
            Severity::Fine,
            check,
            format!("everyone runs {}", by_version.keys().map(|v| shown(v)).collect::<String>()),
        )),
        (_, 1) => found.push(finding(
            Severity::Note,
            check,
            format!("versions differ a little: {}", listed.join(", ")),
        )),
        _ => found.push(
            finding(Severity::Warning, check, format!("versions differ: {}", listed.join(", ")))
                .remedy(
                    "finish the upgrade, one member at a time: kvorum endpoint status --cluster",
                ),
        ),
    }
}

fn minor(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

fn shown(version: &str) -> String {
    crate::escape::printable(version, 40)
}

pub(super) fn hashes(facts: &Facts, found: &mut Vec<Finding>) {
    let check = Check::Hashes;
    let mut known: Vec<(&MemberFacts, Hash)> = Vec::new();
    for (member, _) in facts.answering() {
        match &member.hash {
            Ok(hash) => known.push((member, *hash)),
            Err(why) => {
                let sentence = format!("the hash of {} is not known: {}", member.label(), why.0);
                found.push(finding(Severity::Unknown, check, sentence));
            }
        }
    }
    let revision = facts.hash_revision;
    let compacted: BTreeSet<i64> = known.iter().map(|(_, hash)| hash.compact_revision).collect();
    let values: BTreeSet<u32> = known.iter().map(|(_, hash)| hash.hash).collect();
    if known.len() < 2 {
        return;
    }
    if compacted.len() > 1 {
        let sentence =
            "members were compacted at different revisions, so their hashes do not compare";
        found.push(finding(Severity::Unknown, check, sentence).remedy("look again: kvorum doctor"));
    } else if values.len() > 1 {
        let each: Vec<_> = known
            .iter()
            .map(|(member, hash)| format!("{} {:x}", member.label(), hash.hash))
            .collect();
        let sentence =
            format!("members hold different data at revision {revision}: {}", each.join(", "));
        found.push(finding(Severity::Critical, check, sentence).remedy(
            "stop writing, keep a snapshot of each member (kvorum snapshot save m.db --endpoints \
             URL), and replace the one that differs from the others: kvorum member remove ID",
        ));
    } else {
        let sentence = format!("{} members hold the same data at revision {revision}", known.len());
        found.push(finding(Severity::Fine, check, sentence));
    }
}
