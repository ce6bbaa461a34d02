//! `explain`

use clap::Args;

/// Say what an error, an alarm or an exit code means, and what to do next
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  kvorum explain NOSPACE\n  kvorum explain \"etcdserver: too many \
                  requests\"\n  kvorum explain exit 128"
)]
pub struct ExplainArgs {
    /// An error's words or a part of them, an alarm, or `exit` and a code; nothing lists what is
    /// known
    #[arg(value_name = "ERROR|ALARM")]
    pub words: Vec<String>,
}
