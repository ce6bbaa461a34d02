//! Our binary under the name `etcdctl` answers as Debian's etcdctl does.
//!
//! Both do the same steps against Debian's etcd, started twice with the same ports and token, so
//! that even the ids are the same. Where 3.4 and 3.6 differ, the table of differences has both
//! forms, and each side must have its own.

mod differences;
mod steps;
mod transcript;

use differences::{DIFFERENCES, Difference};
use kvorum_tests::cluster::Cluster;
use kvorum_tests::etcdctl::Etcdctl;
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd, real_etcdctl};
use kvorum_tests::{binary, or_skip};
use steps::{STEPS, USAGE_ERRORS};
use transcript::{Answer, Transcript};

#[test]
fn our_etcdctl_answers_as_debians_does() {
    let etcd = or_skip!(real_etcd(), NO_ETCD);
    let debians = or_skip!(real_etcdctl(), NO_ETCD);
    let mut cluster = Cluster::start(&etcd, 1);
    let theirs = transcript(&debians, &mut cluster, &debians);
    let ours = transcript(&Names::of(binary!()).etcdctl(), &mut cluster, &debians);

    let mut faults = Vec::new();
    for ((step, theirs), ours) in STEPS.iter().zip(&theirs).zip(&ours) {
        let known = DIFFERENCES.iter().find(|difference| difference.line == step.line);
        if let Some(fault) = compare(known, theirs, ours) {
            let (line, input) = (step.line, step.input);
            faults.push(format!("etcdctl {line} < {input:?}\n{fault}"));
        }
    }
    let count = faults.len();
    assert!(faults.is_empty(), "{count} of {}:\n\n{}", STEPS.len(), faults.join("\n"));
}

#[test]
fn our_etcdctl_refuses_with_debians_exit_codes() {
    let etcd = or_skip!(real_etcd(), NO_ETCD);
    let debians = or_skip!(real_etcdctl(), NO_ETCD);
    let cluster = Cluster::start(&etcd, 1);
    let theirs = Transcript::of(&debians, &cluster);
    let names = Names::of(binary!());
    let ours = Transcript::of(&names.etcdctl(), &cluster);
    let different: Vec<String> = USAGE_ERRORS
        .iter()
        .map(|line| (line, theirs.code(line), ours.code(line)))
        .filter(|(_, theirs, ours)| theirs != ours)
        .map(|(line, theirs, ours)| format!("etcdctl {line}: {theirs} there, {ours} here"))
        .collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn the_steps_are_many_and_the_table_of_differences_has_no_dead_rows() {
    assert!(STEPS.len() >= 60, "only {} steps", STEPS.len());
    for Difference { line, what, source, .. } in DIFFERENCES {
        assert!(STEPS.iter().any(|step| step.line == *line), "no step shows {line}: {what}");
        assert!(!source.is_empty(), "{line}: where does it come from?");
    }
}

/// The answers of one etcdctl to all steps, on a cluster with no past.
fn transcript(etcdctl: &Program, cluster: &mut Cluster, judge: &Program) -> Vec<Answer> {
    cluster.begin_again();
    let judge = Etcdctl::new(judge, cluster.endpoints());
    let mut transcript = Transcript::of(etcdctl, cluster).knows(&judge);
    STEPS.iter().map(|step| transcript.answer(step)).collect()
}

/// What is wrong, shown side by side.
fn compare(known: Option<&Difference>, theirs: &Answer, ours: &Answer) -> Option<String> {
    if theirs.code != ours.code {
        return Some(format!(
            "exit {} there, {} here\n{theirs:?}\n{ours:?}",
            theirs.code, ours.code
        ));
    }
    let Some(Difference { three_four, three_six, what, .. }) = known else {
        let same = theirs.stdout == ours.stdout;
        return (!same).then(|| format!("there:\n{}here:\n{}", theirs.stdout, ours.stdout));
    };
    let pinned = |name: &str, is: &str, should: &str| {
        (is != should).then(|| format!("{what}: {name}\nprinted:\n{is}pinned:\n{should}"))
    };
    pinned("Debian's 3.4", &theirs.stdout, three_four)
        .or_else(|| pinned("ours, as 3.6", &ours.stdout, three_six))
}
