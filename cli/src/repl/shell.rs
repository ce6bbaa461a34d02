//! The shell on a terminal: read a line, carry it out, read the next.

use std::io::{self, BufWriter};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::cache::KeyCache;
use super::editor::{Editor, Typed};
use super::jobs::Jobs;
use super::line::{ALIASES, ShellLine, Verb};
use super::screen::Screen;
use super::words::Words;
use super::{connect, greeting, history, listing, monitor, watching};
use crate::args::{Command, WatchArgs, WatchVariables, bytes_of};
use crate::command::{self, CommandError, Confirm, Input, Session};
use crate::mode::Mode;
use crate::output::Style;
use crate::settings::Settings;

/// Runs the shell until it is left. The error is that of connecting.
pub(super) async fn run(settings: Settings) -> Result<u8, CommandError> {
    let connection = connect(&settings).await?;
    let (text, cluster_id) = greeting(&connection).await?;
    let history = history::file(cluster_id).filter(|path| history::prepare(path).is_ok());
    let keys = KeyCache::start(connection.clone());
    let (editor, above) = Editor::start(ShellLine::grammar(), ALIASES, keys, history)
        .map_err(|error| io::Error::other(format!("the line editor does not start: {error}")))?;
    let screen = Screen::start(above)?;
    let monitor = tokio::spawn(monitor::run(connection.clone(), screen.clone()));
    let mut shell = Shell {
        session: Session {
            mode: Mode::Kvorum,
            connection,
            style: Style { escaped: true, ..settings.style },
            out: Box::new(BufWriter::new(io::stdout())),
            err: Box::new(io::stderr()),
            input: Input::Nothing,
            confirm: Confirm::Ask,
            watch_variables: WatchVariables::default(),
        },
        editor,
        screen,
        jobs: Jobs::default(),
        _monitor: AbortOnDrop(monitor),
    };
    shell.say(&format!("{text}\n"));
    shell.lines().await;
    Ok(0)
}

struct Shell {
    session: Session,
    editor: Editor,
    screen: Screen,
    jobs: Jobs,
    _monitor: AbortOnDrop,
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Whether the shell goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Prompt,
    Leave,
}

impl Shell {
    async fn lines(&mut self) {
        loop {
            let prompt = format!("{}> ", self.session.connection.current_endpoint());
            match self.editor.line(&prompt).await {
                Typed::Line(line) => {
                    if self.line(&line).await == Next::Leave {
                        return;
                    }
                }
                Typed::Interrupted => {}
                Typed::End => return,
            }
        }
    }

    async fn line(&mut self, text: &str) -> Next {
        let words = Words::split(text).into_arguments();
        if words.is_empty() {
            return Next::Prompt;
        }
        let line = match ShellLine::parse(words) {
            Ok(line) => line,
            Err(error) => {
                self.say(&error.render().to_string());
                return Next::Prompt;
            }
        };
        let shell_style = self.session.style;
        match line.style(shell_style) {
            Ok(style) => self.session.style = style,
            Err(message) => {
                self.complain(&message);
                return Next::Prompt;
            }
        }
        let next = self.verb(text, line.verb).await;
        self.session.style = shell_style;
        next
    }

    async fn verb(&mut self, text: &str, verb: Verb) -> Next {
        match verb {
            Verb::Exit => return Next::Leave,
            Verb::Jobs => {
                let lines = self.jobs.list().into_iter();
                let lines: String = lines.map(|(number, line)| format!("[{number}] {line}\n")).collect();
                self.say(&lines);
            }
            Verb::Kill { number } => {
                if !self.jobs.kill(number) {
                    self.complain(&format!("there is no job {number}; jobs lists them"));
                }
            }
            Verb::Ls { prefix } => self.ls(&bytes_of(&prefix)).await,
            Verb::Ui => self.ui().await,
            // A watch that reads more lines, or runs a command for each event, needs the terminal.
            Verb::Cluster(Command::Watch(args)) if !args.interactive && args.exec.is_none() => {
                self.watch(text, &args).await;
            }
            Verb::Cluster(command) => self.foreground(&command).await,
        }
        Next::Prompt
    }

    /// Carries a command out while Ctrl-C can cancel it; lines it asks for are read by the editor.
    async fn foreground(&mut self, command: &Command) {
        if let Err(error) = command.check() {
            return self.report(&error.into());
        }
        let (asking, mut asked) = mpsc::channel::<oneshot::Sender<Vec<u8>>>(1);
        self.session.input = Input::Asked(asking);
        let mut work = Box::pin(command::execute(command, &mut self.session));
        let outcome = loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                Some(answer) = asked.recv() => match self.editor.line("… ").await {
                    // The command may have given up on the line.
                    Typed::Line(line) => _ = answer.send(line.into_bytes()),
                    Typed::Interrupted => break Ok(()),
                    Typed::End => drop(answer),
                },
                _ = tokio::signal::ctrl_c() => break Ok(()),
            }
        };
        drop(work);
        self.session.input = Input::Nothing;
        if let Err(error) = outcome {
            self.report(&error);
        }
    }

    async fn watch(&mut self, text: &str, args: &WatchArgs) {
        let Some(number) = self.jobs.next() else {
            return self.complain("too many watches run already; kill one");
        };
        let plan = match args.plan(&WatchVariables::default()) {
            Ok(plan) => plan,
            Err(error) => return self.report(&error.into()),
        };
        match self.session.connection.watch(plan.watch).await {
            Ok(stream) => {
                let (style, screen) = (self.session.style, self.screen.clone());
                let task = tokio::spawn(watching::run(number, stream, style, screen));
                self.jobs.add(number, text, task);
                self.say(&format!("[{number}] watching; kill {number} ends it\n"));
            }
            Err(failure) => self.report(&failure.into()),
        }
    }

    async fn ls(&mut self, prefix: &[u8]) {
        let listed = tokio::select! {
            listed = listing::list(&self.session.connection, prefix) => listed,
            _ = tokio::signal::ctrl_c() => return,
        };
        match listed {
            Ok(lines) => self.say(&lines),
            Err(failure) => self.report(&failure.into()),
        }
    }

    async fn ui(&mut self) {
        let config = self.session.connection.config().clone();
        if let Err(error) = crate::dashboard::run(config).await {
            self.complain(&error.to_string());
        }
    }

    /// Prints whole lines. A terminal that is gone ends the shell at its next prompt.
    fn say(&mut self, text: &str) {
        let _ = self.session.out.write_all(text.as_bytes()).and_then(|()| self.session.out.flush());
    }

    fn complain(&mut self, message: &str) {
        let _ = writeln!(self.session.err, "error: {message}");
    }

    fn report(&mut self, error: &CommandError) {
        let _ = self.session.err.write_all(crate::run::explain(error, Mode::Kvorum).as_bytes());
    }
}
