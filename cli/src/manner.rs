//! How kvorum behaves towards a person, from its own flags and the context.

use kvorum_client::contexts::Protection;

use crate::args::{Preferences, When};
use crate::output::Paint;
use crate::settings::Variables;

/// What kvorum's own options come to. The default is what etcdctl does: nothing of all this.
#[derive(Debug, Clone, Default)]
pub struct Manner {
    /// The context the connection comes from.
    pub context: Option<String>,
    /// The flags that name the cluster, for a command that is to go to the same one. No password.
    pub connection: Vec<String>,
    /// How careful to be with the cluster.
    pub protection: Protection,
    /// The endpoints are not those of the context.
    pub elsewhere: bool,
    /// What separates the segments of a key.
    pub separator: u8,
    pub yes: bool,
    pub dry_run: bool,
    pub quiet: bool,
    pub verbose: bool,
    pub plain: bool,
    pub color: Color,
    pub pager: bool,
    /// Finer exit codes were asked for.
    pub exit_status: bool,
}

/// When to colour; a terminal decides by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Color {
    #[default]
    OnTerminal,
    Always,
    Never,
}

impl Color {
    /// `--color` says so; else nobody who asks for less, by `--plain`, `NO_COLOR` or a terminal that
    /// calls itself dumb, gets colours.
    pub(crate) fn of(preferences: &Preferences, variables: Variables<'_>) -> Self {
        let unwanted = preferences.plain
            || variables("NO_COLOR").is_some_and(|value| !value.is_empty())
            || variables("TERM").is_some_and(|value| value == "dumb");
        match preferences.color {
            Some(When::Always) => Self::Always,
            Some(When::Never) => Self::Never,
            None | Some(When::Auto) if unwanted => Self::Never,
            None | Some(When::Auto) => Self::OnTerminal,
        }
    }

    /// By this process's own variables.
    pub(crate) fn here(preferences: &Preferences) -> Self {
        Self::of(preferences, &|name| std::env::var_os(name))
    }

    /// Whether a terminal shows any.
    pub(crate) fn is_wanted(self) -> bool {
        self != Self::Never
    }

    /// What is written somewhere, which may be a terminal.
    pub(crate) fn paint(self, terminal: bool) -> Paint {
        Paint::new(self == Self::Always || self == Self::OnTerminal && terminal)
    }
}

impl Manner {
    pub(crate) fn of(preferences: &Preferences, variables: Variables<'_>) -> Self {
        let color = Color::of(preferences, variables);
        Self {
            context: None,
            connection: Vec::new(),
            protection: Protection::default(),
            elsewhere: false,
            separator: b'/',
            yes: preferences.yes,
            dry_run: preferences.dry_run,
            quiet: preferences.quiet,
            verbose: preferences.verbose,
            plain: preferences.plain,
            color,
            pager: !preferences.no_pager,
            exit_status: preferences.exit_status,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Color;
    use crate::args::{Preferences, When};

    #[test]
    fn a_terminal_is_coloured_unless_somebody_does_not_want_it() {
        let color = |preferences: &Preferences, set: &[(&str, &str)]| {
            let find = |name: &str| set.iter().find(|(key, _)| *key == name);
            Color::of(preferences, &|name| find(name).map(|(_, value)| value.into()))
        };
        let nothing = Preferences::default();
        assert_eq!(color(&nothing, &[("TERM", "xterm"), ("NO_COLOR", "")]), Color::OnTerminal);
        assert_eq!(color(&nothing, &[("NO_COLOR", "1")]), Color::Never);
        assert_eq!(color(&nothing, &[("TERM", "dumb")]), Color::Never);
        let plain = Preferences { plain: true, ..Preferences::default() };
        assert_eq!(color(&plain, &[]), Color::Never);
        let always = Preferences { color: Some(When::Always), ..plain };
        assert_eq!(color(&always, &[("NO_COLOR", "1")]), Color::Always);
        assert!(Color::Always.paint(false).is_on() && Color::OnTerminal.paint(true).is_on());
        assert!(!Color::OnTerminal.paint(false).is_on() && !Color::Never.paint(true).is_on());
    }
}
