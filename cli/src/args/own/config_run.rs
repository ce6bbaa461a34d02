//! `config run`

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;
use rustix::process::Signal;

use crate::args::{bytes_of, parse_duration};

/// Run a command with the keys below a prefix as its variables, and start it again when they change
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "config run [OPTIONS] <PREFIX> -- <COMMAND>...",
    after_help = "PREFIX usually ends in /. A variable is called what is behind it in the key, \
                  its case kept, with _ for every byte but letters, digits and _. Two keys that \
                  would be one variable, and a name that is empty or begins with a digit, are \
                  errors; if a change makes one, the command goes on with what it has.\n\nThe \
                  variables of a process that runs cannot be changed: with --signal, the command \
                  is told that there is something new, and has to look for it itself.\n\nSignals \
                  are passed on to the command, and its exit code is the one of this. Without a \
                  connection it goes on; it is told of what it missed.\n\nExamples:\n  config run \
                  /app/ -- ./server\n  config run /app/ --signal HUP -- nginx -g 'daemon off;'"
)]
pub struct ConfigRunArgs {
    /// What the keys begin with
    #[arg(value_name = "PREFIX")]
    prefix: OsString,

    /// What to run
    #[arg(last = true, value_name = "COMMAND", required = true)]
    pub command: Vec<OsString>,

    /// On a change, send this in place of starting again: HUP, USR1, USR2, WINCH, TERM, INT, QUIT
    #[arg(long, value_name = "SIGNAL", value_parser = parse_signal)]
    pub signal: Option<Signal>,

    /// How long changes are gathered, so that several of them start it once
    #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = parse_duration)]
    pub debounce: Duration,

    /// How long the command may take to end after TERM, before it is killed
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub grace: Duration,
}

impl ConfigRunArgs {
    pub fn prefix(&self) -> Vec<u8> {
        bytes_of(&self.prefix)
    }
}

/// With or without `SIG`.
fn parse_signal(text: &str) -> Result<Signal, String> {
    let name = text.to_ascii_uppercase();
    match name.strip_prefix("SIG").unwrap_or(&name) {
        "HUP" => Ok(Signal::HUP),
        "USR1" => Ok(Signal::USR1),
        "USR2" => Ok(Signal::USR2),
        "WINCH" => Ok(Signal::WINCH),
        "TERM" => Ok(Signal::TERM),
        "INT" => Ok(Signal::INT),
        "QUIT" => Ok(Signal::QUIT),
        _ => Err("one of HUP, USR1, USR2, WINCH, TERM, INT and QUIT".to_owned()),
    }
}
