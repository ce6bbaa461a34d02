//! `config render`

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::args::{UsageError, parse_duration};

/// Make a file from a template with values of keys in it, and make it again when they change
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "config render [OPTIONS] <TEMPLATE> -o <FILE>",
    after_help = "Templates are those of Jinja: {{ get(\"/app/host\") }}, {{ get(\"/app/port\", \
                  5432) }} with a default, {% for name, value in list(\"/app/users/\") %}, {{ \
                  services(\"web\") | join(\",\") }} for the addresses of a service, {% set pool = \
                  get(\"/app/pool\") | from_json %}.\n\nFILE is replaced as a whole, its \
                  permissions kept, and stays as it is while a key is missing, the template fails \
                  or the check does. The check is run by sh with the new file in place of {} and \
                  in KVORUM_FILE, the reload after FILE was replaced. With --dry-run the text is \
                  printed and nothing else is done. The template itself is read once.\n\n\
                  Examples:\n  config render app.conf.j2 -o /etc/app.conf\n  config render \
                  nginx.conf.j2 -o nginx.conf --check 'nginx -t -c {}' --reload 'nginx -s \
                  reload'\n  config render app.conf.j2 -o app.conf --once"
)]
pub struct ConfigRenderArgs {
    /// The template
    #[arg(value_name = "TEMPLATE")]
    pub template: PathBuf,

    /// Of the global option `-o`, which names a format everywhere else.
    #[arg(skip)]
    pub(super) file: Option<PathBuf>,

    /// Accept a new file only if this succeeds
    #[arg(long, value_name = "COMMAND")]
    pub check: Option<String>,

    /// Run this when there is a new file
    #[arg(long, value_name = "COMMAND")]
    pub reload: Option<String>,

    /// Make the file once, and end
    #[arg(long)]
    pub once: bool,

    /// How long changes are gathered, so that several of them make one file
    #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = parse_duration)]
    pub debounce: Duration,
}

impl ConfigRenderArgs {
    pub(super) fn check(&self) -> Result<(), UsageError> {
        let is_blank = |command: &Option<String>| {
            command.as_ref().is_some_and(|command| command.trim().is_empty())
        };
        if is_blank(&self.check) || is_blank(&self.reload) {
            return Err(UsageError::arguments("a command is not empty"));
        }
        Ok(())
    }

    /// What is to be made.
    pub fn file(&self) -> Result<&PathBuf, UsageError> {
        match &self.file {
            Some(file) if file.as_os_str() != "-" => Ok(file),
            _ => Err(UsageError::arguments(
                "which file is to be made? -o FILE, or --dry-run to see the text",
            )),
        }
    }
}
