//! One kind of connection, and how its files are kept current.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use tokio::time;
use tokio_rustls::rustls::{ClientConfig, ServerConfig};

use super::TlsError;
use super::files::Files;
use super::material::{Material, Recipe, default_client};
use super::self_signed;
use crate::config::{Config, Tls, TlsPolicy, Url};
use crate::runtime::Stop;

/// Whom a connection is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Client,
    Peer,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Client => "client",
            Kind::Peer => "peer",
        }
    }
}

/// TLS of one kind of connection, the same on every listener and at every moment.
pub(crate) struct Role {
    kind: Kind,
    tls: Tls,
    policy: TlsPolicy,
    is_self_made: bool,
    /// `None` where no flag says anything about TLS.
    current: ArcSwapOption<Material>,
    /// What dials where no flag says anything: it trusts whom the system trusts, of whom there is a
    /// long list to read.
    default_client: OnceLock<Arc<ClientConfig>>,
    /// What `current` was made of.
    files: Mutex<Option<Files>>,
}

/// How often files are looked at. A change is in force after it was seen twice, so that a file
/// that is just being written is not taken for a whole one; that is well within ten seconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Role {
    /// Reads the files of one kind, and makes a certificate if that is asked for and none is
    /// there.
    pub(crate) fn load(config: &Config, kind: Kind) -> Result<Role, TlsError> {
        let mut tls = match kind {
            Kind::Client => config.client_tls.clone(),
            Kind::Peer => config.peer_tls.clone(),
        };
        let policy = config.tls_policy.clone();
        let is_self_made = tls.auto && tls.is_empty();
        if is_self_made {
            let listened: Vec<&Url> = match kind {
                Kind::Client => config
                    .listen_client_urls
                    .iter()
                    .chain(&config.listen_client_http_urls)
                    .collect(),
                Kind::Peer => config.listen_peer_urls.iter().collect(),
            };
            let folder = folder(&config.data_dir, kind);
            let years = policy.self_signed_cert_validity_years;
            let made = self_signed::make_or_find(&folder, &listened, years)?;
            tls.cert_file = Some(made.cert);
            tls.key_file = Some(made.key);
        }
        let role = Role {
            kind,
            tls,
            policy,
            is_self_made,
            current: ArcSwapOption::empty(),
            default_client: OnceLock::new(),
            files: Mutex::new(None),
        };
        if role.is_used() {
            let files = Files::read(&role.tls)?;
            role.take(files)?;
            tracing::info!(
                cert = shown(role.tls.cert_file.as_ref()),
                trusted_ca = shown(role.tls.trusted_ca_file.as_ref()),
                client_cert_auth = role.tls.client_cert_auth,
                crl_file = shown(role.tls.crl_file.as_ref()),
                cipher_suites = role.policy.cipher_suites.join(","),
                "starting with {} TLS",
                kind.name()
            );
        }
        Ok(role)
    }

    /// What listeners use for the next connection; `None` without a certificate.
    pub(crate) fn server(&self) -> Option<Arc<ServerConfig>> {
        self.current.load().as_ref()?.server.clone()
    }

    /// What the next dial uses.
    pub(crate) fn client(&self) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(material) = &*self.current.load() {
            return Ok(Arc::clone(&material.client));
        }
        if let Some(made) = self.default_client.get() {
            return Ok(Arc::clone(made));
        }
        let made = Arc::new(default_client()?);
        Ok(Arc::clone(self.default_client.get_or_init(|| made)))
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the common name of a client's certificate is a user.
    pub(crate) fn names_users(&self) -> bool {
        self.kind == Kind::Client && self.tls.client_cert_auth
    }

    /// Whether a client must come from an address that its certificate names.
    pub(crate) fn checks_origin(&self) -> bool {
        !self.tls.skip_client_san_verification
    }

    /// Puts changed files in force, until the member stops. Connections that are there stay.
    pub(crate) async fn keep_current(self: Arc<Role>, stop: Stop) {
        if !self.is_used() {
            return;
        }
        let keep = async {
            let mut seen = None;
            loop {
                time::sleep(LOOK_EVERY).await;
                let role = Arc::clone(&self);
                let looked = spawn_blocking(move || role.look(seen.take())).await;
                seen = looked.unwrap_or_default();
            }
        };
        tokio::select! {
            () = keep => {}
            _ = stop.wait() => {}
        }
    }

    /// Compares the files with those in force. `before` is what was seen the last time if it was
    /// other than those; the same is returned of this time.
    pub(super) fn look(&self, before: Option<Seen>) -> Option<Seen> {
        let seen = Files::read(&self.tls);
        let Ok(files) = seen else {
            if !matches!(before, Some(Seen::Unreadable)) {
                self.keeps_the_old(&seen.err()?);
            }
            return Some(Seen::Unreadable);
        };
        if self.files.lock().as_ref() == Some(&files) {
            return None;
        }
        match before {
            Some(Seen::Refused(refused)) if refused == files => Some(Seen::Refused(refused)),
            Some(Seen::New(new)) if new == files => self.take_new(files),
            _ => Some(Seen::New(files)),
        }
    }

    fn take_new(&self, files: Files) -> Option<Seen> {
        match self.recipe().material(&files) {
            Ok(material) => {
                self.current.store(Some(Arc::new(material)));
                *self.files.lock() = Some(files);
                tracing::info!("new files for {} TLS are in force", self.kind.name());
                None
            }
            Err(error) => {
                self.keeps_the_old(&error);
                Some(Seen::Refused(files))
            }
        }
    }

    fn keeps_the_old(&self, error: &TlsError) {
        tracing::warn!(
            error = %error,
            "new files for {} TLS cannot be used; the old ones stay in force",
            self.kind.name()
        );
    }

    fn take(&self, files: Files) -> Result<(), TlsError> {
        let material = self.recipe().material(&files)?;
        self.current.store(Some(Arc::new(material)));
        *self.files.lock() = Some(files);
        Ok(())
    }

    fn recipe(&self) -> Recipe<'_> {
        Recipe { tls: &self.tls, policy: &self.policy, is_self_made: self.is_self_made }
    }

    fn is_used(&self) -> bool {
        !self.tls.is_empty() || self.tls.trusted_ca_file.is_some()
    }
}

/// Files that are not those in force.
pub(super) enum Seen {
    /// Not taken yet: they may be about to change further.
    New(Files),
    /// Found wrong, and said so.
    Refused(Files),
    /// Cannot be read, and said so.
    Unreadable,
}

/// Where etcd keeps the certificates it makes.
fn folder(data_dir: &Path, kind: Kind) -> PathBuf {
    data_dir.join("fixtures").join(kind.name())
}

fn shown(path: Option<&PathBuf>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}
