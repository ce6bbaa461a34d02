//! `top`

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;

use crate::args::{UsageError, bytes_of, parse_duration};

/// Show which keys or branches are written most, from now on
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Nothing is asked of the cluster but one watch. On a terminal the table is \
                        drawn anew until Ctrl-C; elsewhere it is printed once, at the end, and \
                        with -o ndjson after every interval.\n\nExamples:\n  top\n  top /registry/ \
                        --depth 2\n  top /config/ --for 10s -o json"
)]
pub struct TopArgs {
    /// What the keys begin with; without one, every key
    #[arg(value_name = "PREFIX", default_value = "", hide_default_value = true)]
    prefix: OsString,

    /// By branch, with so many segments behind PREFIX; without, by key
    #[arg(long, value_name = "SEGMENTS", default_value_t = 0, hide_default_value = true)]
    pub depth: usize,

    /// How long; without, until Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub duration: Option<Duration>,

    /// Rates are those of so long, and so often they are shown
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    pub interval: Duration,

    /// Names shown
    #[arg(long, value_name = "NAMES", default_value_t = 20)]
    pub limit: usize,
}

/// More often nobody can read it.
const SHORTEST: Duration = Duration::from_millis(50);

impl TopArgs {
    pub fn check(&self) -> Result<(), UsageError> {
        if self.interval < SHORTEST {
            let message = format!("an --interval of at least {SHORTEST:?} is needed");
            return Err(UsageError::arguments(message));
        }
        Ok(())
    }

    pub fn prefix(&self) -> Vec<u8> {
        bytes_of(&self.prefix)
    }
}
