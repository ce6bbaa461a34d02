//! The shell on a terminal: read a line, carry it out, read the next.

use std::io::{self, BufWriter};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::cache::KeyCache;
use super::editor::{Editor, Typed, Wants};
use super::jobs::Jobs;
use super::line::{ShellLine, Verb};
use super::restore::Restore;
use super::screen::{Prompt, Screen};
use super::watching::Report;
use super::words::Words;
use super::{connect, greeting, history, monitor, watching};
use crate::args::{Alone, Command, Global, Preferences, TxnArgs, WatchArgs, WatchVariables};
use crate::command::{self, CommandError, Confirm, Input, Session};
use crate::exit;
use crate::mode::Mode;
use crate::output::{Style, escape_message};
use crate::run::{self, Invocation, Streams, Task};
use crate::settings::Settings;
use crate::terminal;

/// Runs the shell until it is left. The error is that of connecting.
pub(super) async fn run(settings: Settings) -> Result<u8, CommandError> {
    let connection = connect(&settings).await?;
    let (text, cluster_id) = greeting(&connection).await?;
    let history = history::file(cluster_id).filter(|path| history::prepare(path).is_ok());
    let keys = KeyCache::start(connection.clone());
    let prompt = Prompt::default();
    let (editor, above) =
        Editor::start(ShellLine::grammar(), settings.style.paint, keys, history, prompt.clone())
            .map_err(|error| no_editor(&error))?;
    let screen = Screen::start(above, prompt)?;
    let alarm = Arc::new(Notify::new());
    let monitor = tokio::spawn(monitor::run(connection.clone(), screen.clone(), alarm.clone()));
    // From here on Ctrl-C never ends the shell, whether or not a command waits for it.
    let interrupts = signal(SignalKind::interrupt())?;
    let mut shell = Shell {
        session: Session {
            mode: Mode::Kvorum,
            connection,
            style: settings.style,
            manner: settings.manner,
            out: Box::new(BufWriter::new(io::stdout())),
            err: Box::new(io::stderr()),
            input: Input::Nothing,
            confirm: Confirm::Ask,
            watch_variables: WatchVariables::default(),
            unfinished: Arc::default(),
            places: settings.places,
        },
        editor,
        screen,
        jobs: Jobs::default(),
        interrupts,
        alarm,
        _monitor: AbortOnDrop(monitor),
        _restore: Restore::new(),
    };
    shell.say(&format!("{text}\n"));
    shell.lines().await;
    Ok(0)
}

fn no_editor(error: &rustyline::error::ReadlineError) -> CommandError {
    let message = format!(
        "lines cannot be edited on this terminal ({error}); a pipe on standard input is run as a \
         script anywhere"
    );
    CommandError::Other { code: exit::ERROR, message }
}

struct Shell {
    session: Session,
    editor: Editor,
    screen: Screen,
    jobs: Jobs,
    /// Ctrl-C while no line is edited. Kept from the moment a line is accepted, so that one that
    /// comes before its command has begun still cancels it.
    interrupts: Signal,
    /// Raised when a watch is lost.
    alarm: Arc<Notify>,
    _monitor: AbortOnDrop,
    _restore: Restore,
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A command that is cut short says so within a moment.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// In front of a line that a command asks for.
const ANSWER: &str = "… ";

/// Whether the shell goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Prompt,
    Leave,
}

impl Shell {
    async fn lines(&mut self) {
        loop {
            // A Ctrl-C after the last command had ended is meant for what was pasted behind it.
            while self.interrupts.recv().now_or_never().is_some() {
                self.editor.forget_pasted();
            }
            let prompt = format!("{}> ", self.session.connection.current_endpoint());
            match self.editor.line(&prompt, Wants::Command).await {
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
                self.say(&escape_message(&error.render().to_string()));
                self.editor.forget_pasted();
                return Next::Prompt;
            }
        };
        let (shell_style, shell_manner) = (self.session.style.clone(), self.session.manner.clone());
        match line.style(&shell_style) {
            // The window may have another size by this time.
            Ok(style) => self.session.style = Style { columns: terminal::columns(), ..style },
            Err(message) => {
                self.complain(&message);
                return Next::Prompt;
            }
        }
        self.session.manner = line.manner(&shell_manner);
        let next = match line.verb {
            Verb::Alone(alone) => {
                self.alone(&alone, &line.global, &line.preferences);
                Next::Prompt
            }
            verb => self.verb(text, verb).await,
        };
        self.session.style = shell_style;
        self.session.manner = shell_manner;
        next
    }

    async fn verb(&mut self, text: &str, verb: Verb) -> Next {
        match verb {
            Verb::Exit => return Next::Leave,
            Verb::Jobs => {
                for (number, line) in self.jobs.list() {
                    self.say(&format!("[{number}] {line}\n"));
                }
            }
            Verb::Kill { number } => {
                if !self.jobs.kill(number) {
                    self.complain(&format!("there is no job {number}; jobs lists them"));
                }
            }
            Verb::Ui => self.ui().await,
            // A watch that runs a command for each event leaves the terminal to it.
            Verb::Cluster(Command::Watch(args)) if args.exec.is_none() => {
                self.watch(text, &args).await;
            }
            Verb::Cluster(Command::Txn(args)) => {
                let args = TxnArgs { interactive: true, ..args };
                self.foreground(Task::Cluster(&Command::Txn(args))).await;
            }
            Verb::Cluster(command) => self.foreground(Task::Cluster(&command)).await,
            Verb::Own(own) => self.foreground(Task::Own(&own)).await,
            // It was carried out with the options of its line.
            Verb::Alone(_) => {}
        }
        Next::Prompt
    }

    fn alone(&mut self, alone: &Alone, global: &Global, preferences: &Preferences) {
        let invocation = Invocation { global, preferences, mode: Mode::Kvorum, typed: &[] };
        let done = Task::Alone(alone).check().map_err(CommandError::from);
        let done =
            done.and_then(|()| command::own::alone(alone, &invocation, &mut Streams::standard()));
        if let Err(error) = done {
            self.report(&error);
        }
    }

    /// Carries a command out while Ctrl-C can cancel it; lines it asks for are read by the editor.
    async fn foreground(&mut self, task: Task<'_>) {
        if let Err(error) = task.check() {
            return self.report(&error.into());
        }
        let (asking, mut asked) = mpsc::channel::<oneshot::Sender<Vec<u8>>>(1);
        self.session.input = Input::Asked(asking);
        let unfinished = self.session.unfinished.clone();
        let mut interrupted = false;
        let mut work = Box::pin(task.execute(&mut self.session));
        let outcome = loop {
            tokio::select! {
                outcome = &mut work => break Some(outcome),
                Some(answer) = asked.recv() => match self.editor.line(ANSWER, Wants::Answer).await {
                    // The command may have given up on the line.
                    Typed::Line(line) => _ = answer.send(line.into_bytes()),
                    Typed::Interrupted => break Some(Ok(())),
                    Typed::End => drop(answer),
                },
                _ = self.interrupts.recv() => {
                    // What is in the middle of something comes to a stop by itself, unless it is
                    // interrupted once more.
                    if !unfinished.load(Ordering::Relaxed) {
                        break None;
                    }
                    if std::mem::replace(&mut interrupted, true) {
                        break timeout(LAST_WORDS, &mut work).await.ok();
                    }
                }
            }
        };
        drop(work);
        self.session.input = Input::Nothing;
        match outcome {
            Some(Ok(())) => {}
            Some(Err(error)) => self.report(&error),
            None => self.cancelled(),
        }
    }

    async fn watch(&mut self, text: &str, args: &WatchArgs) {
        if args.interactive {
            return self.complain("watches run in the background here: open them one by one");
        }
        let Some(number) = self.jobs.next() else {
            return self.complain("too many watches run already; kill one");
        };
        let plan = match args.plan(&WatchVariables::default()) {
            Ok(plan) => plan,
            Err(error) => return self.report(&error.into()),
        };
        let opened = tokio::select! {
            opened = self.session.connection.follow(crate::command::follow(plan.watch)) => opened,
            _ = self.interrupts.recv() => return self.cancelled(),
        };
        match opened {
            Ok(stream) => {
                let (style, screen) = (self.session.style.clone(), self.screen.clone());
                let report = Report { number, style, screen, alarm: self.alarm.clone() };
                let task = tokio::spawn(watching::run(stream, report));
                self.jobs.add(number, text, task);
                self.say(&format!("[{number}] watching; kill {number} ends it\n"));
            }
            Err(failure) => self.report(&failure.into()),
        }
    }

    async fn ui(&mut self) {
        let config = self.session.connection.config().clone();
        if let Err(error) = crate::dashboard::run(config, &self.session.manner).await {
            self.complain(&error.to_string());
        }
    }

    /// Prints whole lines. A terminal that is gone ends the shell at its next prompt.
    fn say(&mut self, text: &str) {
        let _ = self.session.out.write_all(text.as_bytes()).and_then(|()| self.session.out.flush());
    }

    /// The prompt goes below the ^C that the terminal shows, and nothing more is carried out.
    fn cancelled(&mut self) {
        self.editor.forget_pasted();
        self.say("\n");
    }

    /// What was pasted after a line that failed was written for the case that it does not.
    fn complain(&mut self, message: &str) {
        self.editor.forget_pasted();
        let message = escape_message(message);
        let line = run::said(&format!("error: {message}"), self.session.manner.color);
        let _ = writeln!(self.session.err, "{line}");
    }

    fn report(&mut self, error: &CommandError) {
        // Whoever has a shell open knows where a cluster can be had.
        if let CommandError::Failure { failure, .. } = error
            && failure.nothing_listens()
        {
            return self.complain(&error.to_string());
        }
        self.editor.forget_pasted();
        let text = run::explain(error, Mode::Kvorum, self.session.manner.color);
        let _ = self.session.err.write_all(text.as_bytes());
    }
}
