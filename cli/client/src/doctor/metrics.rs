//! Reading the few figures of `/metrics` that tell of a slow disk, and the quota.

use std::time::Duration;

use super::facts::{Disk, Latency};

pub(super) fn disk(metrics: &str) -> Disk {
    Disk {
        fsync: latency(metrics, "etcd_disk_wal_fsync_duration_seconds"),
        commit: latency(metrics, "etcd_disk_backend_commit_duration_seconds"),
    }
}

/// The quota, which etcd before 3.6 tells here only.
pub(super) fn quota_bytes(metrics: &str) -> Option<i64> {
    let line = samples(metrics, "etcd_server_quota_backend_bytes").next()?;
    let bytes: f64 = line.1.parse().ok()?;
    (bytes > 0.0).then_some(bytes as i64)
}

fn latency(metrics: &str, name: &str) -> Option<Latency> {
    let count = samples(metrics, &format!("{name}_count")).next()?.1.parse::<f64>().ok()?;
    let bucket = format!("{name}_bucket");
    let mut p99 = None;
    for (labels, value) in samples(metrics, &bucket) {
        let Some(limit) = labels.strip_prefix("{le=\"").and_then(|rest| rest.strip_suffix("\"}"))
        else {
            continue;
        };
        let (Ok(limit), Ok(within)) = (limit.parse::<f64>(), value.parse::<f64>()) else {
            continue;
        };
        if limit.is_finite() && within >= count * 0.99 {
            p99 = Duration::try_from_secs_f64(limit).ok();
            break;
        }
    }
    Some(Latency { samples: count as u64, p99 })
}

/// Labels and values of the lines of one name, in their order.
fn samples<'a>(metrics: &'a str, name: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    metrics.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        (labels.is_empty() || labels.starts_with('{')).then_some((labels, value))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Latency, disk, quota_bytes};

    const PAGE: &str = "\
# TYPE etcd_disk_wal_fsync_duration_seconds histogram
etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.001\"} 900
etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.002\"} 990
etcd_disk_wal_fsync_duration_seconds_bucket{le=\"+Inf\"} 1000
etcd_disk_wal_fsync_duration_seconds_sum 0.7
etcd_disk_wal_fsync_duration_seconds_count 1000
etcd_disk_backend_commit_duration_seconds_bucket{le=\"0.001\"} 1
etcd_disk_backend_commit_duration_seconds_bucket{le=\"+Inf\"} 100
etcd_disk_backend_commit_duration_seconds_count 100
etcd_server_quota_backend_bytes 2.147483648e+09
";

    #[test]
    fn the_99th_percentile_is_the_bucket_it_falls_into() {
        let disk = disk(PAGE);
        let fsync = Latency { samples: 1000, p99: Some(Duration::from_millis(2)) };
        assert_eq!(disk.fsync, Some(fsync));
        assert_eq!(disk.commit, Some(Latency { samples: 100, p99: None }));
        assert_eq!(quota_bytes(PAGE), Some(2 * 1024 * 1024 * 1024));
    }

    #[test]
    fn another_page_tells_nothing() {
        assert_eq!(disk("404 page not found\n").fsync, None);
        assert_eq!(quota_bytes(""), None);
    }
}
