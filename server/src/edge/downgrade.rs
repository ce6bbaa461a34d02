//! Whether the cluster could go back to an older version. It never is on its way to one: that
//! needs members which change the cluster's version while they run.

use kvorum_proto::etcdserverpb::DowngradeRequest;
use kvorum_proto::etcdserverpb::downgrade_request::DowngradeAction;
use tonic::Status;

use super::status::{Refused, not_yet, of_request};
use crate::runtime::Handle;

/// Answers with the cluster's version, as `major.minor`.
pub(super) async fn downgrade(
    handle: &Handle,
    request: &DowngradeRequest,
) -> Result<String, Status> {
    match DowngradeAction::try_from(request.action) {
        Ok(DowngradeAction::Validate) => validate(handle, &request.version).await,
        Ok(DowngradeAction::Enable) => {
            validate(handle, &request.version).await?;
            Err(not_yet("downgrading is"))
        }
        Ok(DowngradeAction::Cancel) => {
            handle.read_barrier().await.map_err(of_request)?;
            Err(Refused::NoInflightDowngrade.into())
        }
        Err(_) => Err(Refused::UnknownMethod.into()),
    }
}

/// A cluster can go back by one minor version.
async fn validate(handle: &Handle, target: &str) -> Result<String, Status> {
    let target = minor_version(target)
        .or_else(|| minor_version(&format!("{target}.0")))
        .ok_or(Refused::WrongDowngradeVersionFormat)?;
    let cluster = |handle: &Handle| handle.root().cluster_version().and_then(minor_version);
    cluster(handle).ok_or(Refused::ClusterVersionUnavailable)?;
    handle.read_barrier().await.map_err(of_request)?;
    let (major, minor) = cluster(handle).ok_or(Refused::ClusterVersionUnavailable)?;
    if Some(target) == minor.checked_sub(1).map(|below| (major, below)) {
        Ok(format!("{major}.{minor}"))
    } else {
        Err(Refused::InvalidDowngradeTarget.into())
    }
}

/// Major and minor of a semantic version, which has three numbers and perhaps a pre-release and
/// metadata; what etcd's parser takes.
fn minor_version(text: &str) -> Option<(u64, u64)> {
    let (text, metadata) = text.split_once('+').unwrap_or((text, ""));
    let (numbers, release) = text.split_once('-').unwrap_or((text, ""));
    let identifies = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if !metadata.chars().chain(release.chars()).all(identifies) {
        return None;
    }
    let mut parts = numbers.splitn(3, '.').map(|part| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<i64>().ok().filter(|_| digits)
    });
    let [major, minor, _patch] = [parts.next()??, parts.next()??, parts.next()??];
    Some((major.unsigned_abs(), minor.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_etcd_reads_them() {
        for (text, expected) in [
            ("3.5.0", Some((3, 5))),
            ("3.5.21", Some((3, 5))),
            ("3.5.0-rc.1", Some((3, 5))),
            ("3.5.0-rc.1+git", Some((3, 5))),
            ("03.05.00", Some((3, 5))),
            ("3.5", None),
            ("3", None),
            ("", None),
            ("v3.5.0", None),
            ("3.5.x", None),
            ("3.5.0.0", None),
            ("3.5.0-ä", None),
            ("3.99999999999999999999.0", None),
        ] {
            assert_eq!(minor_version(text), expected, "{text}");
        }
    }
}
