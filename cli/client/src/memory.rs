//! How much memory a member has, as it says on its page of metrics.

use std::time::Duration;

use thiserror::Error;
use tokio::time::timeout;

use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::http;

/// Why it is not known; the texts of etcdctl.
#[derive(Debug, Error)]
pub enum MemoryError {
    #[error(transparent)]
    Config(#[from] Failure),
    #[error("fetch error: {0}")]
    Fetch(String),
    #[error("could not find: {RESIDENT}")]
    Missing,
    #[error("parse error: {0}")]
    Number(String),
}

const RESIDENT: &str = "process_resident_memory_bytes";

/// A member that is well answers at once.
const PATIENCE: Duration = Duration::from_secs(30);

impl Connection {
    /// The resident memory of the member behind `endpoint`, in bytes.
    pub async fn resident_memory_bytes(&self, endpoint: &Endpoint) -> Result<f64, MemoryError> {
        let page = timeout(PATIENCE, self.metrics(endpoint)).await;
        let page =
            page.map_err(|_| MemoryError::Fetch(format!("no answer within {PATIENCE:?}")))?;
        resident(&page?)
    }

    async fn metrics(&self, endpoint: &Endpoint) -> Result<String, MemoryError> {
        let link = self.link_to(endpoint).await?;
        let dialer = link.dialer();
        let answer = http::get(dialer, "/metrics").await;
        Ok(answer.map_err(|cause| MemoryError::Fetch(dialer.error(cause).to_string()))?.body)
    }
}

fn resident(page: &str) -> Result<f64, MemoryError> {
    let line = page.lines().find_map(|line| line.strip_prefix(RESIDENT));
    let number = line.ok_or(MemoryError::Missing)?.trim();
    number.parse().map_err(|_| MemoryError::Number(format!("{number:?} is not a number")))
}

#[cfg(test)]
mod tests {
    use super::{MemoryError, resident};

    #[test]
    fn the_number_is_found_on_the_page() {
        let page = "HTTP/1.0 200 OK\r\n\r\n# TYPE process_resident_memory_bytes gauge\n\
                    process_resident_memory_bytes 1.9562496e+07\nother 1\n";
        assert_eq!(resident(page).ok(), Some(19_562_496.0));
        assert!(matches!(resident("other 1\n"), Err(MemoryError::Missing)));
        let bad = resident("process_resident_memory_bytes x\n");
        assert!(matches!(bad, Err(MemoryError::Number(_))));
    }
}
