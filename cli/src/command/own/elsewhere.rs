//! Another cluster than the one a command is about: that of a context.

use kvorum_client::Connection;

use crate::args::{Global, Preferences};
use crate::command::{CommandError, Session};
use crate::mode::Mode;
use crate::secret;
use crate::settings::{self, Settings};

/// A connection to the cluster of a context, as careful as the context says.
pub(super) fn connect(context: &str, session: &Session) -> Result<Connection, CommandError> {
    let preferences = Preferences { context: Some(context.to_owned()), ..Preferences::default() };
    // The variables of etcdctl are about the cluster that the command line names.
    let variables = |name: &str| std::env::var_os(name).filter(|_| !name.starts_with("ETCDCTL_"));
    let mut settings =
        Settings::resolve(&Global::default(), &preferences, Mode::Kvorum, &variables)?;
    if let Some(wanted) = settings.password_wanted.take() {
        let password = secret::password(&wanted, Mode::Kvorum)?;
        settings.client.credentials = settings::usable(wanted.user, password, Mode::Kvorum);
    }
    settings.client.notes.clone_from(&session.connection.config().notes);
    Ok(Connection::new(settings.client)?)
}
