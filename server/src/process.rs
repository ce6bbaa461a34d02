//! The server as a process: `kvorum server …`, and the name `etcd`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{self, Config, ConfigError, Parsed};
use crate::limits::OPEN_FILES_WANTED;
use crate::logging;
use crate::runtime::{Member, Reason, Stopper};
use crate::version::version_text;

/// Runs a member until it is interrupted. `args` are those after the program's name and
/// subcommand, `program` is how it was called, for the help.
pub fn server_main(args: Vec<OsString>, program: &str) -> ExitCode {
    let parsed = words(args).and_then(|args| config::parse(&args, &environment()));
    match parsed {
        Ok(Parsed::Help) => say(&mut io::stdout(), &config::help(program)),
        Ok(Parsed::Version) => say(&mut io::stdout(), &version_text()),
        Ok(Parsed::Run(config)) => run(&config),
        Err(error) => {
            complain(&error.to_string(), error.hint());
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(config: &Config) -> ExitCode {
    logging::install(config.log, io::stderr());
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    raise_open_files();
    let member = match Member::start(config) {
        Ok(member) => member,
        Err(error) => {
            complain(&error.to_string(), error.hint());
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = stop_on_signal(member.stopper()) {
        complain(&format!("cannot listen for signals: {error}"), None);
        return ExitCode::FAILURE;
    }
    member.wait();
    match member.stop() {
        Reason::Asked => {
            tracing::info!("the member has stopped");
            ExitCode::SUCCESS
        }
        Reason::Fault(reason) => {
            complain(&reason, None);
            ExitCode::FAILURE
        }
    }
}

/// The usual limit of open files is for programs with few; what a process may raise it to itself
/// is mostly far more. With a low limit a member serves fewer connections.
fn raise_open_files() {
    let limits = getrlimit(Resource::Nofile);
    let wanted = limits.maximum.map_or(OPEN_FILES_WANTED, |most| most.min(OPEN_FILES_WANTED));
    if limits.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised = Rlimit { current: Some(wanted), maximum: limits.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(error = %error, wanted, "cannot raise the limit of open files");
    }
}

/// An interrupt stops the member in an orderly way; a second one ends the process at once.
fn stop_on_signal(stopper: Stopper) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _context = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let wait = async move {
        for asked_before in [false, true] {
            let name = tokio::select! {
                _ = interrupt.recv() => "interrupt",
                _ = terminate.recv() => "terminated",
            };
            tracing::info!(signal = name, "received signal; shutting down");
            if asked_before {
                std::process::exit(130);
            }
            stopper.stop();
        }
    };
    std::thread::Builder::new()
        .name("kvorum-signal".to_owned())
        .spawn(move || runtime.block_on(wait))
        .map(drop)
}

fn words(args: Vec<OsString>) -> Result<Vec<String>, ConfigError> {
    args.into_iter()
        .map(|arg| {
            arg.into_string().map_err(|arg| {
                ConfigError::Invalid(format!("{} is not UTF-8", arg.to_string_lossy()))
            })
        })
        .collect()
}

/// Variables that are no text cannot be ours.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The log may be JSON, or off; a person gets the sentence in any case.
fn complain(reason: &str, hint: Option<String>) {
    let hint = hint.map_or_else(String::new, |hint| format!("hint: {hint}\n"));
    say(&mut io::stderr(), &format!("error: {reason}\n{hint}"));
}

/// Nobody may be listening, which is no reason to fail.
fn say(to: &mut impl Write, text: &str) -> ExitCode {
    let _ = to.write_all(text.as_bytes());
    let _ = to.flush();
    ExitCode::SUCCESS
}
