//! `clusters.toml`: how careful to be with a cluster, by its id.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::file;
use super::model::Protection;
use super::{ContextError, Places};

/// Clusters remembered. Who works with more loses those whose id comes last, and gets them back by
/// going there once more.
const MAX_CLUSTERS: usize = 10_000;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clusters {
    /// By cluster id, in hexadecimal.
    #[serde(default)]
    clusters: BTreeMap<String, Protection>,
}

impl Clusters {
    pub fn read(places: &Places) -> Result<Self, ContextError> {
        file::read(&places.clusters())
    }

    /// Whether any cluster is protected, so that it is worth asking which one this is.
    pub fn is_empty(&self) -> bool {
        self.clusters.is_empty()
    }

    /// Whether what a context says is known already, of whatever cluster.
    pub fn knows(&self, protection: &Protection) -> bool {
        let same = |known: &&Protection| known.context == protection.context;
        match self.clusters.values().find(same) {
            Some(known) => known == protection,
            None => !protection.is_any(),
        }
    }

    /// Forgets all that a context said, for it is gone.
    pub fn forget(&mut self, places: &Places, context: &str) -> Result<(), ContextError> {
        let before = self.clusters.len();
        self.clusters.retain(|_, known| known.context != context);
        if self.clusters.len() == before {
            return Ok(());
        }
        file::write(&places.clusters(), self)
    }

    pub fn protection(&self, cluster_id: u64) -> Option<&Protection> {
        self.clusters.get(&format!("{cluster_id:x}"))
    }

    /// Remembers what a context says of a cluster; saying nothing any more forgets what the same
    /// context had said. Writes only if that changes something.
    pub fn learn(
        &mut self,
        places: &Places,
        cluster_id: u64,
        protection: Protection,
    ) -> Result<(), ContextError> {
        let id = format!("{cluster_id:x}");
        let known = self.clusters.get(&id);
        if protection.is_any() {
            if known == Some(&protection) {
                return Ok(());
            }
            self.clusters.insert(id, protection);
        } else {
            if known.is_none_or(|known| known.context != protection.context) {
                return Ok(());
            }
            self.clusters.remove(&id);
        }
        while self.clusters.len() > MAX_CLUSTERS {
            self.clusters.pop_last();
        }
        file::write(&places.clusters(), self)
    }
}

#[cfg(test)]
mod tests {
    use super::Clusters;
    use crate::contexts::{Context, ContextError, Contexts, Places, Protection};

    fn places() -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().unwrap();
        let places =
            Places { config: folder.path().join("config"), state: folder.path().join("state") };
        (folder, places)
    }

    fn context(read_only: bool) -> Context {
        Context { endpoints: vec!["a:1".to_owned()], read_only, ..Context::default() }
    }

    #[test]
    fn contexts_survive_a_restart_and_the_file_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, places) = places();
        let mut contexts = Contexts::read(&places).unwrap();
        assert_eq!(contexts, Contexts::default());
        contexts.put("prod", context(true)).unwrap();
        contexts.choose("prod").unwrap();
        contexts.write(&places).unwrap();
        assert_eq!(Contexts::read(&places).unwrap(), contexts);
        let mode = std::fs::metadata(places.contexts()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        contexts.remove("prod").unwrap();
        assert_eq!(contexts.default, None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let mut contexts = Contexts::default();
        for name in ["", "-x", "a b", "a/b"] {
            assert!(contexts.put(name, context(false)).is_err(), "{name:?}");
        }
        for bad in [
            Context::default(),
            Context { color: Some("puce".to_owned()), ..context(false) },
            Context { separator: Some("::".to_owned()), ..context(false) },
            Context { cert: Some("a".into()), ..context(false) },
            Context { endpoints: vec!["ftp://a".to_owned()], ..context(false) },
        ] {
            assert!(contexts.put("x", bad.clone()).is_err(), "{bad:?}");
        }
        let error = contexts.get("nothing").unwrap_err();
        assert!(error.to_string().contains("kvorum ctx add"), "{error}");
    }

    #[test]
    fn a_file_with_a_misspelled_field_is_refused_and_left_alone() {
        let (_folder, places) = places();
        std::fs::create_dir_all(&places.config).unwrap();
        let text = "[contexts.prod]\nendpoints = [\"a:1\"]\nreadonly = true\n";
        std::fs::write(places.contexts(), text).unwrap();
        let error = Contexts::read(&places).unwrap_err();
        assert!(matches!(error, ContextError::Malformed { .. }), "{error}");
        assert!(error.to_string().contains("readonly"), "{error}");
        assert_eq!(std::fs::read_to_string(places.contexts()).unwrap(), text);
    }

    #[test]
    fn protection_is_remembered_by_cluster_until_its_context_says_otherwise() {
        let (_folder, places) = places();
        let mut clusters = Clusters::read(&places).unwrap();
        clusters.learn(&places, 7, context(true).protection("prod")).unwrap();
        clusters = Clusters::read(&places).unwrap();
        assert!(clusters.protection(7).unwrap().read_only);
        clusters.learn(&places, 7, context(false).protection("dev")).unwrap();
        assert!(clusters.protection(7).unwrap().read_only, "another context does not lift it");
        clusters.learn(&places, 7, context(false).protection("prod")).unwrap();
        assert_eq!(Clusters::read(&places).unwrap().protection(7), None::<&Protection>);
    }
}
