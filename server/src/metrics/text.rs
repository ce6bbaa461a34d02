//! Prometheus' text format, version 0.0.4.
//!
//! Written here and not by a library: the names must be etcd's to the letter, and the libraries
//! for OpenMetrics put `_total` behind every counter, which some of etcd's have not
//! (`etcd_server_health_success`) and some of etcd's gauges have
//! (`etcd_server_proposals_committed_total`).

use std::fmt::{Display, Write};

use super::value::Histogram;

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Labels in their order: alphabetical, as etcd's.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// A page of metrics; each family is one block.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.sample(name, &[], value);
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    pub(super) fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, "histogram", help);
        self.buckets(name, &[], histogram);
    }

    /// Begins a family whose samples follow.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub(super) fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.0.push_str(name);
        self.labels(labels, None);
        let _ = writeln!(self.0, " {value}");
    }

    pub(super) fn buckets(&mut self, name: &str, labels: Labels<'_>, histogram: &Histogram) {
        let (reached, count) = histogram.cumulative();
        for (bound, reached) in reached {
            self.bucket(name, labels, &bound.to_string(), reached);
        }
        self.bucket(name, labels, "+Inf", count);
        self.sample(&format!("{name}_sum"), labels, histogram.sum_s());
        self.sample(&format!("{name}_count"), labels, count);
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn bucket(&mut self, name: &str, labels: Labels<'_>, bound: &str, reached: u64) {
        let _ = write!(self.0, "{name}_bucket");
        self.labels(labels, Some(bound));
        let _ = writeln!(self.0, " {reached}");
    }

    fn labels(&mut self, labels: Labels<'_>, bound: Option<&str>) {
        let bound = bound.map(|bound| ("le", bound));
        let mut open = '{';
        for (name, value) in labels.iter().copied().chain(bound) {
            let _ = write!(self.0, "{open}{name}=\"");
            for character in value.chars() {
                match character {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
            open = ',';
        }
        if open == ',' {
            self.0.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_page_is_as_prometheus_reads_it() {
        let mut page = Page::default();
        page.counter("a_total", "How many.", 3);
        page.family("b", "gauge", "What.");
        page.sample("b", &[("x", "1"), ("y", "a\"\\\n")], 0.5);
        let histogram = Histogram::new(&[0.001, 1.0]);
        histogram.observe(Duration::from_millis(500));
        page.family("c", "histogram", "How long.");
        page.buckets("c", &[("m", "Put")], &histogram);
        let expected = "\
# HELP a_total How many.
# TYPE a_total counter
a_total 3
# HELP b What.
# TYPE b gauge
b{x=\"1\",y=\"a\\\"\\\\\\n\"} 0.5
# HELP c How long.
# TYPE c histogram
c_bucket{m=\"Put\",le=\"0.001\"} 0
c_bucket{m=\"Put\",le=\"1\"} 1
c_bucket{m=\"Put\",le=\"+Inf\"} 1
c_sum{m=\"Put\"} 0.5
c_count{m=\"Put\"} 1
";
        assert_eq!(page.into_text(), expected);
    }
}
