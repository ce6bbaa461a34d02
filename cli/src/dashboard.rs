//! `kvorum ui`: the dashboard on this terminal.

use std::process::ExitCode;

use kvorum_client::Config;
use kvorum_tui::{Options, UiError};

use crate::manner::Manner;
use crate::run::Streams;
use crate::{exit, terminal};

/// Opens the dashboard, with a runtime of its own.
pub fn main(config: Config, manner: &Manner) -> ExitCode {
    let mut streams = Streams::standard();
    if !terminal::stdin_is_terminal() || !terminal::stdout_is_terminal() {
        let text = "error: the dashboard needs a terminal\nhint: kvorum endpoint status\n";
        return streams.exit("", text, exit::ERROR);
    }
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())
        .and_then(|runtime| {
            runtime.block_on(run(config, manner)).map_err(|error| error.to_string())
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => streams.exit("", &format!("error: {error}\n"), exit::ERROR),
    }
}

/// Shows the dashboard until it is left.
pub async fn run(config: Config, manner: &Manner) -> Result<(), UiError> {
    let asked = Options::from_env();
    let options = Options {
        color: manner.color.is_wanted(),
        ascii: asked.ascii || manner.plain,
        separator: manner.separator,
    };
    kvorum_tui::run(config, options).await
}
