//! Whether a peer comes from where its certificate says, as etcd's peer listeners ask
//! (`checkCertSAN`): a stolen certificate is of no use from elsewhere.

use std::net::IpAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Names;

/// For all questions to the system's resolver about one connection.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// Names of one certificate that are looked up; a member has a handful.
const MAX_LOOKED_UP: usize = 64;

/// Refuses with a reason. A certificate without names may come from anywhere.
pub(crate) async fn comes_from_its_place(names: &Names, from: IpAddr) -> Result<(), String> {
    let from = from.to_canonical();
    if names.addresses.is_empty() && names.hosts.is_empty() {
        return Ok(());
    }
    if names.addresses.iter().any(|address| address.to_canonical() == from) {
        return Ok(());
    }
    if names.hosts.is_empty() {
        let valid: Vec<String> = names.addresses.iter().map(ToString::to_string).collect();
        return Err(format!("x509: certificate is valid for {}, not {from}", valid.join(", ")));
    }
    let found = timeout(LOOK_UP_TIMEOUT, is_host_of(from, &names.hosts)).await;
    match found {
        Ok(true) => Ok(()),
        Ok(false) => Err(unmatched(from, names, "")),
        Err(_) => Err(unmatched(from, names, " (the names cannot be looked up in time)")),
    }
}

fn unmatched(from: IpAddr, names: &Names, why: &str) -> String {
    let quoted: Vec<String> = names.hosts.iter().map(|name| format!("{name:?}")).collect();
    format!("tls: \"{from}\" does not match any of DNSNames [{}]{why}", quoted.join(" "))
}

/// Asks for the names of the address first, then for the addresses of the names.
async fn is_host_of(from: IpAddr, hosts: &[String]) -> bool {
    let reverse = spawn_blocking(move || dns_lookup::lookup_addr(&from)).await;
    if let Ok(Ok(host)) = reverse {
        let host = host.trim_end_matches('.');
        let matches = |name: &String| match name.strip_prefix('*') {
            Some(suffix) if suffix.starts_with('.') => host.ends_with(suffix),
            _ => host == name,
        };
        if hosts.iter().any(matches) {
            return true;
        }
    }
    for name in hosts.iter().filter(|name| !name.starts_with("*.")).take(MAX_LOOKED_UP) {
        if let Ok(mut addresses) = lookup_host((name.as_str(), 0)).await
            && addresses.any(|address| address.ip().to_canonical() == from)
        {
            return true;
        }
    }
    false
}
