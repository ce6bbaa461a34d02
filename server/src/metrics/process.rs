//! The process as the operating system sees it.

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::text::Page;

/// What is not to be had on this system is left out.
pub(super) fn write(page: &mut Page, started_unix_s: f64) {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    page.family("process_cpu_seconds_total", "counter", "Time on the processors.");
    let spent_s = spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9;
    page.sample("process_cpu_seconds_total", &[], spent_s);
    let unlimited = |limit: Option<u64>| limit.map_or(u64::MAX as f64, |limit| limit as f64);
    let files = unlimited(getrlimit(Resource::Nofile).current);
    page.gauge("process_max_fds", "Files that may be open.", files);
    page.gauge("os_fd_limit", "Files that may be open.", files);
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // One is open for the listing.
        let open = open.count().saturating_sub(1);
        page.gauge("process_open_fds", "Open files.", open);
        page.gauge("os_fd_used", "Open files.", open);
    }
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let memory = [
            ("VmRSS:", "process_resident_memory_bytes", "Memory in use."),
            ("VmSize:", "process_virtual_memory_bytes", "Addresses in use."),
        ];
        for (field, name, help) in memory {
            if let Some(kib) = kib(&status, field) {
                page.gauge(name, help, kib << 10);
            }
        }
    }
    let addresses = unlimited(getrlimit(Resource::As).current);
    page.gauge("process_virtual_memory_max_bytes", "Addresses that may be in use.", addresses);
    page.gauge("process_start_time_seconds", "When the member started.", started_unix_s);
}

fn kib(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
