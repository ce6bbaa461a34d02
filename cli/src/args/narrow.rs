//! The part of a grammar that a line can need.

use std::ffi::OsString;

use clap::Command;

/// `root` with those commands of `full` whose names are among `words`.
///
/// The parser gives every command a copy of every global option, and with all commands that is most
/// of the memory that a short command ever takes. A line that parses so parses the same with all
/// commands; the error of one that does not has to be asked of the whole grammar, which knows what
/// might have been meant.
pub(crate) fn narrowed(root: Command, full: &Command, words: &[OsString]) -> Command {
    let named = |command: &&Command| {
        let is = |name: &str| words.iter().any(|word| word == name);
        is(command.get_name()) || command.get_all_aliases().any(is)
    };
    root.subcommands(full.get_subcommands().filter(named).cloned())
}
