//! Sends the same generated requests to Debian's etcd and to ours, and prints what differs and
//! what was counted. `KVORUM_ETCD_DIR` says where etcd is.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use kvorum_tests::differential::campaign::Campaign;
use kvorum_tests::differential::differences::Differences;
use kvorum_tests::differential::generate::Area;
use kvorum_tests::differential::run::{Programs, Stop};
use kvorum_tests::program::{NO_ETCD, Names, real_etcd};

const USAGE: &str = "usage: kvorum-differential --seeds N --requests M [--from N] [--threads N]
                           [--areas kv,txn,watch,lease,maintenance,auth,queues,web]
                           [--keep-going] [--full]
With --full it is an error if these are fewer than the whole proof has. Servers keep their data in the folder for temporary files: let TMPDIR name one in memory.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((campaign, full)) = parsed(&arguments) else {
        let _ = writeln!(io::stderr(), "{USAGE}");
        return ExitCode::from(2);
    };
    let Some(theirs) = real_etcd() else {
        let _ = writeln!(io::stderr(), "{NO_ETCD}");
        return ExitCode::from(2);
    };
    // The server of this build lies beside.
    let beside = std::env::current_exe().map(|path| path.with_file_name("kvorum-under-test"));
    let ours = match beside {
        Ok(path) if path.is_file() => Names::of(&path).server(),
        _ => {
            let _ = writeln!(io::stderr(), "no kvorum-under-test beside this program: build it");
            return ExitCode::from(2);
        }
    };
    let table = Differences::read();
    let began = Instant::now();
    let findings = campaign.run(&Programs { theirs, ours }, &table, |failure| {
        let _ = writeln!(io::stdout(), "{failure}");
    });
    let mut out = io::stdout();
    let _ = writeln!(out, "{}", findings.tally);
    let mut gaps = findings.tally.gaps(&table);
    if full {
        gaps.extend(findings.tally.shortness());
    }
    for gap in &gaps {
        let _ = writeln!(out, "gap: {gap}");
    }
    for broken in &findings.broken {
        let _ = writeln!(out, "not run: {broken}");
    }
    for (kind, (failure, times)) in &findings.failures {
        let _ = writeln!(out, "{times:>7}  seed {} step {}: {kind}", failure.seed, failure.number);
    }
    let kinds = findings.failures.len();
    let _ = writeln!(out, "{kinds} kinds of differences, {} s", began.elapsed().as_secs());
    if findings.is_clean() && gaps.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What to run, and whether it must be the whole proof.
fn parsed(arguments: &[String]) -> Option<(Campaign, bool)> {
    let mut full = false;
    let mut campaign = Campaign {
        from: 1,
        seeds: 0,
        requests: 0,
        threads: 2,
        areas: Area::ALL.to_vec(),
        stop: Stop::AtFirstFailure,
    };
    let mut arguments = arguments.iter();
    while let Some(name) = arguments.next() {
        if name == "--keep-going" {
            campaign.stop = Stop::Never;
            continue;
        }
        if name == "--full" {
            full = true;
            continue;
        }
        let value = arguments.next()?;
        match name.as_str() {
            "--areas" => {
                campaign.areas = value.split(',').map(Area::named).collect::<Option<_>>()?;
            }
            "--seeds" => campaign.seeds = value.parse().ok()?,
            "--requests" => campaign.requests = value.parse().ok()?,
            "--from" => campaign.from = value.parse().ok()?,
            "--threads" => campaign.threads = value.parse().ok()?,
            _ => return None,
        }
    }
    (campaign.seeds > 0 && campaign.requests > 0).then_some((campaign, full))
}
