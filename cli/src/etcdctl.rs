//! Under the names `etcdctl` and `etcdutl`: strictly what these do, down to abbreviations and exit
//! codes.
//!
//! The arguments are parsed by the same types as everywhere; this module finds the command words
//! first, because etcdctl resolves abbreviations among all of its commands, ours or not yet.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches};

use crate::args::{Command, Line};
use crate::mode::Mode;
use crate::run::{self, Streams};
use crate::usage;

type Commands = [(&'static str, &'static [&'static str])];

/// Every command of etcdctl 3.6 with its subcommands, in its order; and `snapshot restore` and
/// `snapshot status`, which 3.4 and 3.5 have here and scripts still call.
const COMMANDS: &Commands = &[
    ("alarm", &["disarm", "list"]),
    ("auth", &["disable", "enable", "status"]),
    ("check", &["datascale", "perf"]),
    ("compaction", &[]),
    ("completion", &["bash", "fish", "powershell", "zsh"]),
    ("defrag", &[]),
    ("del", &[]),
    ("downgrade", &["cancel", "enable", "validate"]),
    ("elect", &[]),
    ("endpoint", &["hashkv", "health", "status"]),
    ("get", &[]),
    ("help", &[]),
    ("lease", &["grant", "keep-alive", "list", "revoke", "timetolive"]),
    ("lock", &[]),
    ("make-mirror", &[]),
    ("member", &["add", "list", "promote", "remove", "update"]),
    ("move-leader", &[]),
    ("put", &[]),
    ("role", &["add", "delete", "get", "grant-permission", "list", "revoke-permission"]),
    ("snapshot", &["restore", "save", "status"]),
    ("txn", &[]),
    ("user", &["add", "delete", "get", "grant-role", "list", "passwd", "revoke-role"]),
    ("version", &[]),
    ("watch", &[]),
    ("options", &[]),
];

/// Those of etcdutl 3.6, which works on files and asks no server.
const FILE_COMMANDS: &Commands = &[
    ("completion", &["bash", "fish", "powershell", "zsh"]),
    ("defrag", &[]),
    ("hashkv", &[]),
    ("help", &[]),
    ("migrate", &[]),
    ("snapshot", &["restore", "status"]),
    ("version", &[]),
];

const ETCDUTL: &str = "etcdutl";

/// The program's name, which is one of the two, and its commands.
fn program(args: &[OsString]) -> (&'static str, &'static Commands) {
    let name = args.first().and_then(|path| Path::new(path).file_name());
    if name.is_some_and(|name| name == ETCDUTL) {
        (ETCDUTL, FILE_COMMANDS)
    } else {
        ("etcdctl", COMMANDS)
    }
}

/// Runs one command line; the first word is the program's name.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let mut streams = Streams::standard();
    let (name, _) = program(&args);
    let usage = |path: Vec<String>| {
        // All that etcdutl has here.
        let whole = name == ETCDUTL && path.is_empty();
        usage::text(name, &if whole { vec!["snapshot".to_owned()] } else { path })
    };
    match resolve(args) {
        Resolved::Usage(path) => streams.exit(&usage(path), "", 0),
        Resolved::Refused { message, path } => {
            let usage = path.map(usage).unwrap_or_default();
            streams.exit(&usage, &format!("Error: {message}\n"), 1)
        }
        Resolved::Line(line, command) => {
            run::command(&line.global, &command, Mode::Etcdctl, streams)
        }
    }
}

enum Resolved {
    Line(Box<Line>, Box<Command>),
    /// Help was asked for, or a group was named without a command of it.
    Usage(Vec<String>),
    /// The words make no sense; with a path, its usage is printed as well.
    Refused {
        message: String,
        path: Option<Vec<String>>,
    },
}

fn resolve(mut args: Vec<OsString>) -> Resolved {
    let (name, commands) = program(&args);
    let words = match expand(&mut args) {
        Ok(words) => words,
        Err(message) => return Resolved::Refused { message, path: None },
    };
    let done = usage::knows(&words);
    if words.first().is_some_and(|word| word == "help") {
        return Resolved::Usage(if done { words[1..].to_vec() } else { Vec::new() });
    }
    if !done {
        let message = format!(
            "{} is a command of {name} that this version of kvorum does not have yet",
            words.join(" ")
        );
        return Resolved::Refused { message, path: None };
    }
    let command =
        Line::command().name(name).disable_version_flag(true).disable_help_flag(true).arg(
            clap::Arg::new("help")
                .short('h')
                .long("help")
                .global(true)
                .action(clap::ArgAction::SetTrue),
        );
    let parsed = command.try_get_matches_from(&args).and_then(|matches| {
        let mut deepest = &matches;
        while let Some((_, deeper)) = deepest.subcommand() {
            deepest = deeper;
        }
        Ok((deepest.get_flag("help"), Line::from_arg_matches(&matches)?))
    });
    match parsed {
        Ok((true, _)) => Resolved::Usage(words),
        Ok((false, line)) => match line.command.clone() {
            Some(mut command) => {
                note_empty_exec(&mut command, &args);
                Resolved::Line(Box::new(line), Box::new(command))
            }
            None => Resolved::Usage(words),
        },
        // A group of commands alone, or with a word that is none of them, shows what it has.
        Err(error) if is_group(commands, &words) && !is_flag_error(&error) => {
            Resolved::Usage(words)
        }
        Err(error) => Resolved::Refused { message: flag_error(&error), path: Some(words) },
    }
}

/// `watch key --` announces a command and names none, which the parser does not tell from no `--`.
fn note_empty_exec(command: &mut Command, args: &[OsString]) {
    if let Command::Watch(watch) = command
        && watch.exec.is_none()
        && args.last().is_some_and(|word| word == "--")
    {
        watch.exec = Some(Vec::new());
    }
}

fn is_group(commands: &Commands, words: &[String]) -> bool {
    match words {
        [] => true,
        [word] => commands.iter().any(|(name, subs)| name == word && !subs.is_empty()),
        _ => false,
    }
}

fn is_flag_error(error: &clap::Error) -> bool {
    match error.kind() {
        ErrorKind::UnknownArgument => {
            context(error, ContextKind::InvalidArg).is_some_and(|arg| arg.starts_with('-'))
        }
        ErrorKind::InvalidSubcommand
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        | ErrorKind::MissingRequiredArgument => false,
        _ => true,
    }
}

/// Finds the command words, replaces abbreviations by whole words, and returns them: at most two,
/// fewer where a word is missing. Of `help x y`, all three.
fn expand(args: &mut [OsString]) -> Result<Vec<String>, String> {
    let (program, commands) = program(args);
    let mut places = command_places(args).into_iter();
    let Some(at) = places.next() else { return Ok(Vec::new()) };
    let typed = args[at].to_string_lossy().into_owned();
    let names: Vec<&str> = commands.iter().map(|(name, _)| *name).collect();
    let Some(name) = abbreviated(&names, &typed) else {
        return Err(format!("unknown command {typed:?} for {program:?}"));
    };
    args[at] = name.into();
    let mut words = vec![name.to_owned()];
    let mut subs = subcommands(commands, name);
    if name == "help" {
        let Some(topic) = places.next() else { return Ok(words) };
        let Some(name) = abbreviated(&names, &args[topic].to_string_lossy()) else {
            return Ok(words);
        };
        words.push(name.to_owned());
        subs = subcommands(commands, name);
    }
    if let Some(at) = places.next()
        && let Some(sub) = abbreviated(subs, &args[at].to_string_lossy())
    {
        args[at] = sub.into();
        words.push(sub.to_owned());
    }
    Ok(words)
}

fn subcommands(commands: &Commands, name: &str) -> &'static [&'static str] {
    commands.iter().find(|(known, _)| *known == name).map_or(&[], |(_, subs)| subs)
}

/// The name that `typed` is, or the only one that it begins.
fn abbreviated<'a>(names: &[&'a str], typed: &str) -> Option<&'a str> {
    if let Some(name) = names.iter().find(|name| **name == typed) {
        return Some(name);
    }
    let mut matching = names.iter().filter(|name| name.starts_with(typed));
    match (matching.next(), matching.next()) {
        (Some(name), None) => Some(name),
        _ => None,
    }
}

/// Where words are that are neither flags nor values of flags.
fn command_places(args: &[OsString]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut skip = false;
    for (at, arg) in args.iter().enumerate().skip(1) {
        let text = arg.to_string_lossy();
        if std::mem::take(&mut skip) {
            continue;
        }
        if text == "--" {
            break;
        }
        if text.len() > 1 && text.starts_with('-') {
            skip = takes_next(&text);
        } else {
            places.push(at);
        }
    }
    places
}

/// Whether this global flag has its value in the next word.
fn takes_next(flag: &str) -> bool {
    if flag.contains('=') {
        return false;
    }
    let line = Line::command();
    let known = line.get_arguments().find(|arg| match flag.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => arg.get_short().is_some_and(|short| flag[1..] == short.to_string()),
    });
    known.is_some_and(|arg| !arg.is_require_equals_set() && arg.get_action().takes_values())
}

/// A complaint about a flag in pflag's words.
pub(crate) fn flag_error(error: &clap::Error) -> String {
    let arg = context(error, ContextKind::InvalidArg).unwrap_or_default();
    let flag = arg.split([' ', '=', '[']).next().unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument => match (flag.strip_prefix("--"), flag.chars().nth(1)) {
            (None, Some(short)) if flag.starts_with('-') => {
                format!("unknown shorthand flag: '{short}' in {flag}")
            }
            _ => format!("unknown flag: {flag}"),
        },
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let value = context(error, ContextKind::InvalidValue).unwrap_or_default();
            if value.is_empty() {
                return format!("flag needs an argument: {flag}");
            }
            let source = std::error::Error::source(error).map(ToString::to_string);
            format!("invalid argument {value:?} for {flag:?} flag: {}", source.unwrap_or_default())
        }
        _ => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        }
    }
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    }
}

/// Whether the program was called by one of these names.
pub fn is_name(program: &OsStr) -> bool {
    program == "etcdctl" || program == ETCDUTL
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{Resolved, expand, resolve};

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn commands_may_be_abbreviated_as_far_as_they_are_clear() {
        for (line, expanded) in [
            ("etcdctl mem li", "etcdctl member list"),
            ("etcdctl --endpoints a:1 en st", "etcdctl --endpoints a:1 endpoint status"),
            ("etcdctl -w json g k", "etcdctl -w json get k"),
            ("etcdctl lea keep 12", "etcdctl lease keep-alive 12"),
            ("etcdctl --hex=true ge -- en", "etcdctl --hex=true get -- en"),
        ] {
            let mut args = words(line);
            expand(&mut args).unwrap();
            assert_eq!(args, words(expanded));
        }
        assert!(expand(&mut words("etcdctl e")).is_err());
        assert!(expand(&mut words("etcdctl le x")).is_ok());
        assert!(expand(&mut words("etcdctl l")).is_err());
    }

    #[test]
    fn flags_are_complained_about_in_gos_words() {
        for (line, message) in [
            ("etcdctl get --bad k", "unknown flag: --bad"),
            ("etcdctl get -x k", "unknown shorthand flag: 'x' in -x"),
            (
                "etcdctl get k --limit x",
                "invalid argument \"x\" for \"--limit\" flag: strconv.ParseInt: parsing \"x\": \
                 invalid syntax",
            ),
            (
                "etcdctl get k --prefix=maybe",
                "invalid argument \"maybe\" for \"--prefix\" flag: strconv.ParseBool: parsing \
                 \"maybe\": invalid syntax",
            ),
            ("etcdctl get k --rev", "flag needs an argument: --rev"),
            ("etcdctl bogus", "unknown command \"bogus\" for \"etcdctl\""),
        ] {
            let Resolved::Refused { message: actual, .. } = resolve(words(line)) else {
                panic!("{line} was accepted")
            };
            assert_eq!(actual, message);
        }
    }

    #[test]
    fn etcdutl_knows_files_only() {
        for line in ["etcdutl snap stat f", "/usr/bin/etcdutl snapshot restore f --data-dir d"] {
            assert!(matches!(resolve(words(line)), Resolved::Line(..)), "{line}");
        }
        for line in ["etcdutl get k", "etcdutl put k v"] {
            let Resolved::Refused { message, .. } = resolve(words(line)) else {
                panic!("{line} was accepted")
            };
            assert!(message.ends_with("for \"etcdutl\""), "{message}");
        }
    }

    #[test]
    fn a_group_alone_shows_its_usage() {
        for line in [
            "etcdctl lease",
            "etcdctl lease bogus",
            "etcdctl",
            "etcdctl help get",
            "etcdctl get -h",
        ] {
            assert!(matches!(resolve(words(line)), Resolved::Usage(_)), "{line}");
        }
    }

    #[test]
    fn go_syntax_is_understood() {
        for line in [
            "etcdctl get k --prefix=true --prefix=false -w=json -w fields --limit=3 --limit 4",
            "etcdctl --endpoints=a:1 --endpoints b:2 get k",
            "etcdctl put k -- -v",
            "etcdctl get --rev -1 k",
            "etcdctl watch k --rev 1 -- echo -n hi",
        ] {
            assert!(matches!(resolve(words(line)), Resolved::Line(..)), "{line}");
        }
    }
}
