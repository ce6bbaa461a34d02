//! Runs clusters of processes and has their watches judged, or measures what watches cost.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use kvorum_tests::cluster::Cluster;
use kvorum_tests::program::Names;
use kvorum_tests::watching::measure::{Shape, grant_leases, leases_end, resume, write_history};
use kvorum_tests::watching::run::{run, shortfall};

const USAGE: &str = "usage: kvorum-watch runs N [--from SEED]
       kvorum-watch resume WATCHERS REVISIONS [keys] [prefixes] [all]
       kvorum-watch leases LEASES TTL_SECONDS";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match &arguments[..] {
        ["runs", count] => runs(count, "1").await,
        ["runs", count, "--from", seed] => runs(count, seed).await,
        ["resume", watchers, revisions, shapes @ ..] => {
            resumption(watchers, revisions, shapes).await
        }
        ["leases", leases, ttl_s] => leases_end_together(leases, ttl_s).await,
        _ => None,
    };
    outcome.unwrap_or_else(|| {
        let _ = writeln!(io::stderr(), "{USAGE}");
        ExitCode::from(2)
    })
}

/// The binary under test lies beside this one.
fn names() -> Names {
    let own = std::env::current_exe().expect("a program knows where it is");
    let path: PathBuf = own.with_file_name("kvorum-under-test");
    assert!(path.is_file(), "build it first: cargo build -p kvorum-tests");
    Names::of(&path)
}

async fn runs(count: &str, from: &str) -> Option<ExitCode> {
    let (count, from): (u64, u64) = (count.parse().ok()?, from.parse().ok()?);
    let names = names();
    let (mut failed, mut reports) = (0, Vec::new());
    for seed in from..from + count {
        let line = match run(&names.server(), seed).await {
            Ok(report) => {
                let line = report.to_string();
                reports.push(report);
                line
            }
            Err(why) => {
                failed += 1;
                format!("seed {seed} fails: {why}")
            }
        };
        let _ = writeln!(io::stdout(), "{line}");
    }
    let _ = writeln!(io::stdout(), "{failed} of {count} runs fail");
    let lacks = shortfall(&reports);
    if let Some(lacks) = lacks {
        let _ = writeln!(io::stdout(), "in all runs {lacks}");
    }
    Some(if failed == 0 && lacks.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn resumption(watchers: &str, revisions: &str, shapes: &[&str]) -> Option<ExitCode> {
    let (watchers, revisions) = (watchers.parse().ok()?, revisions.parse().ok()?);
    let names = names();
    let mut cluster = Cluster::start(&names.server(), 1);
    let url = cluster.members[0].client_url();
    write_history(&url, watchers, revisions).await.expect("the member takes writes");
    for shape in shapes {
        let shape = match *shape {
            "keys" => Shape::Keys,
            "prefixes" => Shape::Prefixes,
            "all" => Shape::All,
            _ => return None,
        };
        let before = cluster.members[0].running().cpu();
        let resumed = resume(&url, watchers, revisions, shape).await;
        let after = cluster.members[0].running().cpu();
        let cpu: Duration = after.saturating_sub(before);
        let _ = writeln!(
            io::stdout(),
            "{shape:?}: {watchers} watches over {revisions} revisions: {} events in {:.2?} (the \
             first watch in {:.2?}), {cpu:.2?} of the member's CPU time; beside it {}",
            resumed.events,
            resumed.took,
            resumed.first,
            resumed.puts
        );
    }
    Some(ExitCode::SUCCESS)
}

/// After a restart all leases have their whole time again, and so end at the same moment.
async fn leases_end_together(leases: &str, ttl_s: &str) -> Option<ExitCode> {
    let (leases, ttl_s) = (leases.parse().ok()?, ttl_s.parse().ok()?);
    let names = names();
    let mut cluster = Cluster::start(&names.server(), 1);
    let url = cluster.members[0].client_url();
    grant_leases(&url, leases, ttl_s).await.expect("the member takes leases");
    cluster.members[0].kill();
    cluster.members[0].start();
    cluster.members[0].await_serving();
    let (count, took, puts) = leases_end(&url).await.expect("the member serves");
    let _ = writeln!(io::stdout(), "{count} leases end within {took:.2?}; beside it {puts}");
    Some(ExitCode::SUCCESS)
}
