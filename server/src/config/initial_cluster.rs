//! `--initial-cluster`: the members of a cluster at its birth.

use std::collections::{BTreeMap, BTreeSet};

use super::url::{self, Url};
use super::{Config, ConfigError};

/// Names and their sorted peer URLs.
#[derive(Clone, Debug, PartialEq)]
pub struct InitialCluster(BTreeMap<String, Vec<Url>>);

impl InitialCluster {
    /// Reads `name=url,name=url,…`; a name may occur more than once.
    pub fn parse(text: &str) -> Result<InitialCluster, ConfigError> {
        let mut members: BTreeMap<String, Vec<Url>> = BTreeMap::new();
        for item in text.split(',').filter(|item| !item.is_empty()) {
            let (name, url) = item.split_once('=').unwrap_or((item, ""));
            let url = Url::parse(url)
                .map_err(|reason| ConfigError::InitialCluster { item: item.to_owned(), reason })?;
            members.entry(name.to_owned()).or_default().push(url);
        }
        for urls in members.values_mut() {
            url::sort(urls);
        }
        Ok(InitialCluster(members))
    }

    pub fn members(&self) -> impl Iterator<Item = (&str, &[Url])> {
        self.0.iter().map(|(name, urls)| (name.as_str(), urls.as_slice()))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members a new member of this configuration starts with, checked as etcd checks them
    /// before it writes anything.
    pub fn of_new_member(config: &Config) -> Result<InitialCluster, ConfigError> {
        let text = match &config.initial_cluster {
            Some(text) => text.clone(),
            None => config
                .initial_advertise_peer_urls
                .iter()
                .map(|url| format!("{}={url}", config.name))
                .collect::<Vec<_>>()
                .join(","),
        };
        let cluster = InitialCluster::parse(&text)?;
        if cluster.is_empty() {
            return Err(ConfigError::Invalid(
                "initial cluster unset and no discovery endpoints found".to_owned(),
            ));
        }
        let Some(own) = cluster.0.get(&config.name) else {
            return Err(ConfigError::NotInCluster { name: config.name.clone() });
        };
        check_advertised(config, own)?;
        let mut seen = BTreeSet::new();
        if !cluster.0.values().flatten().all(|url| seen.insert(url.to_string())) {
            return Err(ConfigError::Invalid(format!("initial cluster {text} has duplicate url")));
        }
        Ok(cluster)
    }
}

/// The advertised peer URLs and those the cluster is told must be the same.
fn check_advertised(config: &Config, own: &[Url]) -> Result<(), ConfigError> {
    let name = &config.name;
    let advertised = &config.initial_advertise_peer_urls;
    let named = |urls: Vec<&Url>| {
        urls.iter().map(|url| format!("{name}={url}")).collect::<Vec<_>>().join(",")
    };
    let missing: Vec<&Url> = own.iter().filter(|url| !advertised.contains(url)).collect();
    if !missing.is_empty() {
        return Err(ConfigError::Invalid(format!(
            "--initial-cluster has {} but missing from --initial-advertise-peer-urls={}",
            named(missing),
            url::join(advertised)
        )));
    }
    let missing: Vec<&Url> = advertised.iter().filter(|url| !own.contains(url)).collect();
    if !missing.is_empty() {
        return Err(ConfigError::Invalid(format!(
            "--initial-advertise-peer-urls has {} but missing from --initial-cluster={}",
            named(missing),
            named(own.iter().collect())
        )));
    }
    Ok(())
}
