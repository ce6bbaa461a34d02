//! Global flags, `ETCDCTL_*` variables and contexts, put together.
//!
//! Where a connection comes from is one source as a whole: `--context`, else variables, else the
//! default context, else 127.0.0.1:2379; a flag overrides its own field. What is no part of a
//! connection (timeouts, formats) always has its variable.

mod sources;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use kvorum_client::contexts::{Context, ContextError, Contexts, Places, Protection};
use kvorum_client::{Config, Credentials, Discovery, Endpoint, Patience, Tls, Token};

use self::sources::{CONNECTION, Sources, variable};
use crate::args::{Global, Preferences, UsageError, parse_bool, parse_duration, parse_int};
use crate::manner::Manner;
use crate::mode::Mode;
use crate::output::{Format, Style};

/// What one invocation, or one shell, works with.
#[derive(Debug, Clone)]
pub struct Settings {
    pub client: Config,
    pub style: Style,
    /// The endpoints are still to be asked for; those of [`Config::endpoints`] stand in where there
    /// are none.
    pub discovery: Option<Discovery>,
    pub manner: Manner,
    /// Every option that came to something, and why.
    pub fields: Vec<Field>,
    /// `--debug`: the fields are to be said.
    pub debug: bool,
    /// A user was named without a password: find it, then set [`Config::credentials`].
    pub password_wanted: Option<PasswordWanted>,
    /// Where contexts are kept; `None` without a home.
    pub places: Option<Places>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordWanted {
    pub user: String,
    /// Prints it; without one, a person is asked.
    pub command: Option<String>,
}

/// One option of a connection and where it comes from. Never a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// As the flag is called: `dial-timeout`.
    pub name: String,
    pub value: String,
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Flag,
    Variable(String),
    Context(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Variable(name) => f.write_str(name),
            Self::Context(name) => write!(f, "context {name}"),
        }
    }
}

/// Looks a variable up. The process's own is [`std::env::var_os`].
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

pub(crate) const DEFAULT_ENDPOINTS: &str = "127.0.0.1:2379";

/// Where Kubernetes keeps its secrets.
const MASKED_BY_DEFAULT: &str = "/registry/secrets";

impl Settings {
    /// The settings for a connection that is known already.
    pub fn of(mut client: Config, preferences: &Preferences) -> Self {
        client.read_only = preferences.read_only == Some(true) || preferences.dry_run;
        Self {
            client,
            style: Style { plain: preferences.plain, ..Style::default() },
            manner: Manner::of(preferences, &|name| std::env::var_os(name)),
            fields: Vec::new(),
            debug: false,
            discovery: None,
            password_wanted: None,
            places: None,
        }
    }

    pub fn resolve(
        global: &Global,
        preferences: &Preferences,
        mode: Mode,
        variables: Variables<'_>,
    ) -> Result<Self, UsageError> {
        let places = match mode {
            Mode::Kvorum => Places::find(&|name| variables(name).map(PathBuf::from)),
            Mode::Etcdctl => None,
        };
        let context = chosen_context(preferences, mode, variables, places.as_ref())?;
        let mut sources = Sources { mode, variables, context, fields: Vec::new() };
        let elsewhere = !global.endpoints.is_empty() && preferences.context.is_none();
        if elsewhere {
            sources.drop_credentials();
        }
        let endpoints = (!global.endpoints.is_empty()).then(|| global.endpoints.join(","));
        let endpoints = sources.pick("endpoints", endpoints, |text| Ok(text.to_owned()))?;
        let endpoints = Endpoint::parse_list(endpoints.as_deref().unwrap_or(DEFAULT_ENDPOINTS))
            .map_err(|error| UsageError::arguments(error.to_string()))?;
        let mut client = Config::new(endpoints);
        client.patience = match mode {
            Mode::Kvorum => Patience::FailAtOnce,
            Mode::Etcdctl => Patience::UntilTimeout,
        };
        timing(global, &mut client, &mut sources)?;
        client.tls = tls(global, &mut sources)?;
        let text = |text: &str| Ok(text.to_owned());
        let token = sources.pick("auth-jwt-token", global.auth_jwt_token.clone(), text)?;
        client.token = token.filter(|token| !token.is_empty()).map(Token);
        let password_wanted = match &client.token {
            // Nobody is asked for a password that nobody would look at.
            Some(_) => None,
            None => credentials(global, &mut client, &mut sources)?,
        };
        let discovery = discovery(global, &mut sources)?;
        let format = if let Some(output) = &preferences.output {
            Format::parse_own(output)?
        } else {
            let format = sources.pick("write-out", global.write_out.clone(), text)?;
            format.as_deref().map_or(Ok(Format::Simple), Format::parse)?
        };
        let hex = sources.pick("hex", global.hex, parse_bool)?.unwrap_or(false);
        let debug = sources.pick("debug", global.debug, parse_bool)?.unwrap_or(false);
        let manner = Manner { elsewhere, ..manner(preferences, &sources) };
        client.read_only =
            manner.protection.read_only || preferences.read_only == Some(true) || manner.dry_run;
        let masked = masked(preferences, mode, sources.context.as_ref());
        Ok(Self {
            client,
            discovery,
            style: Style { format, hex, plain: preferences.plain, masked, ..Style::default() },
            manner,
            fields: sources.fields,
            debug,
            password_wanted,
            places,
        })
    }
}

/// The context to take a connection from, if it is one.
fn chosen_context(
    preferences: &Preferences,
    mode: Mode,
    variables: Variables<'_>,
    places: Option<&Places>,
) -> Result<Option<(String, Context)>, UsageError> {
    let refused = |error: ContextError| UsageError::arguments(error.to_string());
    let Some(places) = places.filter(|_| mode == Mode::Kvorum) else {
        return match &preferences.context {
            Some(name) => Err(UsageError::arguments(format!(
                "there is no context {name:?}, for there is no home folder to keep contexts in"
            ))),
            None => Ok(None),
        };
    };
    if let Some(name) = &preferences.context {
        let contexts = Contexts::read(places).map_err(refused)?;
        return Ok(Some((name.clone(), contexts.get(name).map_err(refused)?.clone())));
    }
    let set = |name: &str| variables(&variable(name)).is_some_and(|value| !value.is_empty());
    if CONNECTION.iter().any(|name| set(name)) {
        return Ok(None);
    }
    let contexts = Contexts::read(places).map_err(refused)?;
    let Some(name) = &contexts.default else { return Ok(None) };
    Ok(Some((name.clone(), contexts.get(name).map_err(refused)?.clone())))
}

fn manner(preferences: &Preferences, sources: &Sources<'_>) -> Manner {
    let context = sources.context.as_ref();
    let protection =
        context.map_or_else(Protection::default, |(name, context)| context.protection(name));
    let separator = context.and_then(|(_, context)| context.separator.as_ref());
    Manner {
        context: context.map(|(name, _)| name.clone()),
        connection: connection_flags(preferences, &sources.fields),
        protection,
        separator: separator.and_then(|text| text.bytes().next()).unwrap_or(b'/'),
        ..Manner::of(preferences, sources.variables)
    }
}

/// The flags of a connection as they were given, but for a password.
fn connection_flags(preferences: &Preferences, fields: &[Field]) -> Vec<String> {
    let given = fields
        .iter()
        .filter(|field| field.origin == Origin::Flag && CONNECTION.contains(&field.name.as_str()));
    let context = preferences.context.iter().map(|name| format!("--context={name}"));
    context.chain(given.map(|field| format!("--{}={}", field.name, field.value))).collect()
}

fn masked(
    preferences: &Preferences,
    mode: Mode,
    context: Option<&(String, Context)>,
) -> Arc<[Vec<u8>]> {
    if preferences.reveal || mode == Mode::Etcdctl {
        return Arc::default();
    }
    match context.and_then(|(_, context)| context.masked.as_ref()) {
        Some(prefixes) => prefixes.iter().map(|prefix| prefix.clone().into_bytes()).collect(),
        None => [MASKED_BY_DEFAULT.as_bytes().to_vec()].into(),
    }
}

fn timing(
    global: &Global,
    client: &mut Config,
    sources: &mut Sources<'_>,
) -> Result<(), UsageError> {
    for (name, flag, target) in [
        ("dial-timeout", global.dial_timeout, &mut client.dial_timeout),
        ("command-timeout", global.command_timeout, &mut client.command_timeout),
        ("keepalive-time", global.keepalive_time, &mut client.keepalive_time),
        ("keepalive-timeout", global.keepalive_timeout, &mut client.keepalive_timeout),
    ] {
        if let Some(value) = sources.pick(name, flag, parse_duration)? {
            *target = value;
        }
    }
    for (name, flag, target) in [
        ("max-request-bytes", global.max_request_bytes, &mut client.max_request_bytes),
        ("max-recv-bytes", global.max_recv_bytes, &mut client.max_recv_bytes),
    ] {
        let value = sources.pick(name, flag, parse_int)?.unwrap_or(0);
        match usize::try_from(value) {
            Ok(0) => {}
            Ok(value) => *target = value,
            Err(_) => {
                return Err(UsageError::arguments(format!("--{name} must not be negative")));
            }
        }
    }
    Ok(())
}

fn tls(global: &Global, sources: &mut Sources<'_>) -> Result<Tls, UsageError> {
    let path = |text: &str| Ok(PathBuf::from(text));
    let mut file = |name: &str, flag: &Option<PathBuf>| {
        if flag.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            return Err(UsageError::arguments(format!(
                "empty string is passed to --{name} option"
            )));
        }
        sources.pick(name, flag.clone(), path)
    };
    let (cert, key) = (file("cert", &global.cert)?, file("key", &global.key)?);
    let cacert = file("cacert", &global.cacert)?;
    let insecure = sources.pick("insecure-transport", global.insecure_transport, parse_bool)?;
    let skip = global.insecure_skip_tls_verify;
    let skip = sources.pick("insecure-skip-tls-verify", skip, parse_bool)?;
    Ok(Tls {
        required: insecure == Some(false),
        cacert,
        cert,
        key,
        insecure_skip_verify: skip.unwrap_or(false),
    })
}

fn discovery(global: &Global, sources: &mut Sources<'_>) -> Result<Option<Discovery>, UsageError> {
    let text = |text: &str| Ok(text.to_owned());
    let domain = sources.pick("discovery-srv", global.discovery_srv.clone(), text)?;
    let name = sources.pick("discovery-srv-name", global.discovery_srv_name.clone(), text)?;
    let insecure = sources.pick("insecure-discovery", global.insecure_discovery, parse_bool)?;
    Ok(domain.filter(|domain| !domain.is_empty()).map(|domain| Discovery {
        domain,
        service_name: name.unwrap_or_default(),
        insecure: insecure.unwrap_or(true),
    }))
}

/// Sets the credentials, or says whose password is missing.
fn credentials(
    global: &Global,
    client: &mut Config,
    sources: &mut Sources<'_>,
) -> Result<Option<PasswordWanted>, UsageError> {
    let text = |text: &str| Ok(text.to_owned());
    let user = sources.pick("user", global.user.clone(), text)?.unwrap_or_default();
    let password = sources.pick("password", global.password.clone(), text)?.unwrap_or_default();
    if user.is_empty() {
        return Ok(None);
    }
    let (user, password) = if password.is_empty() {
        let Some((user, password)) = user.split_once(':') else {
            let command = sources.password_command(&user);
            return Ok(Some(PasswordWanted { user, command }));
        };
        (user.to_owned(), password.to_owned())
    } else {
        (user, password)
    };
    client.credentials = usable(user, password, sources.mode);
    Ok(None)
}

/// Credentials to log in with. As etcdctl, whoever has no name or no password does without.
pub(crate) fn usable(user: String, password: String, mode: Mode) -> Option<Credentials> {
    let nobody = mode == Mode::Etcdctl && (user.is_empty() || password.is_empty());
    (!nobody).then_some(Credentials { user, password })
}

#[cfg(test)]
mod tests;
