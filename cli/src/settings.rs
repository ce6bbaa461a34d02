//! Global flags and `ETCDCTL_*` variables, put together.

use std::ffi::OsString;
use std::path::PathBuf;

use kvorum_client::{Config, Credentials, Endpoint, Patience, Tls};

use crate::args::{Global, UsageError, parse_bool, parse_duration, parse_int};
use crate::exit;
use crate::mode::Mode;
use crate::output::{Format, Style};

/// What one invocation, or one shell, works with.
#[derive(Debug, Clone)]
pub struct Settings {
    pub client: Config,
    pub style: Style,
    /// What each option came to, for `--debug`; no passwords.
    pub report: Option<Vec<String>>,
    /// A user was named without a password: ask for it, then set [`Config::credentials`].
    pub password_wanted_for: Option<String>,
}

/// Looks a variable up. The process's own is [`std::env::var_os`].
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

const DEFAULT_ENDPOINTS: &str = "127.0.0.1:2379";

impl Settings {
    pub fn resolve(
        global: &Global,
        mode: Mode,
        variables: Variables<'_>,
    ) -> Result<Self, UsageError> {
        let mut sources = Sources { mode, variables, report: Vec::new() };
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
        let password_wanted_for = credentials(global, &mut client, &mut sources)?;
        let text = |text: &str| Ok(text.to_owned());
        if sources.pick("discovery-srv", global.discovery_srv.clone(), text)?.is_some() {
            return Err(UsageError::feature(
                "discovery by service records is not supported: give --endpoints",
            ));
        }
        let format = sources.pick("write-out", global.write_out.clone(), text)?;
        let format = format.as_deref().map_or(Ok(Format::Simple), Format::parse)?;
        let hex = sources.pick("hex", global.hex, parse_bool)?.unwrap_or(false);
        let debug = sources.pick("debug", global.debug, parse_bool)?.unwrap_or(false);
        Ok(Self {
            client,
            style: Style { format, hex, ..Style::default() },
            report: debug.then_some(sources.report),
            password_wanted_for,
        })
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

/// Sets the credentials, or says whose password is missing.
fn credentials(
    global: &Global,
    client: &mut Config,
    sources: &mut Sources<'_>,
) -> Result<Option<String>, UsageError> {
    let text = |text: &str| Ok(text.to_owned());
    let user = sources.pick("user", global.user.clone(), text)?.unwrap_or_default();
    let password = sources.pick("password", global.password.clone(), text)?.unwrap_or_default();
    if user.is_empty() {
        return Ok(None);
    }
    let (user, password) = if password.is_empty() {
        match user.split_once(':') {
            Some((user, password)) => (user.to_owned(), password.to_owned()),
            None => return Ok(Some(user)),
        }
    } else {
        (user, password)
    };
    client.credentials = Some(Credentials { user, password });
    Ok(None)
}

struct Sources<'a> {
    mode: Mode,
    variables: Variables<'a>,
    report: Vec<String>,
}

impl Sources<'_> {
    fn pick<T: std::fmt::Debug>(
        &mut self,
        name: &str,
        flag: Option<T>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, UsageError> {
        let variable = format!("ETCDCTL_{}", name.to_uppercase().replace('-', "_"));
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
        let value = value.filter(|value| !value.is_empty());
        let picked = match (flag, value) {
            (Some(flag), _) => Some(flag),
            (None, None) => None,
            (None, Some(value)) => match parse(&value.to_string_lossy()) {
                Ok(value) => Some(value),
                // etcdctl does not look at the error.
                Err(_) if self.mode == Mode::Etcdctl => None,
                Err(error) => {
                    return Err(UsageError::arguments(format!("{variable}: {error}")));
                }
            },
        };
        if let Some(picked) = &picked
            && !matches!(name, "user" | "password")
        {
            self.report.push(format!("{variable}={picked:?}"));
        }
        Ok(picked)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::time::Duration;

    use clap::Parser;

    use super::Settings;
    use crate::args::Line;
    use crate::mode::Mode;

    fn resolve(words: &[&str], mode: Mode, set: &[(&str, &str)]) -> Result<Settings, String> {
        let line = Line::try_parse_from([&["kvorum", "version"], words].concat()).unwrap();
        let variables = |name: &str| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        };
        Settings::resolve(&line.global, mode, &variables).map_err(|error| error.to_string())
    }

    #[test]
    fn a_variable_stands_in_for_a_flag() {
        let set = [("ETCDCTL_ENDPOINTS", "a:1,b:2"), ("ETCDCTL_DIAL_TIMEOUT", "3s")];
        let settings = resolve(&[], Mode::Etcdctl, &set).unwrap();
        assert_eq!(settings.client.endpoints.len(), 2);
        assert_eq!(settings.client.dial_timeout, Duration::from_secs(3));
    }

    #[test]
    fn a_flag_wins_over_its_variable_except_as_etcdctl() {
        let set = [("ETCDCTL_ENDPOINTS", "a:1")];
        let settings = resolve(&["--endpoints", "b:2"], Mode::Kvorum, &set).unwrap();
        assert_eq!(settings.client.endpoints[0].as_str(), "b:2");
        let error = resolve(&["--endpoints", "b:2"], Mode::Etcdctl, &set).unwrap_err();
        assert!(error.contains("\"ETCDCTL_ENDPOINTS\" is shadowed"), "{error}");
    }

    #[test]
    fn a_user_without_a_password_is_asked_for_one() {
        let settings = resolve(&["--user", "root"], Mode::Kvorum, &[]).unwrap();
        assert_eq!(settings.password_wanted_for.as_deref(), Some("root"));
        let settings = resolve(&["--user=root:p:q"], Mode::Kvorum, &[]).unwrap();
        assert_eq!(settings.client.credentials.unwrap().password, "p:q");
    }

    #[test]
    fn repeated_endpoints_add_up_and_other_flags_take_the_last() {
        let settings = resolve(
            &["--endpoints=a:1", "--endpoints=b:2", "-w=json", "-w", "fields"],
            Mode::Kvorum,
            &[],
        )
        .unwrap();
        assert_eq!(settings.client.endpoints.len(), 2);
        assert_eq!(settings.style.format, crate::output::Format::Fields);
    }
}
