//! Real etcd and ours answer the same requests alike, but for the rows of the table of
//! differences. The full run is `kvorum-differential`.

use kvorum_tests::differential::campaign::{Campaign, Findings};
use kvorum_tests::differential::differences::Differences;
use kvorum_tests::differential::generate::Area;
use kvorum_tests::differential::run::{Programs, Stop};
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd};
use kvorum_tests::{binary, or_skip};

#[test]
fn ten_thousand_requests_are_answered_alike() {
    let theirs = or_skip!(real_etcd(), NO_ETCD);
    let table = Differences::read();
    assert!(table.0.len() <= 25, "the table of differences grows beyond its bound");
    let findings = findings(theirs, &table, 11, 1000);
    let failures: Vec<String> = findings
        .failures
        .values()
        .map(|(failure, times)| format!("{times} times:\n{failure}"))
        .collect();
    assert!(findings.is_clean(), "{}\nnot run: {:?}", failures.join("\n"), findings.broken);
    assert!(findings.tally.requests >= 10_000, "{}", findings.tally);
    let gaps = findings.tally.gaps(&table);
    assert!(gaps.is_empty(), "{}\n{}", gaps.join("\n"), findings.tally);
}

fn findings(theirs: Program, table: &Differences, seeds: u64, requests: u64) -> Findings {
    let ours = Names::of(binary!()).server();
    let (areas, stop) = (Area::ALL.to_vec(), Stop::AtFirstFailure);
    let campaign = Campaign { from: 1, seeds, requests, threads: 2, areas, stop };
    campaign.run(&Programs { theirs, ours }, table, |_| {})
}
