//! One command line, from its parsed form to its exit code.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use kvorum_client::{Connection, Credentials};

use crate::args::{Command, Global, WatchVariables};
use crate::command::{self, CommandError, Confirm, Input, Session};
use crate::mode::Mode;
use crate::settings::Settings;
use crate::{exit, terminal};

/// Where output goes.
pub struct Streams {
    pub out: Box<dyn Write + Send>,
    pub err: Box<dyn Write + Send>,
}

impl Streams {
    pub fn standard() -> Self {
        // Commands flush when they have said something; in between, lines are gathered.
        Self { out: Box::new(BufWriter::new(io::stdout())), err: Box::new(io::stderr()) }
    }

    /// Says what there is to say and ends. A reader that went away is no error.
    pub fn exit(&mut self, out: &str, err: &str, code: u8) -> ExitCode {
        let _ = self.err.write_all(err.as_bytes());
        let _ = self.out.write_all(out.as_bytes()).and_then(|()| self.out.flush());
        ExitCode::from(code)
    }
}

/// Runs one command of a command line.
pub fn command(global: &Global, command: &Command, mode: Mode, mut streams: Streams) -> ExitCode {
    if let Command::Version = command {
        return streams.exit(&format!("{}\n", command::version_text(mode)), "", 0);
    }
    let prepared =
        command.check().map_err(CommandError::from).and_then(|()| settings(global, mode));
    let outcome = prepared.and_then(|settings| {
        if let Some(report) = &settings.report {
            let _ = writeln!(streams.err, "{}", report.join("\n"));
        }
        carry_out(command, settings, mode, &mut streams)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => refuse(&error, mode, &mut streams),
    }
}

/// Says why nothing came of it, and ends.
pub fn refuse(error: &CommandError, mode: Mode, streams: &mut Streams) -> ExitCode {
    streams.exit("", &explain(error, mode), error.code())
}

/// An error as it is shown: `Error: …` as etcdctl, else `error: …` and what to do.
pub fn explain(error: &CommandError, mode: Mode) -> String {
    if let CommandError::Silent { .. } = error {
        return String::new();
    }
    match (mode, error.hint()) {
        (Mode::Etcdctl, _) => format!("Error: {}\n", error.etcdctl_text()),
        (Mode::Kvorum, None) => format!("error: {error}\n"),
        (Mode::Kvorum, Some(hint)) => format!("error: {error}\nhint: {hint}\n"),
    }
}

/// The global flags and the variables, with the password if one has to be asked for.
pub fn settings(global: &Global, mode: Mode) -> Result<Settings, CommandError> {
    let mut settings = Settings::resolve(global, mode, &|name| std::env::var_os(name))?;
    if let Some(user) = settings.password_wanted_for.take() {
        let password = terminal::ask_password(&user)?;
        settings.client.credentials = Some(Credentials { user, password });
    }
    // A terminal is a person's; as etcdctl, bytes stay exact even there.
    settings.style.escaped = mode == Mode::Kvorum && terminal::stdout_is_terminal();
    Ok(settings)
}

fn carry_out(
    command: &Command,
    settings: Settings,
    mode: Mode,
    streams: &mut Streams,
) -> Result<(), CommandError> {
    // One request and its answer need no second thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let connection = Connection::new(settings.client).map_err(|failure| {
            CommandError::Failure { failure, code: exit::BAD_ARGUMENTS, context: None }
        })?;
        let mut session = Session {
            mode,
            connection,
            style: settings.style,
            out: std::mem::replace(&mut streams.out, Box::new(io::sink())),
            err: std::mem::replace(&mut streams.err, Box::new(io::sink())),
            input: Input::standard(),
            confirm: match mode {
                Mode::Etcdctl => Confirm::Etcdctl,
                Mode::Kvorum if terminal::stdin_is_terminal() => Confirm::Ask,
                Mode::Kvorum => Confirm::Require,
            },
            watch_variables: WatchVariables {
                key: std::env::var_os("ETCDCTL_WATCH_KEY").unwrap_or_default(),
                range_end: std::env::var_os("ETCDCTL_WATCH_RANGE_END").unwrap_or_default(),
            },
        };
        let outcome = command::execute(command, &mut session).await;
        streams.err = session.err;
        outcome
    });
    // A thread that still waits for standard input must not hold up the exit.
    runtime.shutdown_background();
    outcome
}
