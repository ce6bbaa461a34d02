//! Under the name `etcdctl`: strictly what etcdctl does, in cobra's and pflag's syntax.
//!
//! etcdctl resolves abbreviations among all of its commands.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::args::{Command, Line, Preferences, SnapshotCommand};
use crate::cobra::{Commands, Program, Resolved};
use crate::mode::Mode;
use crate::run::{self, Invocation, Streams, Task};
use crate::{exit, usage};

/// Every command of etcdctl 3.6 with its subcommands, in its order; and `snapshot restore` and
/// `snapshot status`, which 3.4 and 3.5 have here and scripts still call.
const COMMANDS: &Commands = &[
    ("alarm", &["disarm", "list"]),
    ("auth", &["disable", "enable", "status"]),
    ("check", &["datascale", "perf"]),
    ("compaction", &[]),
    ("completion", &[]),
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

pub(crate) const PROGRAM: Program = Program {
    name: "etcdctl",
    about: "A simple command line client for etcd3.",
    commands: COMMANDS,
    line: <Line as CommandFactory>::command,
};

/// Runs one command line; the first word is the program's name.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let mut streams = Streams::standard();
    if let Some(message) = other_api(std::env::var_os("ETCDCTL_API")) {
        return streams.exit("", &message, exit::ERROR);
    }
    match PROGRAM.resolve(args) {
        Resolved::Usage(path) => streams.exit(&usage::text(&PROGRAM, &path), "", 0),
        Resolved::Refused { message, path } => refuse(&message, path, streams),
        Resolved::Parsed(matches, args) => match Line::from_arg_matches(&matches) {
            Ok(Line { global, command: Some(mut command) }) => {
                note_empty_exec(&mut command, &args);
                if let Command::Completion(args) = &command
                    && let Err(error) = args.shell(PROGRAM.name)
                {
                    return refuse(&error.message, Some(vec!["completion".to_owned()]), streams);
                }
                if let Some(remark) = deprecation(&command) {
                    // Nobody listening is no reason to stop.
                    let _ = writeln!(streams.err, "{remark}\n");
                }
                let invocation = Invocation {
                    global: &global,
                    preferences: &Preferences::default(),
                    mode: Mode::Etcdctl,
                    typed: &[],
                };
                run::command(invocation, Task::Cluster(&command), streams)
            }
            Ok(Line { command: None, .. }) => streams.exit(&usage::text(&PROGRAM, &[]), "", 0),
            Err(error) => refuse(&error.to_string(), None, streams),
        },
    }
}

fn refuse(message: &str, path: Option<Vec<String>>, mut streams: Streams) -> ExitCode {
    let usage = path.map(|path| usage::text(&PROGRAM, &path)).unwrap_or_default();
    streams.exit(&usage, &format!("Error: {message}\n"), exit::ERROR)
}

/// What is said to whoever wants another version of the API than the third, in etcdctl's words.
fn other_api(wanted: Option<OsString>) -> Option<String> {
    let wanted = wanted.filter(|version| !version.is_empty() && version != "3")?;
    Some(format!("unsupported API version: {}\n", wanted.to_string_lossy()))
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

/// What etcdctl 3.5 says of commands that 3.6 has in etcdutl only.
fn deprecation(command: &Command) -> Option<&'static str> {
    let Command::Snapshot(snapshot) = command else { return None };
    match snapshot.command {
        SnapshotCommand::Status(_) => Some("Deprecated: Use `etcdutl snapshot status` instead."),
        SnapshotCommand::Restore(_) => Some("Deprecated: Use `etcdutl snapshot restore` instead."),
        SnapshotCommand::Save(_) => None,
    }
}

/// Whether the program was called by this name.
pub fn is_name(program: &OsStr) -> bool {
    program == PROGRAM.name
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{PROGRAM, other_api};
    use crate::cobra::Resolved;

    fn resolve(args: Vec<OsString>) -> Resolved {
        PROGRAM.resolve(args)
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
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
            ("etcdctl lock a --try", "unknown flag: --try"),
            ("etcdctl lock a --on-lost=kill", "unknown flag: --on-lost"),
            ("etcdctl lock a --timeout soon", "unknown flag: --timeout"),
            ("etcdctl elect a --on-lost bogus", "unknown flag: --on-lost"),
            ("etcdctl bogus", "unknown command \"bogus\" for \"etcdctl\""),
        ] {
            let Resolved::Refused { message: actual, .. } = resolve(words(line)) else {
                panic!("{line} was accepted")
            };
            assert_eq!(actual, message);
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
    fn the_third_version_of_the_api_is_the_only_one() {
        for wanted in [None, Some("".into()), Some("3".into())] {
            assert_eq!(other_api(wanted), None);
        }
        assert_eq!(other_api(Some("2".into())).unwrap(), "unsupported API version: 2\n");
    }

    #[test]
    fn go_syntax_is_understood() {
        for line in [
            "etcdctl get k --prefix=true --prefix=false -w=json -w fields --limit=3 --limit 4",
            "etcdctl --endpoints=a:1 --endpoints b:2 get k",
            "etcdctl put k -- -v",
            "etcdctl get --rev -1 k",
            "etcdctl watch k --rev 1 -- echo -n hi",
            "etcdctl lock k -- flock --try",
        ] {
            assert!(matches!(resolve(words(line)), Resolved::Parsed(..)), "{line}");
        }
    }
}
