//! Scripts that complete commands and flags in a shell, made from what lines are parsed with.

use clap::Command;
use clap_complete::generate;

use crate::args::Shell;
use crate::mode::Mode;
use crate::output::FORMATS;
use crate::{etcdctl, etcdutl, tab};

/// What completes the lines of the program that runs in this mode.
pub(crate) fn script(shell: Shell, mode: Mode) -> Vec<u8> {
    match mode {
        Mode::Kvorum => tab::script(shell),
        Mode::Etcdctl => of(shell, etcdctl::PROGRAM.grammar()),
    }
}

/// What completes etcdutl's lines.
pub(crate) fn script_for_files(shell: Shell) -> Vec<u8> {
    of(shell, etcdutl::PROGRAM.grammar())
}

fn of(shell: Shell, grammar: Command) -> Vec<u8> {
    // A line is parsed without it: etcdctl has words of its own for a format that is none.
    let mut grammar = grammar.mut_arg("write_out", |arg| arg.value_parser(FORMATS));
    let name = grammar.get_name().to_owned();
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
        Shell::Powershell => clap_complete::Shell::PowerShell,
    };
    let mut script = Vec::new();
    generate(shell, &mut grammar, name, &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::{script, script_for_files};
    use crate::args::Shell;
    use crate::mode::Mode;

    #[test]
    fn each_program_has_scripts_with_its_own_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Powershell] {
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            let etcdctl = text(script(shell, Mode::Etcdctl));
            assert!(etcdctl.contains("simple json fields") || !matches!(shell, Shell::Bash));
            assert!(etcdctl.contains("make-mirror") && !etcdctl.contains("playground"));
            assert!(text(script(shell, Mode::Kvorum)).contains("COMPLETE"), "it calls back");
            let etcdutl = text(script_for_files(shell));
            assert!(etcdutl.contains("hashkv") && !etcdutl.contains("make-mirror"));
        }
    }
}
