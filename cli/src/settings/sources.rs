//! One option after the other, each from the flag, the variable or the context.

use std::path::PathBuf;

use kvorum_client::contexts::{Context, Secret};

use super::{Field, Origin, Variables};
use crate::args::UsageError;
use crate::exit;
use crate::mode::Mode;

/// The flags that make up a connection, which comes from one source as a whole.
pub(super) const CONNECTION: [&str; 12] = [
    "auth-jwt-token",
    "endpoints",
    "cacert",
    "cert",
    "key",
    "insecure-transport",
    "insecure-skip-tls-verify",
    "insecure-discovery",
    "user",
    "password",
    "discovery-srv",
    "discovery-srv-name",
];

pub(super) fn variable(name: &str) -> String {
    format!("ETCDCTL_{}", name.to_uppercase().replace('-', "_"))
}

pub(super) struct Sources<'a> {
    pub(super) mode: Mode,
    pub(super) variables: Variables<'a>,
    pub(super) context: Option<(String, Context)>,
    pub(super) fields: Vec<Field>,
}

impl Sources<'_> {
    pub(super) fn pick<T: std::fmt::Debug>(
        &mut self,
        name: &str,
        flag: Option<T>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, UsageError> {
        let variable = variable(name);
        let value = (self.variables)(&variable);
        if flag.is_some() && value.is_some() && self.mode == Mode::Etcdctl {
            return Err(UsageError {
                code: exit::ERROR,
                message: format!(
                    "conflicting environment variable {variable:?} is shadowed by corresponding \
                     command-line flag (either unset environment variable or disable flag)"
                ),
            });
        }
        let by_context = self.context.is_some() && CONNECTION.contains(&name);
        let value = value.filter(|value| !value.is_empty() && !by_context);
        let (picked, origin) = match (flag, value) {
            (Some(flag), _) => (Some(flag), Origin::Flag),
            (None, Some(value)) => match parse(&value.to_string_lossy()) {
                Ok(value) => (Some(value), Origin::Variable(variable)),
                // etcdctl does not look at the error.
                Err(_) if self.mode == Mode::Etcdctl => (None, Origin::Variable(variable)),
                Err(error) => {
                    return Err(UsageError::arguments(format!("{variable}: {error}")));
                }
            },
            (None, None) => match self.of_context(name) {
                Some((context, text)) => {
                    let refused = |error| UsageError::arguments(format!("{context}: {error}"));
                    let value = parse(&text).map_err(refused)?;
                    (Some(value), Origin::Context(context))
                }
                None => (None, Origin::Flag),
            },
        };
        if let Some(picked) = &picked
            && !matches!(name, "password" | "auth-jwt-token")
        {
            let value = match name {
                // What follows a colon is the password.
                "user" => format!("{picked:?}").split(':').next().unwrap_or_default().to_owned(),
                _ => format!("{picked:?}"),
            };
            let value = value.trim_matches('"').to_owned();
            self.fields.push(Field { name: name.to_owned(), value, origin });
        }
        Ok(picked)
    }

    /// What the context says of a field, as the flag would be written.
    fn of_context(&self, name: &str) -> Option<(String, String)> {
        let (context, fields) = self.context.as_ref()?;
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let text = match name {
            "endpoints" => Some(fields.endpoints.join(",")),
            "cacert" => path(&fields.cacert),
            "cert" => path(&fields.cert),
            "key" => path(&fields.key),
            "user" => fields.user.clone(),
            "insecure-skip-tls-verify" => {
                fields.insecure_skip_tls_verify.then(|| "true".to_owned())
            }
            _ => None,
        };
        Some((context.clone(), text?))
    }

    pub(super) fn password_command(&self, user: &str) -> Option<String> {
        let (_, context) = self.context.as_ref()?;
        match context.secret() {
            Secret::Command(command) if context.user.as_deref() == Some(user) => Some(command),
            _ => None,
        }
    }

    /// Who one is at one place is nobody's business at another.
    pub(super) fn drop_credentials(&mut self) {
        if let Some((_, context)) = &mut self.context {
            *context = Context {
                user: None,
                password_command: None,
                cert: None,
                key: None,
                ..std::mem::take(context)
            };
        }
    }
}
