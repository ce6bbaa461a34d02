//! Under the name `kvorum`: for people first.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Styles};
use clap::error::ErrorKind;
use clap::{Args as _, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::args::{Alone, Command, Global, Own, Preferences, When, narrowed};
use crate::examples::EXAMPLES;
use crate::exit;
use crate::manner::Color;
use crate::mode::Mode;
use crate::output::{Paint, escape_message};
use crate::plain::plain;
use crate::playground::PlaygroundArgs;
use crate::run::{self, Invocation, Streams, Task};
use crate::{dashboard, playground, repl, tab, terminal};

/// As clap has them, without the yellow that nobody can read on white.
const STYLES: Styles = Styles::styled().invalid(AnsiColor::Magenta.on_default());

/// Everything the program can do.
#[derive(Debug, Parser)]
#[command(
    name = "kvorum",
    about = "A terminal for every etcd, and a server to run one",
    version,
    args_override_self = true,
    disable_help_subcommand = true,
    styles = STYLES,
    after_help = "Without a command: the shell on a terminal; a pipe on standard input is run as a \
                  script."
)]
pub(crate) struct Program {
    #[command(flatten)]
    global: Global,
    #[command(flatten)]
    preferences: Preferences,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(flatten)]
    Cluster(Command),
    #[command(flatten)]
    Own(Own),
    #[command(flatten)]
    Alone(Alone),
    /// Open the dashboard
    Ui,
    /// Start three members on this machine, with something in them to try things on
    Playground(PlaygroundArgs),
    /// Run a member; `kvorum server --help` lists its flags, `kvorum server import` takes over the
    /// data directory of an etcd
    Server,
}

/// What etcdctl's watch does not do.
const GAPS: &str = "\
A lost connection is found again without missing a change. If the history that was to come next has \
been compacted, also that before --rev, the missing revisions are named, and what they came to is \
told as events marked SYNTHETIC: \"synthetic\":true in JSON, KVORUM_WATCH_SYNTHETIC=true for a \
command. With -o ndjson every event is one line with its type (PUT, DELETE); GAP names missing \
revisions, and its \"deletions\" say whether those that fell in there are told, told in_part, or \
unknown, and then every key follows that is there.";

/// Runs one command line; the first word is the program's name.
pub fn main(args: Vec<OsString>) -> ExitCode {
    if tab::answer(&args) {
        return ExitCode::SUCCESS;
    }
    let mut streams = Streams::standard();
    let args = help_flag(args);
    let mut program = match parse(&args) {
        Ok(program) => program,
        Err(error) => {
            let color = color(&args);
            let paint = color.paint(terminal::stderr_is_terminal());
            return match error.kind() {
                ErrorKind::DisplayHelp => {
                    let help = help(&args, color.paint(terminal::stdout_is_terminal()));
                    streams.answer(&help.unwrap_or_else(|| shown(&error, paint)), Mode::Kvorum)
                }
                ErrorKind::DisplayVersion => streams.answer(&version(), Mode::Kvorum),
                _ => {
                    // This one says how the command is called here.
                    let error = grammar().try_get_matches_from(&args).err().unwrap_or(error);
                    streams.exit("", &complaint(&error, paint), exit::ERROR)
                }
            };
        }
    };
    if let Some(Verb::Own(own)) = &mut program.verb {
        own.take_options(&mut program.preferences);
    }
    let invocation = Invocation {
        global: &program.global,
        preferences: &program.preferences,
        mode: Mode::Kvorum,
        typed: &args,
    };
    match program.verb {
        Some(Verb::Cluster(command)) => {
            return run::command(invocation, Task::Cluster(&command), streams);
        }
        Some(Verb::Own(own)) => return run::command(invocation, Task::Own(&own), streams),
        Some(Verb::Alone(alone)) => {
            return run::command(invocation, Task::Alone(&alone), streams);
        }
        Some(Verb::Playground(args)) => return playground::main(&args, &program.preferences),
        // Global flags before the word do not belong to a server.
        Some(Verb::Server) => {
            let text = "error: server comes first: kvorum server --help lists its flags\n";
            return streams.exit("", text, exit::ERROR);
        }
        Some(Verb::Ui) | None => {}
    }
    match (run::settings(&invocation), program.verb) {
        (Err(error), _) => run::refuse(&error, &invocation, &mut streams),
        (Ok(settings), Some(_)) => dashboard::main(settings.client, &settings.manner),
        (Ok(settings), None) => repl::main(settings),
    }
}

/// Reads a line, by the commands that are named in it if that will do.
fn parse(args: &[OsString]) -> Result<Program, clap::Error> {
    let full = Program::command();
    let root = Preferences::augment_args(Global::augment_args(clap::Command::new("kvorum")));
    let root = root.args_override_self(true).disable_help_subcommand(true);
    let matches = narrowed(root, &full, args).try_get_matches_from(args);
    matches
        .and_then(|matches| Program::from_arg_matches(&matches))
        .or_else(|_| Program::try_parse_from(args))
}

/// The words of the command in a line that was understood.
pub(crate) fn words(args: &[OsString]) -> String {
    let mut words = Vec::new();
    let matches = Program::command().try_get_matches_from(args);
    let mut at = matches.as_ref().ok().and_then(clap::ArgMatches::subcommand);
    while let Some((word, below)) = at {
        words.push(word);
        at = below.subcommand();
    }
    words.join(" ")
}

/// Everything that can be typed, with an example for every command; the options that every command
/// takes are shown once, at the top.
pub fn grammar() -> clap::Command {
    let mut command = Program::command();
    command.build();
    below(command, "")
}

fn below(mut command: clap::Command, path: &str) -> clap::Command {
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        let path = format!("{path} {name}").trim_start().to_owned();
        command = command.mut_subcommand(name, |sub| below(lean(sub, &path), &path));
    }
    command
}

fn lean(command: clap::Command, path: &str) -> clap::Command {
    let command = command.mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg });
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    let usage =
        if usage.starts_with("kvorum ") { usage.to_owned() } else { format!("kvorum {usage}") };
    let known = command.get_after_help().map(ToString::to_string);
    // What both programs say of this is about the script of the one that is asked.
    let known = known.map(|text| match path {
        "completion" => text.replace("etcdctl", "kvorum"),
        "watch" => format!("{GAPS}\n\n{text}"),
        _ => text,
    });
    let examples = EXAMPLES.iter().find(|(words, _)| *words == path);
    let examples = examples.map(|(_, lines)| {
        let lines: Vec<_> = lines.iter().map(|line| format!("  kvorum {line}")).collect();
        format!("Examples:\n{}", lines.join("\n"))
    });
    let note = "kvorum --help lists the options that every command takes.".to_owned();
    let parts: Vec<_> = known.into_iter().chain(examples).chain([note]).collect();
    command.override_usage(usage).after_help(parts.join("\n\n"))
}

/// Whether a line that cannot be carried out wants colours, as far as its words tell.
fn color(args: &[OsString]) -> Color {
    let words: Vec<_> = args.iter().take_while(|arg| *arg != "--").collect();
    let said = |word: &str, value: &str| {
        words.iter().any(|arg| *arg == format!("{word}={value}").as_str())
            || words.windows(2).any(|pair| pair[0] == word && pair[1] == value)
    };
    let choices = [("never", When::Never), ("always", When::Always)];
    let color = choices.iter().find(|(value, _)| said("--color", value)).map(|(_, when)| *when);
    let plain = words.iter().any(|arg| *arg == "--plain");
    Color::here(&Preferences { plain, color, ..Preferences::default() })
}

fn shown(error: &clap::Error, paint: Paint) -> String {
    let text = error.render();
    if paint.is_on() { text.ansi().to_string() } else { text.to_string() }
}

/// Why a line is refused. What was typed may hold what a terminal would obey: then it is shown
/// escaped, without colours.
fn complaint(error: &clap::Error, paint: Paint) -> String {
    let text = error.render().to_string();
    let safe = escape_message(&plain(&text)).into_owned();
    if safe == text { shown(error, paint) } else { safe }
}

/// The help that was asked for.
fn help(args: &[OsString], paint: Paint) -> Option<String> {
    let asked = grammar().try_get_matches_from(args).err()?;
    (asked.kind() == ErrorKind::DisplayHelp).then(|| shown(&asked, paint))
}

fn version() -> String {
    format!("{}\n", crate::command::version_text(Mode::Kvorum))
}

/// `help get` is `get --help`.
fn help_flag(mut args: Vec<OsString>) -> Vec<OsString> {
    if args.get(1).is_some_and(|word| word == "help") {
        args.remove(1);
        args.push("--help".into());
    }
    args
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{grammar, help};
    use crate::output::Paint;

    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, String)>) {
        let subs: Vec<_> =
            command.get_subcommands().filter(|sub| sub.get_name() != "help").collect();
        if subs.is_empty() {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            found.push((path.to_owned(), text));
        }
        for sub in subs {
            leaves(sub, &format!("{path} {}", sub.get_name()), found);
        }
    }

    #[test]
    fn every_command_has_an_example() {
        let mut found = Vec::new();
        leaves(&grammar(), "kvorum", &mut found);
        let bare: Vec<_> = found.iter().filter(|(_, text)| !text.contains("Example")).collect();
        assert!(bare.is_empty(), "{bare:?}");
    }

    #[test]
    fn options_of_every_command_are_listed_at_the_top_only() {
        let shown = |line: &str| {
            let args: Vec<OsString> = line.split(' ').map(Into::into).collect();
            help(&args, Paint::default()).unwrap()
        };
        assert!(shown("kvorum --help").contains("--command-timeout"));
        let get = shown("kvorum get --help");
        assert!(get.contains("Usage: kvorum get [OPTIONS] <KEY> [RANGE_END]"), "{get}");
        assert!(get.contains("--count-only") && get.contains("Examples:"), "{get}");
        assert!(!get.contains("--command-timeout"), "{get}");
        assert!(shown("kvorum lease grant --help").contains("kvorum lease grant 60"));
    }
}
