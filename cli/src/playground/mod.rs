//! `kvorum playground`: three real members on this machine, with a small data set, to try things
//! on.

mod cluster;
mod demo;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use kvorum_client::{Config, Connection, Endpoint, Failure, Patience};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::Preferences;
use crate::mode::Mode;
use crate::run::{self, Streams};
use crate::settings::Settings;
use crate::signals::Ended;
use crate::{dashboard, exit, repl, terminal};
use cluster::Playground;
use demo::Demo;

#[derive(Debug, Clone, Args)]
pub struct PlaygroundArgs {
    /// Open the shell in place of the dashboard
    #[arg(long)]
    pub repl: bool,

    /// Keep the data in this folder
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Time for three members to elect a leader and take the data set.
const FILL_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the playground until the dashboard or the shell is left, or it is interrupted.
pub fn main(args: &PlaygroundArgs, preferences: &Preferences) -> ExitCode {
    match play(args, preferences) {
        Ok(code) => code,
        Err(error) => Streams::standard().exit("", &format!("error: {error:#}\n"), exit::ERROR),
    }
}

fn play(args: &PlaygroundArgs, preferences: &Preferences) -> anyhow::Result<ExitCode> {
    // Removed with everything in it when the playground ends.
    let temporary;
    let dir = if let Some(dir) = &args.data_dir {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        dir.as_path()
    } else {
        temporary = tempfile::Builder::new().prefix("kvorum-playground-").tempdir()?;
        temporary.path()
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    // A signal must not leave a temporary folder behind, so they are caught before anything starts.
    let signals = runtime.block_on(async { Signals::new() })?;
    let playground = Playground::start(dir)?;
    let code = runtime.block_on(visit(args, preferences, &playground, signals));
    // The line editor's thread may still wait for a key.
    runtime.shutdown_background();
    playground.stop();
    code
}

struct Signals {
    ended: Ended,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { ended: Ended::new()?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            () = self.ended.wait() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn visit(
    args: &PlaygroundArgs,
    preferences: &Preferences,
    playground: &Playground,
    mut signals: Signals,
) -> anyhow::Result<ExitCode> {
    let endpoints = Endpoint::parse_list(&playground.endpoints().join(","))?;
    let config = Config::new(endpoints);
    let patient = Config {
        patience: Patience::UntilTimeout,
        command_timeout: FILL_TIMEOUT,
        ..config.clone()
    };
    let connection = Connection::new(patient)?;
    let demo = tokio::select! {
        filled = fill(&connection, playground.is_new()) => filled,
        () = signals.wait() => return Ok(ExitCode::SUCCESS),
    };
    let _demo = demo.context("the members are up, but do not take the data set")?;
    if !terminal::stdin_is_terminal() || !terminal::stdout_is_terminal() {
        announce(playground)?;
        signals.wait().await;
        return Ok(ExitCode::SUCCESS);
    }
    let mut settings = Settings::of(config, preferences);
    if args.repl {
        settings.style = run::fit(settings.style, settings.manner.color, Mode::Kvorum);
        return Ok(repl::run(settings).await);
    }
    dashboard::run(settings.client, &settings.manner).await?;
    Ok(ExitCode::SUCCESS)
}

async fn fill(connection: &Connection, is_new: bool) -> Result<Demo, Failure> {
    if is_new {
        Demo::configure(connection).await?;
    }
    Demo::start(connection).await
}

/// Says where the members are, for a script to read, and to a person what to type next.
fn announce(playground: &Playground) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    let endpoints = playground.endpoints().join(",");
    writeln!(out, "{endpoints}")?;
    writeln!(
        std::io::stderr(),
        "to use them: kvorum ctx add play --endpoints {endpoints} && kvorum ctx use play"
    )?;
    out.flush()
}
