//! `man`

use std::path::PathBuf;

use clap::Args;

/// Print the manual page, or write a page for every command into a folder
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  kvorum man | man -l -\n  kvorum man --dir \
                  ~/.local/share/man/man1")]
pub struct ManArgs {
    /// The folder; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
