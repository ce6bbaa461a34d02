//! The line editor, on a thread of its own: it blocks, and the rest of the shell does not.
//!
//! A line is read only when the shell asks for one, so that while a command runs the terminal is
//! in its ordinary mode and Ctrl-C is a signal for that command.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor as Rustyline, ExternalPrinter, Helper};
use tokio::sync::mpsc;

use super::cache::KeyCache;
use super::complete::{Wanted, flags, wanted};
use super::history;
use super::line::ALIASES;
use super::screen::Prompt;
use super::words::{Words, lines, quote};
use crate::output::Paint;

/// What a person did at the prompt.
pub(super) enum Typed {
    Line(String),
    /// Ctrl-C: the line is given up.
    Interrupted,
    /// Ctrl-D on an empty line, or the terminal went away.
    End,
}

/// Candidates listed without asking first.
const CANDIDATES_MAX: usize = 100;

/// What a line is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    /// A command: there is help while it is typed, and it goes into the history.
    Command,
    /// What a running command asks for.
    Answer,
}

/// Asks for lines, one at a time.
pub(super) struct Editor {
    questions: SyncSender<(String, Wants)>,
    typed: mpsc::Receiver<Typed>,
    /// The rest of several lines that were pasted at once.
    pasted: VecDeque<String>,
}

/// Writes above the prompt, or plainly while there is none.
pub(super) type Above = Box<dyn ExternalPrinter + Send>;

impl Editor {
    /// Starts the thread. `grammar` is what lines are parsed with; `paint` says whether there may be
    /// colours.
    pub(super) fn start(
        grammar: clap::Command,
        paint: Paint,
        keys: KeyCache,
        history: Option<PathBuf>,
        prompt: Prompt,
    ) -> rustyline::Result<(Self, Above)> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .completion_prompt_limit(CANDIDATES_MAX)
            .max_history_size(history::LINES_MAX)?
            .history_ignore_dups(true)?
            .build();
        let mut editor = Rustyline::<Assistant, FileHistory>::with_config(config)?;
        let history_hints = HistoryHinter::new();
        editor.set_helper(Some(Assistant {
            grammar,
            keys,
            history: history_hints,
            colour: paint.is_on(),
            wants: Wants::Command,
            prompt,
        }));
        if let Some(path) = &history {
            editor.load_history(path)?;
        }
        let above = Box::new(editor.create_external_printer()?);
        let (questions, asked) = sync_channel(1);
        let (answer, typed) = mpsc::channel(1);
        std::thread::Builder::new()
            .name("line-editor".to_owned())
            .spawn(move || read_lines(editor, history.as_deref(), &asked, &answer))?;
        Ok((Self { questions, typed, pasted: VecDeque::new() }, above))
    }

    /// The next line. Dropping the future leaves the prompt standing.
    pub(super) async fn line(&mut self, prompt: &str, wants: Wants) -> Typed {
        if let Some(line) = self.pasted.pop_front() {
            // A terminal that is gone shows itself at the next question.
            let _ = writeln!(io::stdout(), "{prompt}{line}");
            return Typed::Line(line);
        }
        if self.questions.send((prompt.to_owned(), wants)).is_err() {
            return Typed::End;
        }
        match self.typed.recv().await {
            Some(Typed::Line(text)) => {
                self.pasted.extend(lines(&text).into_iter().map(str::to_owned));
                Typed::Line(self.pasted.pop_front().unwrap_or_default())
            }
            typed => typed.unwrap_or(Typed::End),
        }
    }

    /// Lets go of what was pasted and not yet carried out.
    pub(super) fn forget_pasted(&mut self) {
        self.pasted.clear();
    }
}

fn read_lines(
    mut editor: Rustyline<Assistant, FileHistory>,
    history: Option<&Path>,
    asked: &Receiver<(String, Wants)>,
    answer: &mpsc::Sender<Typed>,
) {
    while let Ok((prompt, wants)) = asked.recv() {
        if let Some(assistant) = editor.helper_mut() {
            assistant.wants = wants;
        }
        let read = editor.readline(&prompt);
        if let Some(assistant) = editor.helper() {
            assistant.prompt.set(false);
        }
        let typed = match read {
            Ok(line) => {
                // A history that cannot be written must not cost the line.
                if wants == Wants::Command
                    && history::may_be_kept(&line)
                    && editor.add_history_entry(line.as_str()).is_ok_and(|added| added)
                    && let Some(path) = history
                {
                    let _ = editor.append_history(path);
                }
                Typed::Line(line)
            }
            Err(ReadlineError::Interrupted) => Typed::Interrupted,
            Err(_) => Typed::End,
        };
        if answer.blocking_send(typed).is_err() {
            return;
        }
    }
}

/// What helps while a line is typed.
#[derive(Helper)]
struct Assistant {
    grammar: clap::Command,
    keys: KeyCache,
    history: HistoryHinter,
    colour: bool,
    wants: Wants,
    prompt: Prompt,
}

impl Hinter for Assistant {
    type Hint = String;

    /// The rest of the newest line in the history that begins like this one. It is taken over by
    /// the right arrow only: Enter never accepts what was not typed.
    fn hint(&self, line: &str, pos: usize, context: &Context<'_>) -> Option<String> {
        // The first hint is asked for when the prompt is drawn.
        self.prompt.set(true);
        if self.wants == Wants::Answer {
            return None;
        }
        // Keys are fetched while the word is typed, so that they are there when Tab is pressed.
        if let (_, Wanted::Key(prefix)) = wanted(&self.grammar, ALIASES, &line[..pos]) {
            self.keys.continuations(&prefix);
        }
        self.history.hint(line, pos, context)
    }
}

impl Highlighter for Assistant {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.colour { Cow::Owned(format!("\x1b[2m{hint}\x1b[0m")) } else { Cow::Borrowed(hint) }
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        if self.wants == Wants::Answer {
            return Ok((pos, Vec::new()));
        }
        let line = &line[..pos];
        let (start, wanted) = wanted(&self.grammar, ALIASES, line);
        let whole = |text: String| Pair { display: text.clone(), replacement: text + " " };
        let pairs = match wanted {
            Wanted::Words(words) => words.into_iter().map(whole).collect(),
            Wanted::Flags(command) => flags(command, &line[start..])
                .into_iter()
                .map(|(flag, help)| Pair {
                    display: format!("{flag:<20} {help}"),
                    replacement: flag,
                })
                .collect(),
            Wanted::Key(typed) => self
                .keys
                .continuations(&typed)
                .iter()
                .map(|key| Pair { display: quote(key), replacement: quote(key) })
                .collect(),
            Wanted::Nothing => Vec::new(),
        };
        Ok((start, pairs))
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match Words::split(context.input()).open_quote {
            Some(_) if self.wants == Wants::Command => ValidationResult::Incomplete,
            _ => ValidationResult::Valid(None),
        })
    }
}
