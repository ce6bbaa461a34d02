//! `completion bash|zsh|fish|powershell`

use clap::Args;

use super::UsageError;
use crate::exit;

/// Print what completes commands and flags in a shell
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "completion [bash|zsh|fish|powershell]",
    after_help = "Examples:\n  source <(etcdctl completion bash)\n  \
                  etcdctl completion zsh > \"${fpath[1]}/_etcdctl\"\n  \
                  etcdctl completion fish > ~/.config/fish/completions/etcdctl.fish\n  \
                  etcdctl completion powershell | Out-String | Invoke-Expression"
)]
pub struct CompletionArgs {
    #[arg(value_name = "SHELL")]
    pub operands: Vec<String>,
}

/// A shell that completions can be had for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

impl CompletionArgs {
    /// The shell; the error is that of a program of this name.
    pub fn shell(&self, program: &str) -> Result<Shell, UsageError> {
        let refused = |message| UsageError { code: exit::ERROR, message };
        let [shell] = self.operands.as_slice() else {
            let count = self.operands.len();
            return Err(refused(format!("accepts 1 arg(s), received {count}")));
        };
        match shell.as_str() {
            "bash" => Ok(Shell::Bash),
            "zsh" => Ok(Shell::Zsh),
            "fish" => Ok(Shell::Fish),
            "powershell" => Ok(Shell::Powershell),
            other => Err(refused(format!(
                "invalid argument {} for \"{program} completion\"",
                crate::output::go::quote(other.as_bytes())
            ))),
        }
    }
}
