//! Completion in the person's own shell, with what is in the cluster: keys one segment at a time,
//! leases, members, users, roles, contexts.
//!
//! The script that `kvorum completion SHELL` prints calls the program back for every Tab. A Tab
//! never waits long ([`WAIT`]), never asks for a password and never runs a password command; what
//! is not known by then is not offered.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::{Arg, Command, FromArgMatches as _, Parser};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;
use kvorum_client::contexts::{Contexts, Places};
use kvorum_client::{Connection, Failure, explore};

use crate::args::{Global, Preferences, Shell};
use crate::kvorum::grammar;
use crate::mode::Mode;
use crate::output::{FORMATS, OWN_FORMATS};
use crate::settings::Settings;

/// Longer, and a person thinks that the terminal hangs.
const WAIT: Duration = Duration::from_millis(500);

/// Of anything; a shell shows no more at once.
const MAX_CANDIDATES: usize = 100;

/// The variable by which the script calls back.
const VARIABLE: &str = "COMPLETE";

/// What an argument names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Key,
    Lease,
    Member,
    User,
    Role,
    Context,
    /// A format of `-o`.
    Output,
    /// A format of `-w`.
    WriteOut,
}

/// Answers a shell that calls back. `false`: nobody asked.
pub fn answer(args: &[OsString]) -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    let here = std::env::current_dir().ok();
    let complete = CompleteEnv::with_factory(|| subjects(grammar(), "")).bin("kvorum");
    complete.try_complete(args.to_vec(), here.as_deref()).unwrap_or_else(|error| {
        // A Tab has nowhere to show an error.
        drop(error);
        true
    })
}

/// The script of a shell, which calls back.
pub(crate) fn script(shell: Shell) -> Vec<u8> {
    let name = match shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
        Shell::Powershell => "powershell",
    };
    let mut script = Vec::new();
    if let Some(shell) = Shells::builtins().completer(name) {
        // Memory takes all that is written.
        let _ = shell.write_registration(VARIABLE, "kvorum", "kvorum", "kvorum", &mut script);
    }
    if matches!(shell, Shell::Bash) { whole_words(&script) } else { script }
}

/// The script for bash, where it completes whole words.
fn whole_words(script: &[u8]) -> Vec<u8> {
    let script = String::from_utf8_lossy(script);
    let registration = script.rfind("if [[ \"${BASH_VERSINFO").unwrap_or(script.len());
    let (function, registration) = script.split_at(registration);
    let registration = registration.replace("-F _clap_complete_kvorum", "-F _kvorum");
    [function, include_str!("tab.bash"), &registration].concat().into_bytes()
}

/// The grammar with a completer at every argument that names something of the cluster.
fn subjects(mut command: Command, path: &str) -> Command {
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        let below = format!("{path} {name}");
        command = command.mut_subcommand(name, |sub| subjects(sub, below.trim()));
    }
    command.mut_args(|arg| match subject(path, &arg) {
        Some(subject) => {
            arg.add(ArgValueCompleter::new(move |typed: &OsStr| candidates(subject, typed)))
        }
        None => arg,
    })
}

/// What an argument of a command names, by the name of its value.
fn subject(path: &str, arg: &Arg) -> Option<Subject> {
    match arg.get_id().as_str() {
        "output" => return Some(Subject::Output),
        "write_out" => return Some(Subject::WriteOut),
        "context" => return Some(Subject::Context),
        _ => {}
    }
    let value = arg.get_value_names()?.first()?.as_str();
    let group = path.split(' ').next().unwrap_or_default();
    match (group, value) {
        (_, "KEY" | "KEY VALUE" | "KEY[@REV]" | "KEY@REV" | "KEY|PREFIX[@REV]" | "PREFIX") => {
            Some(Subject::Key)
        }
        ("cp" | "mv", "SOURCE" | "DEST") => Some(Subject::Key),
        ("lease" | "put" | "cas", "ID") => Some(Subject::Lease),
        ("member" | "move-leader", "ID" | "MEMBER") => Some(Subject::Member),
        (_, "USER" | "USER NAME") => Some(Subject::User),
        (_, "ROLE" | "ROLE NAME") => Some(Subject::Role),
        ("ctx", "name" | "NAME") if !path.ends_with("add") => Some(Subject::Context),
        _ => None,
    }
}

fn candidates(subject: Subject, typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let found = match subject {
        Subject::Context => contexts(),
        Subject::Output => named(&OWN_FORMATS),
        Subject::WriteOut => named(&FORMATS),
        _ => in_cluster(subject, typed),
    };
    let fitting = found.into_iter().filter(|(value, _)| value.starts_with(typed));
    fitting
        .take(MAX_CANDIDATES)
        .map(|(value, help)| {
            let help = (!help.is_empty()).then(|| help.into());
            CompletionCandidate::new(value).help(help)
        })
        .collect()
}

fn named(names: &[&str]) -> Vec<(String, String)> {
    names.iter().map(|name| ((*name).to_owned(), String::new())).collect()
}

fn contexts() -> Vec<(String, String)> {
    let places = Places::find(&|name| std::env::var_os(name).map(Into::into));
    let contexts = places.and_then(|places| Contexts::read(&places).ok()).unwrap_or_default();
    contexts
        .contexts
        .into_iter()
        .map(|(name, context)| (name, context.endpoints.join(",")))
        .collect()
}

/// Asks the cluster that the line so far is about. Whatever goes wrong, nothing is offered.
fn in_cluster(subject: Subject, typed: &str) -> Vec<(String, String)> {
    let Some(settings) = settings_of_line() else { return Vec::new() };
    if settings.password_wanted.is_some() {
        return Vec::new();
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let separator = settings.manner.separator;
    let found = runtime.block_on(async {
        let connection = Connection::new(settings.client).ok()?;
        let asking = ask(subject, typed, separator, &connection);
        tokio::time::timeout(WAIT, asking).await.ok()?.ok()
    });
    runtime.shutdown_background();
    found.unwrap_or_default()
}

async fn ask(
    subject: Subject,
    typed: &str,
    separator: u8,
    connection: &Connection,
) -> Result<Vec<(String, String)>, Failure> {
    let plain = |names: Vec<String>| names.into_iter().map(|name| (name, String::new())).collect();
    Ok(match subject {
        Subject::Key => {
            let typed = typed.as_bytes();
            let keys = explore::complete(connection, typed, separator, MAX_CANDIDATES).await?;
            // A shell's word is text.
            plain(keys.into_iter().filter_map(|key| String::from_utf8(key).ok()).collect())
        }
        Subject::Lease => {
            let leases = connection.leases().await?.leases;
            plain(leases.iter().map(|lease| format!("{:016x}", lease.id)).collect())
        }
        Subject::Member => {
            let members = connection.members().await?.members;
            members.into_iter().map(|member| (format!("{:x}", member.id), member.name)).collect()
        }
        Subject::User => plain(connection.users().await?.users),
        Subject::Role => plain(connection.roles().await?.roles),
        Subject::Context | Subject::Output | Subject::WriteOut => Vec::new(),
    })
}

/// The options of the line that is being completed, as far as they say which cluster is meant.
fn settings_of_line() -> Option<Settings> {
    #[derive(Parser)]
    #[command(no_binary_name = true, args_override_self = true, ignore_errors = true)]
    struct Options {
        #[command(flatten)]
        global: Global,
        #[command(flatten)]
        preferences: Preferences,
        /// Whatever else there is.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        rest: Vec<OsString>,
    }
    let words = std::env::args_os().skip_while(|word| word != "--").skip(2);
    let options = words.collect::<Vec<_>>();
    let known = only_connection(&options);
    let matches = <Options as clap::CommandFactory>::command().try_get_matches_from(known).ok()?;
    let options = Options::from_arg_matches(&matches).ok()?;
    let variables = |name: &str| std::env::var_os(name);
    Settings::resolve(&options.global, &options.preferences, Mode::Kvorum, &variables).ok()
}

/// The options that make up a connection, out of a line that may hold anything.
fn only_connection(words: &[OsString]) -> Vec<OsString> {
    const OPTIONS: [&str; 8] = [
        "--endpoints",
        "--context",
        "--cacert",
        "--cert",
        "--key",
        "--user",
        "--password",
        "--insecure-skip-tls-verify",
    ];
    let mut known = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let name = text.split('=').next().unwrap_or_default();
        if !OPTIONS.contains(&name) {
            continue;
        }
        if text.contains('=') || name == "--insecure-skip-tls-verify" {
            known.push(word.clone());
        } else if let Some(value) = words.next() {
            known.extend([word.clone(), value.clone()]);
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use std::ffi::{OsStr, OsString};

    use super::{Subject, candidates, only_connection, subject};
    use crate::kvorum::grammar;

    #[test]
    fn an_argument_is_completed_by_what_it_names() {
        let grammar = grammar();
        let mut found = Vec::new();
        for (words, expected) in [
            ("get", Subject::Key),
            ("put", Subject::Key),
            ("del", Subject::Key),
            ("watch", Subject::Key),
            ("lease revoke", Subject::Lease),
            ("ctx use", Subject::Context),
        ] {
            let mut command = &grammar;
            for word in words.split(' ') {
                command = command.find_subcommand(word).unwrap();
            }
            let first = command.get_positionals().next().unwrap();
            found.push((words, subject(words, first) == Some(expected)));
        }
        assert!(found.iter().all(|(_, right)| *right), "{found:?}");
    }

    #[test]
    fn formats_are_offered_wherever_one_can_be_given() {
        let typed = |subject, typed: &str| -> Vec<String> {
            let found = candidates(subject, OsStr::new(typed));
            found.iter().map(|found| found.get_value().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(typed(Subject::Output, "js"), ["json", "jsonpath="]);
        assert_eq!(typed(Subject::WriteOut, "p"), ["protobuf"]);
        let grammar = grammar();
        let ls = grammar.find_subcommand("ls").unwrap();
        let subjects: Vec<_> = ls.get_arguments().filter_map(|arg| subject("ls", arg)).collect();
        assert!(subjects.contains(&Subject::Output) && subjects.contains(&Subject::WriteOut));
    }

    #[test]
    fn only_what_says_which_cluster_is_taken_from_a_line() {
        let line = "get --endpoints a:1 --prefix /x --user=u --bogus --cacert";
        let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        assert_eq!(only_connection(&words), ["--endpoints", "a:1", "--user=u"]);
    }
}
