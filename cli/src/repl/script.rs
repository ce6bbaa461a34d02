//! A pipe on standard input: its lines are carried out one after the other, up to the first that
//! fails.

use std::io::{self, BufWriter};

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin, stdin};
use tokio::sync::{mpsc, oneshot};

use super::line::{ShellLine, Verb};
use super::words::Words;
use super::{connect, listing};
use crate::args::{Command, UsageError, WatchVariables, bytes_of};
use crate::command::{self, CommandError, Confirm, Input, Session};
use crate::mode::Mode;
use crate::settings::Settings;
use crate::{exit, terminal};

/// Runs the script; the exit code is that of the line that failed.
pub(super) async fn run(settings: Settings) -> Result<u8, CommandError> {
    let mut style = settings.style;
    style.escaped = terminal::stdout_is_terminal();
    let mut session = Session {
        mode: Mode::Kvorum,
        connection: connect(&settings).await?,
        style,
        out: Box::new(BufWriter::new(io::stdout())),
        err: Box::new(io::stderr()),
        input: Input::Nothing,
        confirm: Confirm::Require,
        watch_variables: WatchVariables::default(),
    };
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(text) = lines.next_line().await? {
        let words = Words::split(&text).into_arguments();
        if words.is_empty() || text.trim_start().starts_with('#') {
            continue;
        }
        let line = ShellLine::parse(words).map_err(|error| CommandError::Other {
            code: exit::ERROR,
            message: error.render().to_string().trim_start_matches("error: ").trim_end().to_owned(),
        })?;
        session.style = line.style(style).map_err(UsageError::arguments)?;
        match line.verb {
            Verb::Exit => break,
            Verb::Ls { prefix } => {
                let listed = listing::list(&session.connection, &bytes_of(&prefix)).await?;
                session.out.write_all(listed.as_bytes())?;
                session.out.flush()?;
            }
            Verb::Jobs | Verb::Kill { .. } | Verb::Ui => {
                return Err(UsageError::arguments("this needs a terminal").into());
            }
            Verb::Cluster(command) => carry_out(&command, &mut session, &mut lines).await?,
        }
    }
    Ok(0)
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
