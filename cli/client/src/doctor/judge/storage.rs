//! Alarms, the quota, and space that a defragmentation would give back.

use super::{finding, percent, size};
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Check, Finding, Severity};

const QUOTA_WARNING_PERCENT: i64 = 80;
const QUOTA_CRITICAL_PERCENT: i64 = 95;

/// Below this size it is not worth a member's pause.
const WORTH_DEFRAGMENTING_BYTES: i64 = 100 * 1024 * 1024;
const FRAGMENTED_PERCENT: i64 = 50;

pub(super) fn alarms(facts: &Facts, found: &mut Vec<Finding>) {
    let check = Check::Alarms;
    let alarms = match &facts.alarms {
        Err(why) => {
            let sentence = format!("the alarms cannot be read: {}", why.0);
            return found.push(finding(Severity::Unknown, check, sentence));
        }
        Ok(alarms) => alarms,
    };
    if alarms.is_empty() {
        found.push(finding(Severity::Fine, check, "no alarm is raised"));
    }
    let revision = facts.answering().map(|(_, status)| status.revision).max().unwrap_or(0);
    for alarm in alarms {
        let name = facts.label(alarm.member);
        let (sentence, remedy) = match alarm.kind.as_str() {
            "NOSPACE" => (
                format!("{name} has reached its quota: the cluster takes no writes (NOSPACE)"),
                format!(
                    "kvorum compaction {revision}; kvorum defrag --endpoints {}; kvorum alarm \
                     disarm",
                    facts.endpoints()
                ),
            ),
            "CORRUPT" => (
                format!("{name} holds other data than its peers (CORRUPT)"),
                "keep a snapshot of each member, then replace the one that differs: kvorum explain \
                 CORRUPT"
                    .to_owned(),
            ),
            other => (
                format!("{name} has raised an alarm that is not known here: {other}"),
                "kvorum alarm list".to_owned(),
            ),
        };
        found.push(finding(Severity::Critical, check, sentence).remedy(remedy));
    }
}

pub(super) fn quota(facts: &Facts, found: &mut Vec<Finding>) {
    let check = Check::Quota;
    let mut fullest = None;
    for (member, status) in facts.answering() {
        let name = member.label();
        let Some(quota) = status.quota_bytes else {
            let sentence = format!(
                "{name} holds {}, and does not tell its quota (etcd does from 3.6 on)",
                size(status.size_bytes)
            );
            found.push(finding(Severity::Unknown, check, sentence));
            continue;
        };
        let used = percent(status.size_bytes, quota);
        let sentence = format!("{name} uses {used} % of its quota of {}", size(quota));
        let severity = match used {
            QUOTA_CRITICAL_PERCENT.. => Severity::Critical,
            QUOTA_WARNING_PERCENT.. => Severity::Warning,
            _ => {
                fullest = fullest.max(Some((used, sentence)));
                continue;
            }
        };
        found.push(finding(severity, check, sentence).remedy(format!(
            "kvorum compaction {}; kvorum defrag --endpoints {}; or start it with a larger \
             --quota-backend-bytes",
            status.revision,
            member.address()
        )));
    }
    if let Some((_, sentence)) = fullest {
        found.push(finding(Severity::Fine, check, sentence));
    }
}

pub(super) fn fragmentation(facts: &Facts, found: &mut Vec<Finding>) {
    let check = Check::Fragmentation;
    let before = found.len();
    for (member, status) in facts.answering() {
        let name = member.label();
        if status.in_use_bytes == 0 {
            let sentence = format!("{name} does not tell how much of its file is in use");
            found.push(finding(Severity::Unknown, check, sentence));
            continue;
        }
        let free = status.size_bytes - status.in_use_bytes;
        let share = percent(free, status.size_bytes);
        if status.size_bytes >= WORTH_DEFRAGMENTING_BYTES && share >= FRAGMENTED_PERCENT {
            let sentence = format!("{share} % of the file of {name} is free space: {}", size(free));
            found.push(finding(Severity::Warning, check, sentence).remedy(format!(
                "kvorum defrag --endpoints {} (an etcd answers nobody while it does that)",
                member.address()
            )));
        }
    }
    if found.len() == before && facts.answering().next().is_some() {
        let sentence = "no file has so much free space that a defragmentation pays";
        found.push(finding(Severity::Fine, check, sentence));
    }
}
