//! Runs the simulator: one seed with its trace, or as many as a time allows.

use std::io::{self, Write};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use kvorum_tests::sim::campaign::{Campaign, attempt, campaign, keep_panics};
use kvorum_tests::sim::plan::Plan;

const USAGE: &str = "usage: kvorum-sim seed N [--trace]
       kvorum-sim campaign (--minutes M | --seeds N) [--from N] [--threads N]";

fn main() -> ExitCode {
    keep_panics();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match &arguments[..] {
        ["seed", seed, rest @ ..] => one(seed, rest),
        ["campaign", rest @ ..] => many(rest),
        #[cfg(feature = "planted")]
        ["planted", rest @ ..] => planted(rest),
        _ => None,
    };
    outcome.unwrap_or_else(|| {
        let _ = writeln!(io::stderr(), "{USAGE}");
        ExitCode::from(2)
    })
}

fn one(seed: &str, rest: &[&str]) -> Option<ExitCode> {
    let seed = seed.parse().ok()?;
    let readable: Option<Box<dyn Write>> = match rest {
        [] => None,
        ["--trace"] => Some(Box::new(io::BufWriter::new(io::stdout()))),
        _ => return None,
    };
    let mut out = io::stdout();
    let _ = writeln!(out, "{}", Plan::draw(seed));
    let began = Instant::now();
    Some(match attempt(seed, readable) {
        Ok(run) => {
            let took = began.elapsed().as_millis();
            let _ = writeln!(out, "{}", run.figures);
            let _ = writeln!(out, "trace hash {:032x}, {took} ms", run.trace_hash);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let _ = writeln!(out, "seed {} fails: {}", failure.seed, failure.message);
            ExitCode::FAILURE
        }
    })
}

fn many(rest: &[&str]) -> Option<ExitCode> {
    let (mut minutes, mut seeds, mut from, mut threads) = (None, None, 1, 2);
    for pair in rest.chunks(2) {
        let [name, value] = pair else { return None };
        let value: u64 = value.parse().ok()?;
        match *name {
            "--minutes" => minutes = Some(value),
            "--seeds" => seeds = Some(value),
            "--from" => from = value,
            "--threads" => threads = value as usize,
            _ => return None,
        }
    }
    let until = minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    let last = seeds.map(|seeds| from + seeds);
    if until.is_none() && last.is_none() {
        return None;
    }
    let began = Instant::now();
    let Campaign { figures, failures } = campaign(
        from,
        threads,
        |seed| {
            until.is_some_and(|until| Instant::now() >= until)
                || last.is_some_and(|last| seed >= last)
        },
        |failure| {
            let _ = writeln!(io::stdout(), "seed {} fails: {}", failure.seed, failure.message);
        },
    );
    let mut out = io::stdout();
    let _ = writeln!(out, "commit {}, from seed {from}, {} s", commit(), began.elapsed().as_secs());
    let _ = writeln!(out, "{figures}");
    let _ = writeln!(out, "{} seeds fail", failures.len());
    Some(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The table of planted bugs: how many seeds each takes to be found, and what the first says.
#[cfg(feature = "planted")]
fn planted(rest: &[&str]) -> Option<ExitCode> {
    use kvorum_core::planted::Bug;
    let (mut seeds, mut only) = (1000, None);
    for pair in rest.chunks(2) {
        match pair {
            ["--seeds", number] => seeds = number.parse().ok()?,
            ["--bug", name] => only = Some((*name).to_owned()),
            _ => return None,
        }
    }
    let mut missed = 0;
    let wanted = |bug: &Bug| only.as_ref().is_none_or(|only| *only == format!("{bug:?}"));
    for bug in Bug::ALL.into_iter().filter(wanted) {
        let began = Instant::now();
        let found = kvorum_tests::sim::planted::hunt(bug, 1, seeds, 2);
        let took = began.elapsed().as_secs();
        let _ = match found {
            Some(found) => {
                let message: String = found.failure.message.chars().take(120).collect();
                let message = message.replace('\n', " ");
                writeln!(io::stdout(), "| {bug:?} | {} | {took} s | {message} |", found.seeds)
            }
            None => {
                missed += 1;
                writeln!(io::stdout(), "| {bug:?} | not in {seeds} | {took} s | |")
            }
        };
    }
    Some(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn commit() -> String {
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let text = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let text = text.and_then(|text| String::from_utf8(text).ok());
    text.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}
