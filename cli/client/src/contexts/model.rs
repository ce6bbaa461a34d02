//! `contexts.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::file;
use super::{ContextError, Places};
use crate::endpoint::Endpoint;

/// The whole file. What an editor wrote and this program does not know is refused, because a
/// misspelled protection would protect nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Contexts {
    /// The context that is used when nothing else is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

/// One cluster, and how one goes there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Context {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cacert: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub insecure_skip_tls_verify: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The first line that this command prints is the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_command: Option<String>,
    /// Of the prompt and of the dashboard's frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Nothing that changes the cluster leaves.
    #[serde(default, skip_serializing_if = "is_false")]
    pub read_only: bool,
    /// Deletions ask for the typed prefix, however few keys there are.
    #[serde(default, skip_serializing_if = "is_false")]
    pub protected: bool,
    /// What separates the segments of a key; one byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// Values below these prefixes are masked until they are revealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked: Option<Vec<String>>,
}

/// How careful to be with a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Protection {
    /// The context that said so.
    pub context: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub read_only: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub protected: bool,
}

/// Where the password of a context comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    None,
    Command(String),
    Ask,
}

pub(super) const COLORS: [&str; 6] = ["red", "yellow", "green", "blue", "magenta", "cyan"];

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Contexts {
    /// Reads the file; a file that is not there is an empty one.
    pub fn read(places: &Places) -> Result<Self, ContextError> {
        let contexts: Self = file::read(&places.contexts())?;
        for (name, context) in &contexts.contexts {
            check_name(name)?;
            context.check().map_err(|cause| ContextError::Malformed {
                path: places.contexts(),
                cause: format!("context {name:?}: {cause}"),
            })?;
        }
        Ok(contexts)
    }

    pub fn write(&self, places: &Places) -> Result<(), ContextError> {
        file::write(&places.contexts(), self)
    }

    pub fn get(&self, name: &str) -> Result<&Context, ContextError> {
        self.contexts.get(name).ok_or_else(|| self.unknown(name))
    }

    /// Makes a context the default.
    pub fn choose(&mut self, name: &str) -> Result<(), ContextError> {
        self.get(name)?;
        self.default = Some(name.to_owned());
        Ok(())
    }

    pub fn put(&mut self, name: &str, context: Context) -> Result<(), ContextError> {
        check_name(name)?;
        context.check().map_err(ContextError::Refused)?;
        self.contexts.insert(name.to_owned(), context);
        Ok(())
    }

    pub fn remove(&mut self, name: &str) -> Result<Context, ContextError> {
        let removed = self.contexts.remove(name).ok_or_else(|| self.unknown(name))?;
        if self.default.as_deref() == Some(name) {
            self.default = None;
        }
        Ok(removed)
    }

    fn unknown(&self, name: &str) -> ContextError {
        let names = self.contexts.keys().cloned().collect();
        ContextError::Unknown { name: name.to_owned(), names }
    }
}

impl Context {
    /// Says what cannot be meant.
    pub fn check(&self) -> Result<(), String> {
        if self.endpoints.is_empty() {
            return Err("it has no endpoints".to_owned());
        }
        for endpoint in &self.endpoints {
            Endpoint::parse(endpoint).map_err(|error| error.to_string())?;
        }
        if let Some(color) = &self.color
            && !COLORS.contains(&color.as_str())
        {
            return Err(format!("{color:?} is no colour: {}", COLORS.join(", ")));
        }
        if let Some(separator) = &self.separator
            && separator.len() != 1
        {
            return Err(format!("the separator {separator:?} is not one byte"));
        }
        if self.cert.is_some() != self.key.is_some() {
            return Err("a certificate and its key go together".to_owned());
        }
        Ok(())
    }

    pub fn protection(&self, name: &str) -> Protection {
        Protection {
            context: name.to_owned(),
            color: self.color.clone(),
            read_only: self.read_only,
            protected: self.protected,
        }
    }

    pub fn secret(&self) -> Secret {
        match (&self.user, &self.password_command) {
            (None, _) => Secret::None,
            (Some(_), Some(command)) => Secret::Command(command.clone()),
            (Some(_), None) => Secret::Ask,
        }
    }

    /// A context of a control plane that kubeadm set up, if its certificates are there.
    pub fn of_kubeadm(pki: &Path) -> Result<Self, ContextError> {
        let cacert = pki.join("ca.crt");
        let pairs = ["healthcheck-client", "server", "peer"]
            .map(|name| (pki.join(format!("{name}.crt")), pki.join(format!("{name}.key"))));
        let pair = pairs.into_iter().find(|(cert, _)| cert.exists());
        let (true, Some((cert, key))) = (cacert.exists(), pair) else {
            return Err(ContextError::Refused(format!(
                "{} holds no ca.crt and no client certificate of kubeadm's: run it on a control \
                 plane, as a user who may read them",
                pki.display()
            )));
        };
        Ok(Self {
            endpoints: vec!["https://127.0.0.1:2379".to_owned()],
            cacert: Some(cacert),
            cert: Some(cert),
            key: Some(key),
            // Who is here looks at a cluster's heart: looking is what is meant until it is changed.
            read_only: true,
            ..Self::default()
        })
    }
}

impl Protection {
    /// Whether there is anything to remember.
    pub fn is_any(&self) -> bool {
        self.color.is_some() || self.read_only || self.protected
    }
}

fn check_name(name: &str) -> Result<(), ContextError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    if name.is_empty() || name.starts_with('-') || !name.chars().all(fits) {
        return Err(ContextError::Refused(format!(
            "{name:?} is no name for a context: letters, digits, '-', '_', '.' and '@'"
        )));
    }
    Ok(())
}
