//! Three members in this process, on loopback.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use kvorum_server::{LocalMember, Member, local_cluster};
use serde::{Deserialize, Serialize};

const NAMES: [&str; 3] = ["infra1", "infra2", "infra3"];

/// The ports of the members, kept beside their data: a member is known by its peer address. 0 is
/// any that is free.
#[derive(Default, Serialize, Deserialize)]
struct Ports {
    client: [u16; NAMES.len()],
    peer: [u16; NAMES.len()],
}

const PORTS_FILE: &str = "playground.json";

/// The running members. Dropping it stops them; a runtime must not wait for that, so it is done
/// by [`Playground::stop`].
pub(super) struct Playground {
    members: Vec<Member>,
    endpoints: Vec<String>,
    is_new: bool,
}

impl Playground {
    /// Starts the members on the data in `dir`, or on none. Blocks.
    pub(super) fn start(dir: &Path) -> anyhow::Result<Self> {
        let noted = ports(dir)?;
        let is_new = noted.is_none();
        let known = noted.unwrap_or_default();
        let planned: Vec<_> = (0..NAMES.len())
            .map(|index| LocalMember {
                name: NAMES[index].to_owned(),
                client_port: known.client[index],
                peer_port: known.peer[index],
            })
            .collect();
        let mut members = Vec::new();
        for (config, listeners) in local_cluster(dir, &planned)? {
            let member = Member::start_on(&config, listeners);
            members.push(member.with_context(|| format!("{} does not start", config.name))?);
        }
        let mut ports = Ports::default();
        for (index, member) in members.iter().enumerate() {
            ports.client[index] = port(member.client_urls())?;
            ports.peer[index] = port(member.peer_urls())?;
        }
        let path = dir.join(PORTS_FILE);
        fs::write(&path, serde_json::to_vec(&ports)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let endpoints = ports.client.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        Ok(Self { members, endpoints, is_new })
    }

    pub(super) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Whether there was no data before.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Stops the members, all at once: each takes its time to tidy up. Blocks.
    pub(super) fn stop(self) {
        std::thread::scope(|scope| {
            for member in self.members {
                scope.spawn(|| member.stop());
            }
        });
    }
}

fn port(urls: &[String]) -> anyhow::Result<u16> {
    let port = urls.first().and_then(|url| url.rsplit_once(':')?.1.parse().ok());
    port.ok_or_else(|| anyhow!("a member listens on no port: {urls:?}"))
}

/// The ports noted in `dir`, if there is a playground's data.
fn ports(dir: &Path) -> anyhow::Result<Option<Ports>> {
    let path = dir.join(PORTS_FILE);
    match fs::read(&path) {
        Ok(noted) => serde_json::from_slice(&noted)
            .map(Some)
            .with_context(|| format!("{} is damaged; choose another --data-dir", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::Playground;

    #[test]
    fn members_keep_their_ports_with_their_data() {
        let dir = tempfile::tempdir().unwrap();
        let first = Playground::start(dir.path()).unwrap();
        let endpoints = first.endpoints().to_vec();
        assert!(first.is_new());
        first.stop();
        let again = Playground::start(dir.path()).unwrap();
        assert_eq!(again.endpoints(), endpoints);
        assert!(!again.is_new());
        again.stop();
    }
}
