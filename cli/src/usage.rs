//! Usage in etcdctl's layout, from the definitions of the commands we have.

use std::fmt::Write;

use clap::{Arg, Command};

use crate::cobra::Program;
use crate::command::{API_VERSION, ETCD_VERSION};
use crate::mode::Mode;
use crate::{etcdctl, kvorum};

/// The usage of the command that these words lead to.
pub(crate) fn text(program: &Program, words: &[String]) -> String {
    let mut line = program.grammar();
    line.build();
    let mut command = &line;
    for word in words {
        let Some(deeper) = command.find_subcommand(word) else { break };
        command = deeper;
    }
    let mut out = String::new();
    let root = words.is_empty();
    let (name, about) = if root {
        (program.name.to_owned(), program.about.to_owned())
    } else {
        (words.join(" "), command.get_about().map(ToString::to_string).unwrap_or_default())
    };
    let _ = writeln!(out, "NAME:\n\t{name} - {about}\n");
    let _ = writeln!(out, "USAGE:\n\t{} {}[flags]\n", program.name, usage_words(words, command));
    if root {
        let _ = writeln!(out, "VERSION:\n\t{ETCD_VERSION}\n");
    }
    if command.has_subcommands() {
        let _ = writeln!(out, "API VERSION:\n\t{API_VERSION}\n\n\nCOMMANDS:");
        let mut rows = Vec::new();
        list(command, "", &mut rows);
        columns(&rows, "\t", &mut out);
    }
    let flags = |global: bool| -> Vec<(String, String)> {
        let args = command.get_arguments().filter(|arg| {
            !arg.is_positional() && !arg.is_hide_set() && (root || arg.is_global_set() == global)
        });
        args.map(flag_row).collect()
    };
    let own = if root { flags(true) } else { flags(false) };
    if !own.is_empty() {
        out.push_str("\nOPTIONS:\n");
        columns(&own, "", &mut out);
    }
    if !root {
        out.push_str("\nGLOBAL OPTIONS:\n");
        columns(&flags(true), "", &mut out);
    }
    out.push('\n');
    out
}

/// The flags that every command takes.
pub(crate) fn options(mode: Mode) -> String {
    let mut line = match mode {
        Mode::Etcdctl => etcdctl::PROGRAM.grammar(),
        Mode::Kvorum => kvorum::grammar(),
    };
    line.build();
    let flags = line.get_arguments().filter(|arg| arg.is_global_set());
    let mut out = "The following options can be passed to any command:\n\n".to_owned();
    columns(&flags.map(flag_row).collect::<Vec<_>>(), "", &mut out);
    out
}

fn usage_words(words: &[String], command: &Command) -> String {
    if words.is_empty() {
        return String::new();
    }
    let arguments: Vec<_> = command
        .get_positionals()
        .filter(|arg| !arg.is_hide_set())
        .filter_map(|arg| arg.get_value_names())
        .flatten()
        .map(|name| format!("<{}>", name.to_lowercase().replace(' ', "> <")))
        .collect();
    let rest =
        if command.has_subcommands() { "<subcommand>".to_owned() } else { arguments.join(" ") };
    format!("{} {rest}{}", words.join(" "), if rest.is_empty() { "" } else { " " })
}

fn list(command: &Command, above: &str, rows: &mut Vec<(String, String)>) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let name = format!("{above}{}", sub.get_name());
        if sub.has_subcommands() {
            list(sub, &format!("{name} "), rows);
        } else {
            rows.push((name, sub.get_about().map(ToString::to_string).unwrap_or_default()));
        }
    }
    rows.sort();
}

fn flag_row(arg: &Arg) -> (String, String) {
    let short = arg.get_short().map_or("    ".to_owned(), |short| format!("-{short}, "));
    let long = arg.get_long().unwrap_or_default();
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let value = match arg.get_value_names() {
        Some([name]) if arg.get_action().takes_values() && name != "BOOL" => {
            format!("={}", name.to_lowercase())
        }
        _ => String::new(),
    };
    (format!("  {short}--{long}{value}"), help)
}

/// Two columns, the second one lined up.
fn columns(rows: &[(String, String)], indent: &str, out: &mut String) {
    let width = rows.iter().map(|(left, _)| left.len()).max().unwrap_or_default();
    for (left, right) in rows {
        let _ = writeln!(out, "{indent}{left:width$}  {right}");
    }
}

#[cfg(test)]
mod tests {
    use super::options;
    use crate::mode::Mode;

    #[test]
    fn options_lists_every_global_flag_the_rare_ones_as_well() {
        let text = options(Mode::Etcdctl);
        assert!(text.starts_with("The following options can be passed to any command:\n\n"));
        for flag in ["--endpoints", "-w, --write-out", "--password", "-d, --discovery-srv"] {
            assert!(text.contains(flag), "{flag} is not in {text}");
        }
        assert!(!text.contains("--prefix") && !text.contains("--dry-run"), "{text}");
        let kvorum = options(Mode::Kvorum);
        assert!(kvorum.contains("--endpoints") && kvorum.contains("--dry-run"), "{kvorum}");
    }
}
