//! How kvorum behaves towards a person, from its own flags and the context.

use kvorum_client::contexts::Protection;

use crate::args::{Preferences, When};

/// What kvorum's own options come to. The default is what etcdctl does: nothing of all this.
#[derive(Debug, Clone, Default)]
pub struct Manner {
    /// The context the connection comes from.
    pub context: Option<String>,
    /// How careful to be with the cluster.
    pub protection: Protection,
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

impl Manner {
    pub(crate) fn of(preferences: &Preferences, no_color: bool) -> Self {
        let color = match preferences.color {
            Some(When::Always) => Color::Always,
            Some(When::Never) => Color::Never,
            None | Some(When::Auto) if no_color => Color::Never,
            None | Some(When::Auto) => Color::OnTerminal,
        };
        Self {
            context: None,
            protection: Protection::default(),
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
