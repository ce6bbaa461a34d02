//! Who is there, who answers, and who leads.

use std::collections::BTreeSet;

use super::finding;
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Check, Finding, Severity};

/// Every client URL that a member advertises was dialled.
pub(super) fn addresses(facts: &Facts, found: &mut Vec<Finding>) {
    let mut dialled = 0;
    let before = found.len();
    for member in &facts.members {
        dialled += member.addresses.len();
        let answers = member.status.is_some();
        for address in &member.addresses {
            let Some(failure) = &address.failure else { continue };
            let sentence = format!(
                "{} advertises {}, which does not answer here: {}",
                member.label(),
                address.url,
                failure.public_text()
            );
            let finding = finding(Severity::Warning, Check::Addresses, sentence);
            found.push(finding.remedy(if answers {
                format!(
                    "start {} again with --advertise-client-urls={}",
                    member.label(),
                    member.address()
                )
            } else {
                failure.hint().filter(|_| !failure.nothing_listens()).unwrap_or_else(|| {
                    format!(
                        "look at it where it runs: systemctl status etcd, and its log, on {}",
                        member.label()
                    )
                })
            }));
        }
    }
    if found.len() == before {
        let sentence = match dialled {
            1 => "the advertised client URL answers".to_owned(),
            _ => format!("all {dialled} advertised client URLs answer"),
        };
        found.push(finding(Severity::Fine, Check::Addresses, sentence));
    }
}

pub(super) fn leader(facts: &Facts, found: &mut Vec<Finding>) {
    let check = Check::Leader;
    let voters = facts.voters().count();
    let quorum = voters / 2 + 1;
    let answering = facts.voters().filter(|member| member.status.is_some()).count();
    let heard: BTreeSet<u64> = facts.answering().map(|(_, status)| status.leader).collect();
    let known: Vec<u64> = heard.iter().copied().filter(|leader| *leader != 0).collect();
    match known.as_slice() {
        [] if answering < quorum => found.push(
            finding(
                Severity::Critical,
                check,
                format!(
                    "no quorum: {answering} of {voters} voting members answer, {quorum} are needed"
                ),
            )
            .remedy(
                "start the members that are down; if they are lost for good: kvorum snapshot save \
                 backup.db, then kvorum snapshot restore backup.db into a new cluster",
            ),
        ),
        [] => found.push(
            finding(Severity::Critical, check, "no leader: an election is under way, or fails")
                .remedy("look again in a few seconds: kvorum endpoint status --cluster"),
        ),
        [leader] if heard.contains(&0) => {
            let lost = facts.answering().filter(|(_, status)| status.leader == 0);
            let lost: Vec<_> = lost.map(|(member, _)| member.label()).collect();
            let sentence =
                format!("{} leads, but {} knows no leader", facts.label(*leader), lost.join(", "));
            found.push(
                finding(Severity::Warning, check, sentence)
                    .remedy("check the peer URLs between them: kvorum member list -w table"),
            );
        }
        [leader] => {
            let sentence = format!("{} leads, and everyone agrees", facts.label(*leader));
            found.push(finding(Severity::Fine, check, sentence));
            spare(answering, voters, found);
        }
        several => {
            let names: Vec<_> = several.iter().map(|leader| facts.label(*leader)).collect();
            let sentence = format!("members follow different leaders: {}", names.join(", "));
            found.push(
                finding(Severity::Warning, check, sentence)
                    .remedy("look again in a few seconds: kvorum endpoint status --cluster"),
            );
        }
    }
    if let [leader] = known.as_slice()
        && facts.members.iter().all(|member| member.id != *leader)
    {
        let sentence = format!("the leader {leader:x} is not in the member list");
        found.push(
            finding(Severity::Critical, check, sentence)
                .remedy("see what each member knows: kvorum endpoint status --cluster -w table"),
        );
    }
}

/// A quorum that would not survive the next failure.
fn spare(answering: usize, voters: usize, found: &mut Vec<Finding>) {
    let quorum = voters / 2 + 1;
    if answering < voters && answering == quorum {
        let sentence =
            format!("{answering} of {voters} voting members answer: the next failure stops writes");
        found.push(
            finding(Severity::Critical, Check::Leader, sentence)
                .remedy("start the members that are down: kvorum endpoint health --cluster"),
        );
    }
}

pub(super) fn members(facts: &Facts, found: &mut Vec<Finding>) {
    let check = Check::Members;
    let before = found.len();
    let voters = facts.voters().count();
    for member in facts.members.iter().filter(|member| member.name.is_empty()) {
        let sentence = format!("member {:x} was added and has never started", member.id);
        found.push(
            finding(Severity::Warning, check, sentence)
                .remedy(format!("start it, or take it out: kvorum member remove {:x}", member.id)),
        );
    }
    if voters > 0 && voters.is_multiple_of(2) {
        let sentence =
            format!("{voters} voting members survive no more failures than {} would", voters - 1);
        found.push(
            finding(Severity::Warning, check, sentence)
                .remedy("add one: kvorum member add NAME --peer-urls=URL --learner"),
        );
    }
    if voters == 1 && facts.members.len() == 1 {
        let sentence = "a single member: when it is down, so is the cluster";
        found.push(finding(Severity::Note, check, sentence));
    } else if found.len() == before {
        let learners = facts.members.len() - voters;
        let more = if learners == 0 { String::new() } else { format!(", {learners} learning") };
        found.push(finding(Severity::Fine, check, format!("{voters} voting members{more}")));
    }
}
