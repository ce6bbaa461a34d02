//! `check perf`: does the cluster keep up with a steady rate of writes?

use std::time::Duration;

use kvorum_client::{Amount, Load, LoadReport, LoadRun};

use super::progress::Progress;
use super::{CommandError, Session, clients, delete, finish, refuse_keys, say_errors, tidy};
use crate::args::{CheckLoadArgs, LoadSize};
use crate::exit;
use crate::signals::Interrupted;

const PREFIX: &str = "/etcdctl-check-perf/";
const TIME: Duration = Duration::from_secs(60);
const KEY_BYTES: usize = 256;
const VALUE_BYTES: usize = 1024;

/// What must be reached: nine tenths of the rate, and these times.
const RATE_PART: f64 = 0.9;
const SLOWEST_S: f64 = 0.5;
const DEVIATION_S: f64 = 0.1;

/// Writes per second, and clients.
fn workload(size: LoadSize) -> (u32, usize) {
    match size {
        LoadSize::Small => (150, 50),
        LoadSize::Medium => (1000, 200),
        LoadSize::Large => (8000, 500),
        LoadSize::ExtraLarge => (15_000, 1000),
    }
}

pub(super) async fn execute(
    args: &CheckLoadArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    let prefix = args.prefix(PREFIX);
    let (writes_per_s, count) = workload(args.size()?);
    let clients = clients(session, count)?;
    refuse_keys(&clients[0], &prefix, "'etcdctl del --prefix {}'").await?;
    let load = Load {
        prefix: prefix.clone(),
        key_bytes: KEY_BYTES,
        value_bytes: VALUE_BYTES,
        amount: Amount::Rate { writes_per_s, time: TIME },
    };
    let mut interrupted = Interrupted::new()?;
    let shown = Progress::new(u64::from(writes_per_s) * TIME.as_secs(), &session.manner);
    let mut run = LoadRun::start(&clients, &load);
    let finished = finish(&mut run, &mut interrupted, &shown).await;
    drop(shown);
    let report = run.report();
    let deleted = match delete(&clients[0], &prefix).await {
        Ok(deleted) => Some(deleted),
        Err(error) => {
            session.say(&format!("FAIL: Cleanup failed during key deletion: ERROR({error})"))?;
            None
        }
    };
    finished?;
    tidy(&clients[0], args, deleted.as_ref(), session).await?;
    judge(&report, writes_per_s, session)
}

fn judge(
    report: &LoadReport,
    writes_per_s: u32,
    session: &mut Session,
) -> Result<(), CommandError> {
    let mut failed = say_errors(report, session)?;
    let rate = report.writes_per_s as i64 + 1;
    let judgements = [
        (
            report.writes_per_s / f64::from(writes_per_s) <= RATE_PART,
            format!("FAIL: Throughput too low: {rate} writes/s"),
            format!("PASS: Throughput is {rate} writes/s"),
        ),
        (
            report.slowest_s > SLOWEST_S,
            format!("Slowest request took too long: {:.6}s", report.slowest_s),
            format!("PASS: Slowest request took {:.6}s", report.slowest_s),
        ),
        (
            report.deviation_s > DEVIATION_S,
            format!("Stddev too high: {:.6}s", report.deviation_s),
            format!("PASS: Stddev is {:.6}s", report.deviation_s),
        ),
    ];
    for (fails, bad, good) in judgements {
        failed |= fails;
        session.say(if fails { &bad } else { &good })?;
    }
    if !failed {
        return session.say("PASS");
    }
    session.say("FAIL")?;
    Err(CommandError::Silent { code: exit::ERROR })
}
