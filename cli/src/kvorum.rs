//! Under the name `kvorum`: for people first.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::args::{Command, Global};
use crate::exit;
use crate::mode::Mode;
use crate::playground::PlaygroundArgs;
use crate::run::{self, Streams};
use crate::{dashboard, playground, repl};

/// Everything the program can do.
#[derive(Debug, Parser)]
#[command(
    name = "kvorum",
    about = "A terminal for every etcd, and a server to run one",
    version,
    args_override_self = true,
    disable_help_subcommand = true,
    after_help = "Without a command: the shell on a terminal; a pipe on standard input is run as a \
                  script."
)]
struct Program {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(flatten)]
    Cluster(Command),
    /// Open the dashboard
    Ui,
    /// Start three members on this machine, with something in them to try things on
    Playground(PlaygroundArgs),
    /// Run a member; `kvorum server --help` lists its flags, `kvorum server import` takes over the
    /// data directory of an etcd
    Server,
}

/// Runs one command line; the first word is the program's name.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let mut streams = Streams::standard();
    let program = match Program::try_parse_from(help_flag(args)) {
        Ok(program) => program,
        Err(error) => {
            let text = error.render().to_string();
            return match error.kind() {
                ErrorKind::DisplayHelp => streams.exit(&text, "", 0),
                ErrorKind::DisplayVersion => streams.exit(&version(), "", 0),
                _ => streams.exit("", &text, exit::ERROR),
            };
        }
    };
    match program.verb {
        Some(Verb::Cluster(command)) => {
            return run::command(&program.global, &command, Mode::Kvorum, streams);
        }
        Some(Verb::Playground(args)) => return playground::main(&args),
        // Global flags before the word do not belong to a server.
        Some(Verb::Server) => {
            let text = "error: server comes first: kvorum server --help lists its flags\n";
            return streams.exit("", text, exit::ERROR);
        }
        Some(Verb::Ui) | None => {}
    }
    match (run::settings(&program.global, Mode::Kvorum), program.verb) {
        (Err(error), _) => run::refuse(&error, Mode::Kvorum, &mut streams),
        (Ok(settings), Some(_)) => dashboard::main(settings.client),
        (Ok(settings), None) => repl::main(settings),
    }
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
