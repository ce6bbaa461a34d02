//! How often the member was asked whether it is well, and what it said.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::text::Page;
use super::value::Counter;

#[derive(Debug, Default)]
pub(crate) struct HealthChecks {
    success: Counter,
    failures: Counter,
    /// By path and name of the check.
    checks: Mutex<BTreeMap<(&'static str, &'static str), Check>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Check {
    well: bool,
    success: u64,
    error: u64,
}

impl HealthChecks {
    pub(crate) fn count(&self, well: bool) {
        if well { self.success.inc() } else { self.failures.inc() }
    }

    pub(crate) fn count_check(&self, path: &'static str, name: &'static str, well: bool) {
        let mut checks = self.checks.lock();
        let check = checks.entry((path, name)).or_default();
        check.well = well;
        if well { check.success += 1 } else { check.error += 1 }
    }

    pub(super) fn write(&self, page: &mut Page) {
        let name = "etcd_server_health_success";
        page.counter(name, "Health checks that found the member well.", self.success.get());
        let name = "etcd_server_health_failures";
        page.counter(name, "Health checks that found it ill.", self.failures.get());
        let checks = self.checks.lock().clone();
        if checks.is_empty() {
            return;
        }
        let name = "etcd_server_healthcheck";
        page.family(name, "gauge", "What each check last said.");
        for ((path, check), state) in &checks {
            page.sample(name, &[("name", check), ("type", path)], u8::from(state.well));
        }
        let name = "etcd_server_healthchecks_total";
        page.family(name, "counter", "How often each check said what.");
        for ((path, check), state) in &checks {
            for (status, count) in [("error", state.error), ("success", state.success)] {
                if count > 0 {
                    let labels = [("name", *check), ("status", status), ("type", *path)];
                    page.sample(name, &labels, count);
                }
            }
        }
    }
}
