//! What can be typed into the shell: every command of the command line, by the same types, and a
//! few of the shell's own.

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::args::{Alone, Command, Global, Own, Preferences};
use crate::manner::{Color, Manner};
use crate::output::{Format, Paint, Style};

#[derive(Debug, Parser)]
#[command(
    name = "",
    no_binary_name = true,
    args_override_self = true,
    disable_version_flag = true,
    arg_required_else_help = true,
    help_template = "{subcommands}"
)]
pub(super) struct ShellLine {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(flatten)]
    pub(super) preferences: Preferences,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    #[command(flatten)]
    Cluster(Command),
    #[command(flatten)]
    Own(Own),
    #[command(flatten)]
    Alone(Alone),
    /// Show which watches run in the background
    Jobs,
    /// End a watch that runs in the background
    Kill {
        /// Its number, as `jobs` shows it
        number: usize,
    },
    /// Open the dashboard; q comes back
    Ui,
    /// Leave the shell; so does Ctrl-D
    #[command(visible_alias = "quit")]
    Exit,
}

/// The global options that a line may choose for itself.
const PER_LINE: [&str; 8] =
    ["write_out", "hex", "output", "dry_run", "yes", "quiet", "plain", "reveal"];

/// The shell's own verbs that take no place among the commands of the command line.
pub(super) const ALIASES: &[&str] = &["quit"];

impl ShellLine {
    pub(super) fn parse(words: Vec<OsString>) -> Result<Self, clap::Error> {
        let mut matches = Self::shown().try_get_matches_from(words)?;
        let mut line = Self::from_arg_matches_mut(&mut matches)?;
        if let Verb::Own(own) = &mut line.verb {
            own.take_options(&mut line.preferences);
        }
        Ok(line)
    }

    /// What lines are parsed with, for completion.
    pub(super) fn grammar() -> clap::Command {
        let mut grammar = Self::shown();
        grammar.build();
        grammar
    }

    /// The grammar without a word of the options that a line cannot choose.
    fn shown() -> clap::Command {
        Self::command().mut_args(|arg| {
            let hidden = !PER_LINE.contains(&arg.get_id().as_str());
            arg.hide(hidden)
        })
    }

    /// How to print this line's answer. Only the printing can differ from line to line: the
    /// connection is the shell's.
    pub(super) fn style(&self, shell: &Style) -> Result<Style, String> {
        let rest = Global { write_out: None, hex: None, ..self.global.clone() };
        let own = &self.preferences;
        if rest != Global::default() || own.context.is_some() || own.read_only.is_some() {
            return Err(
                "the connection is the shell's: leave it and start it with the other options"
                    .to_owned(),
            );
        }
        let mut style = shell.clone();
        if own.plain {
            (style.plain, style.paint) = (true, Paint::default());
        }
        if own.reveal {
            style.masked = std::sync::Arc::default();
        }
        if let Some(format) = &self.global.write_out {
            style.format = Format::parse(format).map_err(|error| error.to_string())?;
        }
        if let Some(format) = &own.output {
            style.format = Format::parse_own(format).map_err(|error| error.to_string())?;
        }
        style.hex = self.global.hex.unwrap_or(shell.hex);
        Ok(style)
    }

    /// How careful this line is.
    pub(super) fn manner(&self, shell: &Manner) -> Manner {
        let own = &self.preferences;
        let color = if own.plain || own.color.is_some() { Color::here(own) } else { shell.color };
        Manner {
            color,
            yes: self.preferences.yes || shell.yes,
            dry_run: self.preferences.dry_run || shell.dry_run,
            quiet: self.preferences.quiet || shell.quiet,
            plain: self.preferences.plain || shell.plain,
            ..shell.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ShellLine, Verb};
    use crate::args::own::ConfigCommand;
    use crate::args::{Command, Own};
    use crate::output::{Format, Style};

    fn parse(line: &str) -> ShellLine {
        ShellLine::parse(line.split(' ').map(Into::into).collect()).unwrap()
    }

    #[test]
    fn commands_are_those_of_the_command_line() {
        assert!(matches!(parse("get --prefix /a").verb, Verb::Cluster(Command::Get(_))));
        assert!(matches!(parse("kill 3").verb, Verb::Kill { number: 3 }));
    }

    #[test]
    fn where_a_file_is_made_the_output_option_names_it() {
        let line = parse("config render a.j2 -o b.conf");
        assert_eq!(line.preferences.output, None);
        let Verb::Own(Own::Config(args)) = line.verb else { panic!("another verb") };
        let ConfigCommand::Render(args) = args.command else { panic!("another verb") };
        assert_eq!(args.file(), Ok(&"b.conf".into()));
    }

    #[test]
    fn help_is_about_what_a_line_can_say() {
        let words = ["get", "--help"].map(Into::into).to_vec();
        let help = ShellLine::parse(words).unwrap_err().render().to_string();
        assert!(help.contains("--write-out") && !help.contains("--endpoints"), "{help}");
    }

    #[test]
    fn a_line_chooses_how_it_is_printed_and_nothing_else() {
        let style = parse("get /a -w json").style(&Style::default()).unwrap();
        assert_eq!(style.format, Format::Json);
        assert!(parse("get /a --endpoints b:1").style(&Style::default()).is_err());
    }
}
