//! `config push FILE PREFIX`

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kvorum_client::flatten::ConfigFormat;

use crate::args::bytes_of;

/// Bring a configuration file, or a folder of files, into the cluster
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "config push [OPTIONS] <FILE> <PREFIX>",
    after_help = "JSON, YAML, TOML, and lines of NAME=VALUE (.env, .properties). What is nested \
                  becomes the segments of a key: {\"db\": {\"host\": \"x\"}} is PREFIX/db/host. \
                  Values are text, and a list is one value, as JSON. YAML has no anchors, aliases \
                  or tags here. Of a folder each file is one value, under its path; what begins \
                  with a dot is left out.\n\nA plan is shown first. What is already so is left as \
                  it is, and nothing is overwritten that somebody changed after the plan.\n\n\
                  Examples:\n  config push app.yaml /config/app/\n  config push prod.env \
                  /config/app/ --prune --dry-run\n  config push ./conf.d /config/files/"
)]
pub struct ConfigPushArgs {
    /// The file or the folder
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Where the keys go; a / is added at its end if there is none
    #[arg(value_name = "PREFIX")]
    prefix: OsString,

    /// Delete what is there and not in the file
    #[arg(long)]
    pub prune: bool,

    /// What the file is written in, if its name does not end so: json, yaml, toml, env
    #[arg(long, value_name = "FORMAT", value_enum, hide_possible_values = true)]
    format: Option<FormatChoice>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatChoice {
    Json,
    Yaml,
    Toml,
    Env,
}

impl ConfigPushArgs {
    /// With the separator at its end; empty is every key.
    pub fn prefix(&self, separator: u8) -> Vec<u8> {
        let mut prefix = bytes_of(&self.prefix);
        if prefix.last().is_some_and(|last| *last != separator) {
            prefix.push(separator);
        }
        prefix
    }

    /// `None`: nobody says, nor does the name of the file.
    pub fn format(&self) -> Option<ConfigFormat> {
        match self.format {
            Some(FormatChoice::Json) => Some(ConfigFormat::Json),
            Some(FormatChoice::Yaml) => Some(ConfigFormat::Yaml),
            Some(FormatChoice::Toml) => Some(ConfigFormat::Toml),
            Some(FormatChoice::Env) => Some(ConfigFormat::Lines),
            None => ConfigFormat::of_name(self.file.file_name()?.to_str()?),
        }
    }

    /// As it is typed, after a space; nothing if the name says it.
    pub fn format_flag(&self) -> &'static str {
        match self.format {
            Some(FormatChoice::Json) => " --format json",
            Some(FormatChoice::Yaml) => " --format yaml",
            Some(FormatChoice::Toml) => " --format toml",
            Some(FormatChoice::Env) => " --format env",
            None => "",
        }
    }
}
