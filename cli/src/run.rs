//! One command line, from its parsed form to its exit code.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use kvorum_client::{Connection, MAX_NOTED, Rpc};
use tokio::sync::mpsc;

use crate::args::{Alone, Command, FileLine, Global, Own, Preferences, UsageError, WatchVariables};
use crate::command::{self, CommandError, Confirm, Effect, Input, Printout, Session, files};
use crate::manner::Color;
use crate::mode::Mode;
use crate::output::{Format, Paint, Style, Tone, escape_message, wrap};
use crate::pager::Pager;
use crate::plain::plain;
use crate::settings::{self, Field, Settings};
use crate::{completion, exit, kvorum, secret, terminal, usage};

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

    /// From here on, long output goes through a pager, if there is one.
    fn page(&mut self) {
        if let Some((pager, remarks)) = Pager::of(&|name| std::env::var(name).ok()) {
            self.out = Box::new(pager);
            self.err = Box::new(remarks);
        }
    }

    /// Says what there is to say and ends. Whether anybody reads it makes no difference, as with
    /// etcdctl.
    pub fn exit(&mut self, out: &str, err: &str, code: u8) -> ExitCode {
        let _ = self.err.write_all(err.as_bytes());
        let _ = self.out.write_all(out.as_bytes()).and_then(|()| self.out.flush());
        ExitCode::from(code)
    }

    /// Says what was asked for and ends: with an error if it cannot be written. A reader that went
    /// away is none.
    pub fn answer(&mut self, text: &str, mode: Mode) -> ExitCode {
        if mode == Mode::Etcdctl {
            return self.exit(text, "", 0);
        }
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        match written.map_err(CommandError::from) {
            Err(error) if !error.is_broken_pipe() => {
                self.exit("", &explain(&error, mode, Color::Never), error.code())
            }
            _ => ExitCode::SUCCESS,
        }
    }
}

/// A command line, as far as every command is concerned.
#[derive(Clone, Copy)]
pub struct Invocation<'a> {
    pub global: &'a Global,
    pub preferences: &'a Preferences,
    pub mode: Mode,
    /// What was typed, where it has a help that can be named; else nothing.
    pub typed: &'a [OsString],
}

/// What a command line asks for.
#[derive(Clone, Copy)]
pub enum Task<'a> {
    Cluster(&'a Command),
    Own(&'a Own),
    /// It asks no cluster.
    Alone(&'a Alone),
}

impl Task<'_> {
    /// Whether the arguments make sense, without doing anything.
    pub fn check(self) -> Result<(), UsageError> {
        match self {
            Self::Cluster(command) => command.check(),
            Self::Own(own) => own.check(),
            Self::Alone(alone) => alone.check(),
        }
    }

    fn effect(self) -> Effect {
        match self {
            Self::Cluster(command) => command::effect(command),
            Self::Own(own) => command::own::effect(own),
            Self::Alone(_) => Effect::Reads,
        }
    }

    /// Whether its output is something to be read, by a person at a terminal.
    fn is_paged(self, settings: &Settings) -> bool {
        let read = match self {
            Self::Cluster(command) => matches!(
                command,
                Command::Get(_)
                    | Command::Member(_)
                    | Command::Endpoint(_)
                    | Command::User(_)
                    | Command::Role(_)
            ),
            Self::Own(own) => own.is_paged(),
            Self::Alone(_) => false,
        };
        read && settings.manner.pager
            && settings.style.escaped
            && self.effect() == Effect::Reads
            && terminal::stdin_is_terminal()
    }

    /// Carries it out, if it may be.
    pub async fn execute(self, session: &mut Session) -> Result<(), CommandError> {
        command::admit(self.effect(), session).await?;
        match self {
            Self::Cluster(command) => command::execute(command, session).await,
            Self::Own(own) => command::own::execute(own, session).await,
            // Who has a session asks a cluster; see [`command`].
            Self::Alone(_) => Ok(()),
        }
    }
}

/// Runs one command of a command line.
pub fn command(invocation: Invocation<'_>, task: Task<'_>, mut streams: Streams) -> ExitCode {
    let mode = invocation.mode;
    match task {
        Task::Cluster(Command::Version) => {
            return streams.answer(&format!("{}\n", command::version_text(mode)), mode);
        }
        Task::Cluster(Command::Options { .. }) => {
            return streams.answer(&usage::options(mode), mode);
        }
        _ => {}
    }
    if let Task::Cluster(Command::Completion(args)) = task {
        let script = command::shell(args, mode).map(|shell| completion::script(shell, mode));
        let outcome = script.and_then(|script| {
            streams.out.write_all(&script)?;
            Ok(streams.out.flush()?)
        });
        return end(outcome, &invocation, &mut streams);
    }
    let outcome = task.check().map_err(CommandError::from).and_then(|()| match task {
        Task::Alone(alone) => self::alone(alone, &invocation, &mut streams),
        _ => with_cluster(&invocation, task, &mut streams),
    });
    end(outcome, &invocation, &mut streams)
}

/// Runs one of etcdutl's commands, which asks no server.
pub fn files(line: &FileLine, mode: Mode, mut streams: Streams) -> ExitCode {
    let (global, preferences) = (Global::default(), Preferences::default());
    let invocation = Invocation { global: &global, preferences: &preferences, mode, typed: &[] };
    let format = line.write_out.as_deref().map_or(Ok(Format::Simple), Format::parse);
    let outcome = match (&line.command, format) {
        (Some(command), format) => {
            command.check().and(format).map_err(Into::into).and_then(|format| {
                let style = Style { format, ..Style::default() };
                let Streams { out, err } = &mut streams;
                files::execute(command, &mut Printout { mode, style, out, err })
            })
        }
        (None, _) => Ok(()),
    };
    end(outcome, &invocation, &mut streams)
}

fn end(
    outcome: Result<(), CommandError>,
    invocation: &Invocation<'_>,
    streams: &mut Streams,
) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            let code = exit::code(&error, invocation.preferences.exit_status);
            let color = Color::here(invocation.preferences);
            let mut text = explain(&error, invocation.mode, color);
            if matches!(error, CommandError::Usage(_)) && !invocation.typed.is_empty() {
                let verb = kvorum::words(invocation.typed);
                let hint = format!("hint: kvorum {verb} --help says what it takes");
                let _ = writeln!(text, "{}", said(&hint, color));
            }
            let text = if code == exit::SIGINT { below_ctrl_c(&text) } else { text };
            streams.exit("", &text, code)
        }
    }
}

fn alone(
    alone: &Alone,
    invocation: &Invocation<'_>,
    streams: &mut Streams,
) -> Result<(), CommandError> {
    let read = alone.is_paged() && !invocation.preferences.no_pager;
    if read && terminal::stdin_is_terminal() && terminal::stdout_is_terminal() {
        streams.page();
    }
    let outcome = command::own::alone(alone, invocation, streams);
    // Whoever is in the pager leaves it before anything else is said.
    streams.out = Box::new(io::sink());
    outcome
}

fn with_cluster(
    invocation: &Invocation<'_>,
    task: Task<'_>,
    streams: &mut Streams,
) -> Result<(), CommandError> {
    let settings = settings(invocation)?;
    if settings.debug {
        for Field { name, value, .. } in &settings.fields {
            let name = name.to_uppercase().replace('-', "_");
            let _ = writeln!(streams.err, "ETCDCTL_{name}={value}");
        }
    }
    carry_out(task, settings, invocation.mode, streams)
}

/// Says why nothing came of it, and ends.
pub fn refuse(
    error: &CommandError,
    invocation: &Invocation<'_>,
    streams: &mut Streams,
) -> ExitCode {
    let color = Color::here(invocation.preferences);
    streams.exit("", &explain(error, invocation.mode, color), error.code())
}

/// A text for standard error that does not stand behind the `^C` which a terminal shows.
pub fn below_ctrl_c(text: &str) -> String {
    let begins_line = text.is_empty() || !terminal::stderr_is_terminal();
    if begins_line { text.to_owned() } else { format!("\n{text}") }
}

/// An error as it is shown: `Error: …` as etcdctl, else `error: …` and what to do.
pub fn explain(error: &CommandError, mode: Mode, color: Color) -> String {
    if let CommandError::Silent { .. } = error {
        return String::new();
    }
    if mode == Mode::Etcdctl {
        return format!("Error: {}\n", error.etcdctl_text());
    }
    let text = plain(&error.to_string());
    let error_line = said(&format!("error: {}", escape_message(&text)), color);
    match error.hint() {
        Some(hint) => {
            let hint = said(&format!("hint: {}", escape_message(&hint)), color);
            format!("{error_line}\n{hint}\n")
        }
        None => format!("{error_line}\n"),
    }
}

/// A line for standard error. One that begins with `error:`, `warning:` or `hint:` has this word in
/// its colour and is broken below it, on a terminal.
pub fn said(line: &str, color: Color) -> String {
    let seen = terminal::stderr_is_terminal();
    let columns = seen.then(terminal::columns).flatten();
    for (word, tone) in
        [("error: ", Tone::Fault), ("warning: ", Tone::Warning), ("hint: ", Tone::Note)]
    {
        if let Some(text) = line.strip_prefix(word) {
            let word_shown = color.paint(seen).of(tone, word.trim_end());
            return format!("{word_shown} {}", wrap(text, word.len(), columns));
        }
    }
    line.to_owned()
}

/// A style as the terminal wants it, if there is one. A terminal is a person's; as etcdctl, bytes
/// stay exact even there.
pub fn fit(style: Style, color: Color, mode: Mode) -> Style {
    if mode == Mode::Etcdctl {
        return Style { escaped: false, columns: None, paint: Paint::default(), ..style };
    }
    let escaped = terminal::stdout_is_terminal();
    let columns = escaped.then(terminal::columns).flatten();
    Style { escaped, columns, paint: color.paint(escaped), ..style }
}

/// The global flags, the variables and the context, with the password if one has to be found.
pub fn settings(invocation: &Invocation<'_>) -> Result<Settings, CommandError> {
    let Invocation { global, preferences, mode, .. } = *invocation;
    let variables = |name: &str| std::env::var_os(name);
    let mut settings = Settings::resolve(global, preferences, mode, &variables)?;
    if let Some(wanted) = settings.password_wanted.take() {
        let password = secret::password(&wanted, mode)?;
        settings.client.credentials = settings::usable(wanted.user, password, mode);
    }
    if let Some(discovery) = settings.discovery.take() {
        let found = runtime()?.block_on(discovery.look_up())?;
        for ignored in found.ignored {
            writeln!(io::stderr(), "ignoring discovered insecure endpoint {:?}", ignored.as_str())?;
        }
        if !found.endpoints.is_empty() {
            settings.client.endpoints = found.endpoints;
        }
    }
    settings.style = fit(settings.style, settings.manner.color, mode);
    Ok(settings)
}

fn carry_out(
    task: Task<'_>,
    mut settings: Settings,
    mode: Mode,
    streams: &mut Streams,
) -> Result<(), CommandError> {
    let (sender, mut notes) = mpsc::channel(MAX_NOTED);
    settings.client.notes = settings.manner.verbose.then_some(sender);
    let paged = task.is_paged(&settings);
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let connection = Connection::new(settings.client).map_err(|failure| {
            CommandError::Failure { failure, code: exit::BAD_ARGUMENTS, context: None }
        })?;
        if paged {
            streams.page();
        }
        let mut session = Session {
            mode,
            connection,
            style: settings.style,
            manner: settings.manner,
            out: std::mem::replace(&mut streams.out, Box::new(io::sink())),
            err: std::mem::replace(&mut streams.err, Box::new(io::sink())),
            input: Input::standard(),
            confirm: match mode {
                Mode::Etcdctl => Confirm::Etcdctl,
                Mode::Kvorum if terminal::stdin_is_terminal() => Confirm::Ask,
                Mode::Kvorum => Confirm::Require,
            },
            unfinished: std::sync::Arc::default(),
            watch_variables: WatchVariables {
                key: std::env::var_os("ETCDCTL_WATCH_KEY").unwrap_or_default(),
                range_end: std::env::var_os("ETCDCTL_WATCH_RANGE_END").unwrap_or_default(),
            },
            places: settings.places,
        };
        let outcome = task.execute(&mut session).await;
        streams.err = session.err;
        outcome
    });
    while let Ok(rpc) = notes.try_recv() {
        let Rpc { method, endpoint, took, trouble } = rpc;
        let trouble = trouble.map(|why| format!(": {why}")).unwrap_or_default();
        let _ = writeln!(streams.err, "rpc {method} {endpoint} {took:.1?}{trouble}");
    }
    // A thread that still waits for standard input must not hold up the exit.
    runtime.shutdown_background();
    outcome
}

/// One request and its answer need no second thread.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
