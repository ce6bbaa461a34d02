//! Under the name `etcdutl`: what etcdutl does with snapshots and data directories, in cobra's and
//! pflag's syntax.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser as _};

use crate::args::FileLine;
use crate::cobra::{Commands, Program, Resolved};
use crate::mode::Mode;
use crate::run::{self, Streams};
use crate::{exit, usage};

/// Every command of etcdutl 3.6.
const COMMANDS: &Commands = &[
    ("completion", &[]),
    ("defrag", &[]),
    ("hashkv", &[]),
    ("help", &[]),
    ("migrate", &[]),
    ("snapshot", &["restore", "status"]),
    ("version", &[]),
];

pub(crate) const PROGRAM: Program = Program {
    name: "etcdutl",
    about: "An administrative command line tool for etcd3.",
    commands: COMMANDS,
    line: FileLine::command,
};

/// Runs one command line; the first word is the program's name.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let mut streams = Streams::standard();
    match PROGRAM.resolve(args) {
        Resolved::Usage(path) => streams.exit(&usage::text(&PROGRAM, &path), "", 0),
        Resolved::Refused { message, path } => {
            let usage = path.map(|path| usage::text(&PROGRAM, &path)).unwrap_or_default();
            streams.exit("", &format!("Error: {message}\n{usage}"), 1)
        }
        Resolved::Parsed(matches, _) => match FileLine::from_arg_matches(&matches) {
            Ok(line) => run::files(&line, Mode::Etcdctl, streams),
            Err(error) => streams.exit("", &format!("Error: {error}\n"), 1),
        },
    }
}

/// `kvorum server defrag`, which is etcdutl's; the first word is `defrag`.
pub fn defrag(mut args: Vec<OsString>) -> ExitCode {
    args.insert(0, "kvorum server".into());
    match FileLine::try_parse_from(args) {
        Ok(line) => run::files(&line, Mode::Kvorum, Streams::standard()),
        Err(error) => {
            let text = error.render().to_string();
            match error.kind() {
                ErrorKind::DisplayHelp => Streams::standard().exit(&text, "", 0),
                _ => Streams::standard().exit("", &text, exit::ERROR),
            }
        }
    }
}

/// Whether the program was called by this name.
pub fn is_name(program: &OsStr) -> bool {
    program == PROGRAM.name
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::PROGRAM;
    use crate::cobra::Resolved;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn it_knows_files_only() {
        for line in [
            "etcdutl snap stat f",
            "/usr/bin/etcdutl snapshot restore f --data-dir d",
            "etcdutl hash -w json f --rev=3",
            "etcdutl def --data-dir d",
        ] {
            assert!(matches!(PROGRAM.resolve(words(line)), Resolved::Parsed(..)), "{line}");
        }
        for line in ["etcdutl get k", "etcdutl put k v", "etcdutl snapshot save f"] {
            assert!(!matches!(PROGRAM.resolve(words(line)), Resolved::Parsed(..)), "{line}");
        }
    }
}
