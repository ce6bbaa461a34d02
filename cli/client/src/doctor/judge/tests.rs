use std::time::Duration;

use super::judge;
use crate::connect::{Cause, ConnectError};
use crate::doctor::facts::{
    Address, Alarm, Disk, Facts, Hash, Latency, MemberFacts, Status, Unknown,
};
use crate::doctor::finding::{Check, Severity};
use crate::failure::Failure;
use crate::tls::{Certificate, KeyKind, Moment};

const MIB: i64 = 1024 * 1024;
const DAY_SECONDS: i64 = 86_400;

/// Three members that are well.
fn well() -> Facts {
    let member = |id: u64| MemberFacts {
        id,
        name: format!("m{id}"),
        is_learner: false,
        addresses: vec![Address {
            url: format!("http://10.0.0.{id}:2379"),
            failure: None,
            certificate: None,
        }],
        status: Some(Status {
            version: "3.6.0".to_owned(),
            size_bytes: 200 * MIB,
            in_use_bytes: 150 * MIB,
            quota_bytes: Some(2048 * MIB),
            leader: 1,
            term: 3,
            index: 5000,
            applied: 5000,
            revision: 900,
            errors: vec![],
        }),
        hash: Ok(Hash { hash: 7, compact_revision: 1 }),
        disk: Ok(Disk {
            fsync: Some(Latency { samples: 1000, p99: Some(Duration::from_millis(8)) }),
            commit: Some(Latency { samples: 1000, p99: Some(Duration::from_millis(16)) }),
        }),
        clock_ahead_seconds: Ok(0),
    };
    Facts {
        now: Moment(1_800_000_000),
        cluster_id: 0xcafe,
        members: vec![member(1), member(2), member(3)],
        alarms: Ok(vec![]),
        own_certificate: None,
        hash_revision: 900,
    }
}

fn status(facts: &mut Facts, nth: usize) -> &mut Status {
    facts.members[nth].status.as_mut().unwrap()
}

/// The member's process is gone.
fn down(facts: &mut Facts, nth: usize) {
    let member = &mut facts.members[nth];
    member.status = None;
    let url = member.addresses[0].url.clone();
    let refused = ConnectError { endpoint: url, cause: Cause::Refused };
    member.addresses[0].failure = Some(Failure::Unreachable(vec![refused]));
}

fn certificate(days_left: i64) -> Certificate {
    let now = well().now.0;
    Certificate {
        subject: "alice".to_owned(),
        issuer: "the authority".to_owned(),
        names: vec![],
        not_before: Moment(now - 100 * DAY_SECONDS),
        not_after: Moment(now + days_left * DAY_SECONDS + 60),
        key: KeyKind::P256,
    }
}

/// The findings that are more than fine, as `severity check: sentence` and their remedies.
fn told(facts: &Facts) -> Vec<(Severity, Check, String, String)> {
    let found = judge(facts).into_iter().filter(|finding| finding.severity != Severity::Fine);
    found
        .map(|found| {
            (found.severity, found.check, found.sentence, found.remedy.unwrap_or_default())
        })
        .collect()
}

#[test]
fn a_cluster_that_is_well_has_one_fine_line_for_each_check() {
    let findings = judge(&well());
    assert!(findings.iter().all(|finding| finding.severity == Severity::Fine), "{findings:#?}");
    let checks: Vec<_> = findings.iter().map(|finding| finding.check.name()).collect();
    assert_eq!(
        checks,
        [
            "addresses",
            "leader",
            "members",
            "lag",
            "versions",
            "alarms",
            "quota",
            "fragmentation",
            "hashes",
            "disk",
            "clock",
            "certificates"
        ]
    );
    assert!(findings.iter().all(|finding| finding.remedy.is_none()));
}

/// One change to a cluster that is well, and the one finding that it makes.
struct Case {
    name: &'static str,
    change: fn(&mut Facts),
    severity: Severity,
    check: Check,
    sentence: &'static str,
    /// What the remedy holds.
    remedy: &'static str,
}

#[test]
fn each_fault_has_its_finding_and_remedy() {
    for Case { name, change, severity, check, sentence, remedy } in CASES {
        let mut facts = well();
        change(&mut facts);
        let told = told(&facts);
        let found = told.iter().find(|found| (found.0, found.1) == (*severity, *check));
        let Some(found) = found else { panic!("{name}: {told:#?}") };
        assert_eq!(found.2, *sentence, "{name}");
        assert!(found.3.contains(remedy), "{name}: {:?} in {:?}", remedy, found.3);
        assert!(severity.is_fault() != found.3.is_empty() || !severity.is_fault(), "{name}");
    }
}

const CASES: &[Case] = &[
    Case {
        name: "one of three is down",
        change: |facts| down(facts, 2),
        severity: Severity::Critical,
        check: Check::Leader,
        sentence: "2 of 3 voting members answer: the next failure stops writes",
        remedy: "kvorum endpoint health --cluster",
    },
    Case {
        name: "its address",
        change: |facts| down(facts, 2),
        severity: Severity::Warning,
        check: Check::Addresses,
        sentence: "m3 advertises http://10.0.0.3:2379, which does not answer here: nothing answers \
                   at http://10.0.0.3:2379",
        remedy: "m3",
    },
    Case {
        name: "a second address that is wrong",
        change: |facts| {
            let refused = ConnectError { endpoint: "http://x".to_owned(), cause: Cause::Refused };
            facts.members[0].addresses.push(Address {
                url: "http://x".to_owned(),
                failure: Some(Failure::Unreachable(vec![refused])),
                certificate: None,
            });
        },
        severity: Severity::Warning,
        check: Check::Addresses,
        sentence: "m1 advertises http://x, which does not answer here: nothing answers at http://x \
                   (no port was given, so the usual one was tried: 2379)",
        remedy: "--advertise-client-urls=http://10.0.0.1:2379",
    },
    Case {
        name: "two of three are down",
        change: |facts| {
            down(facts, 1);
            down(facts, 2);
            status(facts, 0).leader = 0;
        },
        severity: Severity::Critical,
        check: Check::Leader,
        sentence: "no quorum: 1 of 3 voting members answer, 2 are needed",
        remedy: "start the members that are down",
    },
    Case {
        name: "an election",
        change: |facts| (0..3).for_each(|nth| status(facts, nth).leader = 0),
        severity: Severity::Critical,
        check: Check::Leader,
        sentence: "no leader: an election is under way, or fails",
        remedy: "kvorum endpoint status --cluster",
    },
    Case {
        name: "one is cut off",
        change: |facts| status(facts, 1).leader = 0,
        severity: Severity::Warning,
        check: Check::Leader,
        sentence: "m1 leads, but m2 knows no leader",
        remedy: "kvorum member list",
    },
    Case {
        name: "two leaders",
        change: |facts| status(facts, 1).leader = 2,
        severity: Severity::Warning,
        check: Check::Leader,
        sentence: "members follow different leaders: m1, m2",
        remedy: "kvorum endpoint status --cluster",
    },
    Case {
        name: "an even number",
        change: |facts| drop(facts.members.pop()),
        severity: Severity::Warning,
        check: Check::Members,
        sentence: "2 voting members survive no more failures than 1 would",
        remedy: "kvorum member add",
    },
    Case {
        name: "a single member",
        change: |facts| facts.members.truncate(1),
        severity: Severity::Note,
        check: Check::Members,
        sentence: "a single member: when it is down, so is the cluster",
        remedy: "",
    },
    Case {
        name: "a member without a name",
        change: |facts| {
            facts.members[2].name.clear();
            facts.members[2].status = None;
            facts.members[2].addresses.clear();
        },
        severity: Severity::Warning,
        check: Check::Members,
        sentence: "member 3 was added and has never started",
        remedy: "kvorum member remove 3",
    },
    Case {
        name: "behind in the log",
        change: |facts| {
            status(facts, 1).index = 3000;
            status(facts, 1).applied = 3000;
        },
        severity: Severity::Warning,
        check: Check::Lag,
        sentence: "m2 is 2000 entries behind in the log",
        remedy: "kvorum endpoint status --cluster",
    },
    Case {
        name: "slow to apply",
        change: |facts| status(facts, 1).applied = 3000,
        severity: Severity::Warning,
        check: Check::Lag,
        sentence: "m2 has 2000 entries in its log that it has not applied",
        remedy: "disk of m2",
    },
    Case {
        name: "a learner that is behind",
        change: |facts| {
            facts.members[2].is_learner = true;
            status(facts, 2).index = 100;
        },
        severity: Severity::Warning,
        check: Check::Lag,
        sentence: "the learner m3 is 4900 entries behind",
        remedy: "kvorum endpoint status --cluster",
    },
    Case {
        name: "a learner that is ready",
        change: |facts| facts.members[2].is_learner = true,
        severity: Severity::Note,
        check: Check::Lag,
        sentence: "the learner m3 has caught up",
        remedy: "kvorum member promote 3",
    },
    Case {
        name: "versions of two minors",
        change: |facts| status(facts, 0).version = "3.5.9".to_owned(),
        severity: Severity::Warning,
        check: Check::Versions,
        sentence: "versions differ: 3.5.9 (m1), 3.6.0 (m2, m3)",
        remedy: "finish the upgrade",
    },
    Case {
        name: "versions of one minor",
        change: |facts| status(facts, 0).version = "3.6.1".to_owned(),
        severity: Severity::Note,
        check: Check::Versions,
        sentence: "versions differ a little: 3.6.0 (m2, m3), 3.6.1 (m1)",
        remedy: "",
    },
    Case {
        name: "no space",
        change: |facts| {
            facts.alarms = Ok(vec![Alarm { member: 2, kind: "NOSPACE".to_owned() }]);
        },
        severity: Severity::Critical,
        check: Check::Alarms,
        sentence: "m2 has reached its quota: the cluster takes no writes (NOSPACE)",
        remedy: "kvorum compaction 900; kvorum defrag --endpoints \
                 http://10.0.0.1:2379,http://10.0.0.2:2379,http://10.0.0.3:2379; kvorum alarm \
                 disarm",
    },
    Case {
        name: "corrupt",
        change: |facts| {
            facts.alarms = Ok(vec![Alarm { member: 9, kind: "CORRUPT".to_owned() }]);
        },
        severity: Severity::Critical,
        check: Check::Alarms,
        sentence: "9 holds other data than its peers (CORRUPT)",
        remedy: "kvorum explain CORRUPT",
    },
    Case {
        name: "alarms that may not be read",
        change: |facts| facts.alarms = Err(Unknown("permission denied".to_owned())),
        severity: Severity::Unknown,
        check: Check::Alarms,
        sentence: "the alarms cannot be read: permission denied",
        remedy: "",
    },
    Case {
        name: "nearly full",
        change: |facts| status(facts, 0).size_bytes = 1700 * MIB,
        severity: Severity::Warning,
        check: Check::Quota,
        sentence: "m1 uses 83 % of its quota of 2.0 GiB",
        remedy: "kvorum compaction 900; kvorum defrag --endpoints http://10.0.0.1:2379",
    },
    Case {
        name: "all but full",
        change: |facts| status(facts, 0).size_bytes = 2000 * MIB,
        severity: Severity::Critical,
        check: Check::Quota,
        sentence: "m1 uses 97 % of its quota of 2.0 GiB",
        remedy: "--quota-backend-bytes",
    },
    Case {
        name: "a quota that is not told",
        change: |facts| status(facts, 0).quota_bytes = None,
        severity: Severity::Unknown,
        check: Check::Quota,
        sentence: "m1 holds 200.0 MiB, and does not tell its quota (etcd does from 3.6 on)",
        remedy: "",
    },
    Case {
        name: "much free space",
        change: |facts| status(facts, 1).in_use_bytes = 50 * MIB,
        severity: Severity::Warning,
        check: Check::Fragmentation,
        sentence: "75 % of the file of m2 is free space: 150.0 MiB",
        remedy: "kvorum defrag --endpoints http://10.0.0.2:2379",
    },
    Case {
        name: "other data",
        change: |facts| {
            facts.members[1].hash = Ok(Hash { hash: 8, compact_revision: 1 });
        },
        severity: Severity::Critical,
        check: Check::Hashes,
        sentence: "members hold different data at revision 900: m1 7, m2 8, m3 7",
        remedy: "kvorum snapshot save",
    },
    Case {
        name: "compacted meanwhile",
        change: |facts| {
            facts.members[1].hash = Ok(Hash { hash: 8, compact_revision: 2 });
        },
        severity: Severity::Unknown,
        check: Check::Hashes,
        sentence: "members were compacted at different revisions, so their hashes do not compare",
        remedy: "kvorum doctor",
    },
    Case {
        name: "a slow disk",
        change: |facts| {
            let slow = Latency { samples: 1000, p99: Some(Duration::from_millis(64)) };
            facts.members[0].disk = Ok(Disk { fsync: Some(slow), commit: None });
        },
        severity: Severity::Warning,
        check: Check::Disk,
        sentence: "the disk of m1 is slow: 99 of 100 times, an fsync of the log took up to 64ms \
                   since it was started, where 10ms is good",
        remedy: "fio",
    },
    Case {
        name: "no metrics",
        change: |facts| facts.members[0].disk = Err(Unknown("HTTP status 404".to_owned())),
        severity: Severity::Unknown,
        check: Check::Disk,
        sentence: "the disk of m1 is not known: HTTP status 404",
        remedy: "let this machine read http://10.0.0.1:2379/metrics, or measure the disk itself: fio",
    },
    Case {
        name: "clocks that differ",
        change: |facts| facts.members[2].clock_ahead_seconds = Ok(40),
        severity: Severity::Warning,
        check: Check::Clock,
        sentence: "the clocks of members differ: m3 is 40 s ahead of m1",
        remedy: "timedatectl",
    },
    Case {
        name: "this machine's clock",
        change: |facts| {
            facts.members.iter_mut().for_each(|member| member.clock_ahead_seconds = Ok(-60));
        },
        severity: Severity::Note,
        check: Check::Clock,
        sentence: "the members' clocks are 60 s behind this machine's, which judges certificates",
        remedy: "date -u",
    },
    Case {
        name: "a certificate that ends soon",
        change: |facts| facts.members[0].addresses[0].certificate = Some(certificate(20)),
        severity: Severity::Warning,
        check: Check::Certificates,
        sentence: "the certificate of m1 at http://10.0.0.1:2379 expires on 2027-02-04 08:01 UTC, \
                   in 20 days",
        remedy: "renewed",
    },
    Case {
        name: "one of ours that ends very soon",
        change: |facts| facts.own_certificate = Some(certificate(2)),
        severity: Severity::Critical,
        check: Check::Certificates,
        sentence: "this client's certificate (--cert) expires on 2027-01-17 08:01 UTC, in 2 days",
        remedy: "renewed",
    },
];

#[test]
fn few_samples_and_small_files_are_no_faults() {
    let mut facts = well();
    let slow = Latency { samples: 99, p99: None };
    facts.members[0].disk = Ok(Disk { fsync: Some(slow), commit: Some(slow) });
    status(&mut facts, 1).size_bytes = 10 * MIB;
    status(&mut facts, 1).in_use_bytes = MIB;
    facts.members[0].addresses[0].certificate = Some(certificate(300));
    let sentence =
        "m1 has written too little since it was started to tell whether its disk is slow";
    let remedy = "look again when it has served a while; or have it write for a minute as 50 \
                  clients do, which a busy cluster feels: kvorum check perf";
    let unknown = (Severity::Unknown, Check::Disk, sentence.to_owned(), remedy.to_owned());
    assert_eq!(told(&facts), [unknown]);
}

#[test]
fn who_this_client_is_stands_in_no_finding() {
    let mut facts = well();
    facts.own_certificate = Some(certificate(1));
    let refused = Cause::RefusesCertificate {
        own: Some(certificate(1)),
        why: "bad certificate".to_owned(),
        now: facts.now,
    };
    let refused = ConnectError { endpoint: "https://x".to_owned(), cause: refused };
    facts.members[2].addresses[0].failure = Some(Failure::Unreachable(vec![refused]));
    facts.members[2].status = None;
    for finding in judge(&facts) {
        assert!(!finding.sentence.contains("alice"), "{finding:?}");
    }
}
