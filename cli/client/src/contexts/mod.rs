//! Clusters known by name, in files under the XDG directories.
//!
//! - `contexts.toml` in the configuration directory is the person's own: where clusters are, who one
//!   is there, how careful to be ([`Contexts`]). It holds no password.
//! - `clusters.toml` in the state directory is what was learned: the protection of a cluster by its
//!   id, so that it holds by whatever way one arrives ([`Clusters`]).
//!
//! Both are replaced atomically and readable by their owner only.

mod clusters;
mod file;
mod model;

use std::path::PathBuf;

use thiserror::Error;

pub use clusters::Clusters;
pub use model::{Context, Contexts, Protection, Secret};

/// Where the files are, from a lookup of variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    pub config: PathBuf,
    pub state: PathBuf,
}

#[derive(Debug, Error)]
pub enum ContextError {
    #[error("{}: {cause}", path.display())]
    Io { path: PathBuf, cause: std::io::Error },
    /// The file is not what it should be; it is left as it is.
    #[error("{}: {cause}", path.display())]
    Malformed { path: PathBuf, cause: String },
    #[error("there is no context {name:?}{}", known(names))]
    Unknown { name: String, names: Vec<String> },
    #[error("{0}")]
    Refused(String),
}

fn known(names: &[String]) -> String {
    if names.is_empty() {
        return ": none is defined yet, kvorum ctx add makes one".to_owned();
    }
    format!(": those there are: {}", names.join(", "))
}

impl Places {
    /// `None` without a home.
    pub fn find(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Option<Self> {
        let absolute = |name| variable(name).filter(|path| path.is_absolute());
        let home = absolute("HOME");
        let under = |own: Option<PathBuf>, default: &str| {
            own.or_else(|| home.as_ref().map(|home| home.join(default)))
                .map(|folder| folder.join("kvorum"))
        };
        Some(Self {
            config: under(absolute("XDG_CONFIG_HOME"), ".config")?,
            state: under(absolute("XDG_STATE_HOME"), ".local/state")?,
        })
    }

    pub fn contexts(&self) -> PathBuf {
        self.config.join("contexts.toml")
    }

    pub fn clusters(&self) -> PathBuf {
        self.state.join("clusters.toml")
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::Places;

    #[test]
    fn the_files_are_where_xdg_has_them() {
        let set = |pairs: &'static [(&'static str, &'static str)]| {
            Places::find(&move |name| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value))
            })
        };
        let places = set(&[("HOME", "/h")]).unwrap();
        assert_eq!(places.contexts(), Path::new("/h/.config/kvorum/contexts.toml"));
        assert_eq!(places.clusters(), Path::new("/h/.local/state/kvorum/clusters.toml"));
        let places = set(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c"), ("XDG_STATE_HOME", "rel")]);
        let places = places.unwrap();
        assert_eq!(places.contexts(), Path::new("/c/kvorum/contexts.toml"));
        assert_eq!(places.clusters(), Path::new("/h/.local/state/kvorum/clusters.toml"));
        assert_eq!(set(&[]), None);
    }
}
