//! What Tab offers: commands, flags and live keys.
//!
//! Pure: it looks at the line, at the grammar the commands are parsed with, and at keys that are
//! known already.

use clap::{Arg, Command};

use super::words::Words;
use crate::output::{FORMATS, OWN_FORMATS};

/// Commands whose plain arguments are keys.
const TAKES_KEYS: [&str; 23] = [
    "get",
    "put",
    "del",
    "watch",
    "ls",
    "tree",
    "du",
    "count",
    "grep",
    "show",
    "edit",
    "locks",
    "roles-for",
    "wait",
    "history",
    "diff",
    "restore",
    "rollback",
    "top",
    "export",
    "cp",
    "mv",
    "cas",
];

/// What could stand at the end of a line.
#[derive(Debug)]
pub(super) enum Wanted<'a> {
    /// One of these words.
    Words(Vec<String>),
    /// A flag of this command.
    Flags(&'a Command),
    /// A key that begins with these bytes.
    Key(Vec<u8>),
    Nothing,
}

/// What could complete the last word of `line`, and where that word begins.
pub(super) fn wanted<'a>(
    grammar: &'a Command,
    builtins: &[&str],
    line: &str,
) -> (usize, Wanted<'a>) {
    let Words { list: mut words, in_word, .. } = Words::split(line);
    let last = if in_word { words.pop() } else { None };
    let (start, prefix) = last.map_or((line.len(), Vec::new()), |word| (word.start, word.bytes));
    let mut command = grammar;
    let mut plain = 0;
    let mut awaits = None;
    for word in &words {
        let text = String::from_utf8_lossy(&word.bytes);
        if awaits.take().is_some() {
            continue;
        }
        if let Some(flag) = text.strip_prefix('-').filter(|flag| !flag.is_empty()) {
            awaits = flag_with_value(command, flag.trim_start_matches('-'));
        } else if let Some(next) = command.find_subcommand(&*text) {
            command = next;
        } else {
            plain += 1;
        }
    }
    if let Some(flag) = awaits {
        return (start, value_of(flag, &prefix));
    }
    if prefix.starts_with(b"-") {
        return (start, Wanted::Flags(command));
    }
    if command.has_subcommands() && plain == 0 {
        let mut names: Vec<_> = visible(command).map(|sub| sub.get_name().to_owned()).collect();
        if words.is_empty() {
            names.extend(builtins.iter().map(ToString::to_string));
        }
        names.retain(|name| name.as_bytes().starts_with(&prefix));
        names.sort();
        names.dedup();
        return (start, Wanted::Words(names));
    }
    let keys = match command.get_name() {
        "get" | "del" | "watch" | "diff" | "cp" | "mv" => 0..2,
        // What is searched for comes first.
        "grep" => 1..2,
        _ => 0..1,
    };
    if TAKES_KEYS.contains(&command.get_name()) && keys.contains(&plain) {
        return (start, Wanted::Key(prefix));
    }
    (start, Wanted::Nothing)
}

/// The flags of a command that begin with `prefix`, each with its help.
pub(super) fn flags(command: &Command, prefix: &str) -> Vec<(String, String)> {
    let mut found: Vec<_> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set())
        .filter_map(|arg| Some((format!("--{}", arg.get_long()?), first_line(arg))))
        .filter(|(flag, _)| flag.starts_with(prefix))
        .collect();
    found.sort();
    found.dedup();
    found
}

fn first_line(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    help.lines().next().unwrap_or_default().to_owned()
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}

/// The flag, if the next word is its value.
fn flag_with_value<'a>(command: &'a Command, flag: &str) -> Option<&'a Arg> {
    command
        .get_arguments()
        .find(|arg| {
            arg.get_long() == Some(flag)
                || flag.len() == 1 && arg.get_short().is_some_and(|short| flag.starts_with(short))
        })
        .filter(|arg| {
            arg.get_action().takes_values() && arg.get_num_args().is_none_or(|n| n.min_values() > 0)
        })
}

fn value_of(flag: &Arg, prefix: &[u8]) -> Wanted<'static> {
    let known: &[&str] = match flag.get_id().as_str() {
        "output" => &OWN_FORMATS,
        "write_out" => &FORMATS,
        _ => return Wanted::Nothing,
    };
    let fitting = known.iter().filter(|name| name.as_bytes().starts_with(prefix));
    Wanted::Words(fitting.map(|name| (*name).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::{Wanted, flags, wanted};
    use clap::{Arg, ArgAction, Command};

    fn grammar() -> Command {
        let get = Command::new("get")
            .arg(Arg::new("limit").long("limit").help("keys at most"))
            .arg(Arg::new("output").short('o').long("output"))
            .arg(Arg::new("prefix").long("prefix").action(ArgAction::SetTrue));
        let lease = Command::new("lease")
            .subcommand(Command::new("grant"))
            .subcommand(Command::new("list"));
        let mut grammar = Command::new("")
            .subcommand(get)
            .subcommand(Command::new("put"))
            .subcommand(lease)
            .subcommand(Command::new("grep"));
        grammar.build();
        grammar
    }

    fn at(line: &str) -> (usize, String) {
        let grammar = grammar();
        let (start, wanted) = wanted(&grammar, &["jobs"], line);
        let wanted = match wanted {
            Wanted::Words(words) => words.join(" "),
            Wanted::Flags(command) => format!("flags of {}", command.get_name()),
            Wanted::Key(prefix) => format!("keys from {}", String::from_utf8_lossy(&prefix)),
            Wanted::Nothing => "nothing".to_owned(),
        };
        (start, wanted)
    }

    #[test]
    fn the_first_word_is_a_command() {
        assert_eq!(at(""), (0, "get grep help jobs lease put".to_owned()));
        assert_eq!(at("  l"), (2, "lease".to_owned()));
        assert_eq!(at("lease g"), (6, "grant".to_owned()));
    }

    #[test]
    fn flags_and_keys_follow_it() {
        assert_eq!(at("get --li"), (4, "flags of get".to_owned()));
        assert_eq!(at("get --prefix /a"), (13, "keys from /a".to_owned()));
        assert_eq!(at("get --limit 5 '/a b"), (14, "keys from /a b".to_owned()));
        assert_eq!(at("get --limit "), (12, "nothing".to_owned()));
        assert_eq!(at("get -o js"), (7, "json jsonpath=".to_owned()));
        assert_eq!(at("get --output y"), (13, "yaml".to_owned()));
        assert_eq!(at("put /a "), (7, "nothing".to_owned()));
        assert_eq!(at("grep /a"), (5, "nothing".to_owned()));
        assert_eq!(at("grep x /a"), (7, "keys from /a".to_owned()));
        assert_eq!(at("nonsense x"), (9, "nothing".to_owned()));
    }

    #[test]
    fn a_flag_is_offered_with_its_help() {
        let grammar = grammar();
        let get = grammar.find_subcommand("get").unwrap();
        assert_eq!(flags(get, "--l"), [("--limit".to_owned(), "keys at most".to_owned())]);
    }
}
