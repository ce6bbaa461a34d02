//! A command line as cobra and pflag read it: abbreviated commands, Go's flags, help by any of its
//! ways. Each program of etcd's says which commands it has ([`Program`]).

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use crate::args::{BEYOND, narrowed};

/// Commands by name, in the order in which they are abbreviated, with their subcommands.
pub(crate) type Commands = [(&'static str, &'static [&'static str])];

/// A program that cobra would run.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// All of its commands.
    pub(crate) commands: &'static Commands,
    /// How its lines are parsed. There may be more commands in it than the program has.
    pub(crate) line: fn() -> Command,
}

/// What a command line comes to.
pub(crate) enum Resolved {
    /// What was parsed, and the words as they were, but for abbreviations.
    Parsed(ArgMatches, Vec<OsString>),
    /// Help was asked for, or a group was named without a command of it.
    Usage(Vec<String>),
    /// The words make no sense; with a path, its usage is printed as well.
    Refused { message: String, path: Option<Vec<String>> },
}

impl Program {
    /// Reads one command line; the first word is the program's name.
    pub(crate) fn resolve(&self, mut args: Vec<OsString>) -> Resolved {
        let words = match self.expand(&mut args) {
            Ok(words) => words,
            Err(message) => return Resolved::Refused { message, path: None },
        };
        if words.first().is_some_and(|word| word == "help") {
            return Resolved::Usage(words[1..].to_vec());
        }
        match self.parse(&args) {
            Ok(matches) if deepest(&matches).get_flag("help") || matches.subcommand().is_none() => {
                Resolved::Usage(words)
            }
            Ok(matches) => match self.beyond(&words, &matches) {
                Some(message) => Resolved::Refused { message, path: Some(words) },
                None => Resolved::Parsed(matches, args),
            },
            // A group of commands alone, or with a word that is none of them, shows what it has.
            Err(error) if self.is_group(&words) && !is_flag_error(&error) => Resolved::Usage(words),
            Err(error) => {
                let message = self.beyond_of(&words, &error).unwrap_or_else(|| flag_error(&error));
                Resolved::Refused { message, path: Some(words) }
            }
        }
    }

    /// A complaint about a flag that only `kvorum` has, if the line uses one.
    fn beyond(&self, words: &[String], matches: &ArgMatches) -> Option<String> {
        let (line, matches) = ((self.line)(), deepest(matches));
        let mut flags = command_of(&line, words).get_arguments().filter(|arg| is_beyond(arg));
        let used = flags.find(|arg| {
            let source = matches.value_source(arg.get_id().as_str());
            arg.get_long().is_some() && source == Some(ValueSource::CommandLine)
        })?;
        Some(unknown(used.get_long()?))
    }

    /// As [`Self::beyond`], where the flag has no value that fits.
    fn beyond_of(&self, words: &[String], error: &clap::Error) -> Option<String> {
        let said = context(error, ContextKind::InvalidArg)?;
        let named = said.split([' ', '=', '[']).next()?.strip_prefix("--")?;
        let line = (self.line)();
        let mut flags = command_of(&line, words).get_arguments().filter(|arg| is_beyond(arg));
        flags.any(|arg| arg.get_long() == Some(named)).then(|| unknown(named))
    }

    /// The commands that the program has, for whoever shows them or completes them.
    pub(crate) fn grammar(&self) -> Command {
        let line = (self.line)();
        let mut grammar = bare(self.name, &line);
        for command in line.get_subcommands() {
            let known = self.commands.iter().find(|(name, _)| *name == command.get_name());
            let Some((name, subs)) = known else { continue };
            let mut kept = command.clone();
            if command.get_arguments().any(is_beyond) {
                kept = bare(name, command);
            } else if command.has_subcommands() {
                kept = bare(name, command);
                let known = |sub: &&Command| subs.contains(&sub.get_name());
                kept = kept.subcommands(command.get_subcommands().filter(known).cloned());
            }
            grammar = grammar.subcommand(kept);
        }
        grammar
    }

    /// Parses words whose commands are named in full, by those commands if that will do.
    fn parse(&self, args: &[OsString]) -> Result<ArgMatches, clap::Error> {
        let help = clap::Arg::new("help")
            .short('h')
            .long("help")
            .global(true)
            .action(clap::ArgAction::SetTrue);
        let line = (self.line)();
        let root = bare(self.name, &line).args_override_self(true);
        let parser = |line: Command| {
            line.disable_version_flag(true).disable_help_flag(true).arg(help.clone())
        };
        let matches = parser(narrowed(root, &line, args)).try_get_matches_from(args);
        matches.or_else(|_| parser(line.name(self.name)).try_get_matches_from(args))
    }

    fn subcommands(&self, name: &str) -> Option<&'static [&'static str]> {
        self.commands.iter().find(|(known, _)| *known == name).map(|(_, subs)| *subs)
    }

    fn is_group(&self, words: &[String]) -> bool {
        match words {
            [] => true,
            [word] => self.subcommands(word).is_some_and(|subs| !subs.is_empty()),
            _ => false,
        }
    }

    /// Finds the command words, replaces abbreviations by whole words, and returns them: at most
    /// two, fewer where a word is missing. Of `help x y`, all three.
    fn expand(&self, args: &mut [OsString]) -> Result<Vec<String>, String> {
        let mut places = self.command_places(args).into_iter();
        let Some(at) = places.next() else { return Ok(Vec::new()) };
        let typed = args[at].to_string_lossy().into_owned();
        let names: Vec<&str> = self.commands.iter().map(|(name, _)| *name).collect();
        let Some(name) = abbreviated(&names, &typed) else {
            return Err(format!("unknown command {typed:?} for {:?}", self.name));
        };
        args[at] = name.into();
        let mut words = vec![name.to_owned()];
        let mut subs = self.subcommands(name).unwrap_or_default();
        if name == "help" {
            let Some(topic) = places.next() else { return Ok(words) };
            let Some(name) = abbreviated(&names, &args[topic].to_string_lossy()) else {
                return Ok(words);
            };
            words.push(name.to_owned());
            subs = self.subcommands(name).unwrap_or_default();
        }
        if let Some(at) = places.next()
            && let Some(sub) = abbreviated(subs, &args[at].to_string_lossy())
        {
            args[at] = sub.into();
            words.push(sub.to_owned());
        }
        Ok(words)
    }

    /// Where words are that are neither flags nor values of flags.
    fn command_places(&self, args: &[OsString]) -> Vec<usize> {
        let mut line = None;
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
                skip = takes_next(line.get_or_insert_with(self.line), &text);
            } else {
                places.push(at);
            }
        }
        places
    }
}

/// Whether etcdctl has no such flag.
fn is_beyond(arg: &Arg) -> bool {
    arg.get_help_heading() == Some(BEYOND)
}

/// The command that these words lead to.
fn command_of<'a>(line: &'a Command, words: &[String]) -> &'a Command {
    words.iter().fold(line, |command, word| command.find_subcommand(word).unwrap_or(command))
}

fn unknown(flag: &str) -> String {
    format!("unknown flag: --{flag}")
}

/// A command without its subcommands, and without what only `kvorum` has.
fn bare(name: &'static str, of: &Command) -> Command {
    let about = of.get_about().cloned().unwrap_or_default();
    let args = of.get_arguments().filter(|arg| !is_beyond(arg));
    let bare = Command::new(name).about(about).args(args.cloned());
    bare.disable_help_subcommand(true).disable_version_flag(true)
}

fn deepest(matches: &ArgMatches) -> &ArgMatches {
    let mut deepest = matches;
    while let Some((_, deeper)) = deepest.subcommand() {
        deepest = deeper;
    }
    deepest
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

/// Whether this global flag has its value in the next word.
fn takes_next(line: &Command, flag: &str) -> bool {
    if flag.contains('=') {
        return false;
    }
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

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::Program;

    fn program() -> Program {
        crate::etcdctl::PROGRAM
    }

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
            program().expand(&mut args).unwrap();
            assert_eq!(args, words(expanded));
        }
        assert!(program().expand(&mut words("etcdctl e")).is_err());
        assert!(program().expand(&mut words("etcdctl le x")).is_ok());
        assert!(program().expand(&mut words("etcdctl l")).is_err());
    }

    #[test]
    fn the_commands_of_a_program_are_those_of_its_grammar() {
        for program in [crate::etcdctl::PROGRAM, crate::etcdutl::PROGRAM] {
            let line = (program.line)();
            for (name, subs) in program.commands.iter().filter(|(name, _)| *name != "help") {
                let Some(command) = line.find_subcommand(name) else { panic!("{name}") };
                let is_there = |sub: &&str| command.find_subcommand(sub).is_some();
                assert!(subs.iter().all(is_there), "{name}");
            }
            for command in program.grammar().get_subcommands() {
                let name = command.get_name();
                assert!(program.subcommands(name).is_some(), "{name}");
            }
        }
    }
}
