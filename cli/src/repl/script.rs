//! A pipe on standard input: its lines are carried out one after the other, up to the first that
//! fails.

use std::ffi::OsString;
use std::io::{self, BufWriter};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::error::ErrorKind;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin, stdin};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::connect;
use super::line::{ShellLine, Verb};
use super::words::Words;
use crate::args::{Command, UsageError, WatchVariables};
use crate::command::{self, CommandError, Confirm, Input, Session};
use crate::exit;
use crate::mode::Mode;
use crate::run::{Invocation, Streams, Task};
use crate::settings::Settings;
use crate::signals::Interrupted;

/// Runs the script; the exit code is that of the line that failed.
pub(super) async fn run(settings: Settings) -> Result<u8, CommandError> {
    let connection = connect(&settings).await?;
    let Settings { style, manner, places, .. } = settings;
    let mut session = Session {
        mode: Mode::Kvorum,
        connection,
        style: style.clone(),
        manner: manner.clone(),
        out: Box::new(BufWriter::new(io::stdout())),
        err: Box::new(io::stderr()),
        input: Input::Nothing,
        confirm: Confirm::Require,
        watch_variables: WatchVariables::default(),
        unfinished: std::sync::Arc::default(),
        places,
    };
    let mut lines = BufReader::new(stdin()).lines();
    // A command that hears signals takes them from the whole process, for good.
    let mut interrupted = Interrupted::new()?;
    let unfinished = session.unfinished.clone();
    let never = AtomicBool::new(false);
    loop {
        let words = next_words(&mut lines);
        let Some(words) = heeding(words, &mut interrupted, &never).await? else { break };
        if words.is_empty() {
            continue;
        }
        let line = match ShellLine::parse(words) {
            Err(help) if help.kind() == ErrorKind::DisplayHelp => {
                session.out.write_all(help.render().to_string().as_bytes())?;
                session.out.flush()?;
                continue;
            }
            parsed => parsed.map_err(|error| misunderstood(&error))?,
        };
        session.style = line.style(&style).map_err(UsageError::arguments)?;
        session.manner = line.manner(&manner);
        match line.verb {
            Verb::Exit => break,
            Verb::Jobs | Verb::Kill { .. } | Verb::Ui => {
                return Err(UsageError::arguments("this needs a terminal").into());
            }
            Verb::Cluster(command) => {
                let work = carry_out(&command, &mut session, &mut lines);
                heeding(work, &mut interrupted, &unfinished).await?;
            }
            Verb::Alone(alone) => {
                alone.check()?;
                let (global, preferences) = (&line.global, &line.preferences);
                let invocation = Invocation { global, preferences, mode: Mode::Kvorum, typed: &[] };
                command::own::alone(&alone, &invocation, &mut Streams::standard())?;
            }
            Verb::Own(own) => {
                own.check()?;
                let work = Task::Own(&own).execute(&mut session);
                heeding(work, &mut interrupted, &unfinished).await?;
            }
        }
    }
    Ok(0)
}

/// A command that hears the signal too ends within a moment.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Does something unless a signal asks the script to end. What is unfinished sees to that itself.
async fn heeding<T>(
    work: impl Future<Output = Result<T, CommandError>>,
    interrupted: &mut Interrupted,
    unfinished: &AtomicBool,
) -> Result<T, CommandError> {
    let mut work = Box::pin(work);
    loop {
        tokio::select! {
            outcome = &mut work => return outcome,
            () = interrupted.wait() => {
                if unfinished.load(Ordering::Relaxed) {
                    continue;
                }
                let ended = timeout(LAST_WORDS, &mut work).await;
                return ended.unwrap_or(Err(CommandError::Silent { code: exit::SIGINT }));
            }
        }
    }
}

/// The words of the next line, none for a remark. A line goes on until its quotes are closed.
async fn next_words(
    lines: &mut Lines<BufReader<Stdin>>,
) -> Result<Option<Vec<OsString>>, CommandError> {
    let Some(mut text) = lines.next_line().await? else { return Ok(None) };
    if text.trim_start().starts_with('#') {
        return Ok(Some(Vec::new()));
    }
    loop {
        let words = Words::split(&text);
        let Some(quote) = words.open_quote else { return Ok(Some(words.into_arguments())) };
        let Some(more) = lines.next_line().await? else {
            let message =
                format!("the script ends within a quote: {quote} is opened and not closed");
            return Err(CommandError::Other { code: exit::INVALID_INPUT, message });
        };
        text.push('\n');
        text.push_str(&more);
    }
}

fn misunderstood(error: &clap::Error) -> CommandError {
    let text = error.render().to_string();
    let message = text.trim_start_matches("error: ").trim_end().to_owned();
    CommandError::Other { code: exit::ERROR, message }
}

/// Carries one command out; lines it asks for are the script's next ones.
async fn carry_out(
    command: &Command,
    session: &mut Session,
    lines: &mut Lines<BufReader<Stdin>>,
) -> Result<(), CommandError> {
    command.check()?;
    let (asking, mut asked) = mpsc::channel::<oneshot::Sender<Vec<u8>>>(1);
    session.input = Input::Asked(asking);
    let mut work = Box::pin(command::execute(command, session));
    loop {
        tokio::select! {
            outcome = &mut work => return outcome,
            Some(answer) = asked.recv() => {
                if let Some(line) = lines.next_line().await? {
                    // The command may have given up on the line.
                    let _ = answer.send(line.into_bytes());
                }
            }
        }
    }
}
