//! The shell: the commands of the command line with editing, history, completion of live keys,
//! and watches that go on in the background.
//!
//! [`editor`] reads lines on a thread of its own; [`cache`] keeps keys for it, so that a key press
//! never waits for the network. What appears on its own is printed above the prompt by [`screen`].
//! A pipe on standard input is run as a script: the same lines, without the terminal.

mod cache;
mod complete;
mod editor;
mod greeting;
mod history;
mod jobs;
mod line;
mod monitor;
mod restore;
mod screen;
mod script;
mod shell;
mod watching;
mod words;

use std::process::ExitCode;

use kvorum_client::Connection;

use crate::command::CommandError;
use crate::run::Streams;
use crate::settings::Settings;
use crate::signals::Ended;
use crate::{exit, terminal};

pub use greeting::greeting;

/// Opens the shell on a terminal, or runs standard input as a script.
pub fn main(settings: Settings) -> ExitCode {
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                return Streams::standard().exit("", &format!("error: {error}\n"), exit::ERROR);
            }
        };
    let code = runtime.block_on(run(settings));
    // The line editor's thread may still wait for a key.
    runtime.shutdown_background();
    code
}

/// The shell on a runtime that is there already.
pub async fn run(settings: Settings) -> ExitCode {
    let color = settings.manner.color;
    let outcome = if terminal::stdin_is_terminal() && terminal::stdout_is_terminal() {
        until_ended(settings).await
    } else {
        script::run(settings).await
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let text = crate::run::explain(&error, crate::mode::Mode::Kvorum, color);
            Streams::standard().exit("", &text, error.code())
        }
    }
}

/// The shell, until it is left or the program is asked to end.
async fn until_ended(settings: Settings) -> Result<u8, CommandError> {
    let mut ended = Ended::new()?;
    tokio::select! {
        left = shell::run(settings) => left,
        () = ended.wait() => Ok(0),
    }
}

/// A connection on which something has answered.
async fn connect(settings: &Settings) -> Result<Connection, CommandError> {
    Ok(Connection::open(settings.client.clone()).await?)
}
