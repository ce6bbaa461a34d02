//! `--auto-compaction-mode` and `--auto-compaction-retention`.

use std::time::Duration;

use super::go_flags::parse_duration;

/// What history is given up without being asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoCompaction {
    #[default]
    Off,
    /// Whatever is older than this.
    Periodic(Duration),
    /// Whatever is more than so many revisions behind.
    Revision(i64),
}

impl AutoCompaction {
    /// Reads the two flags as etcd does: in mode `periodic` a number without a unit means hours,
    /// and zero switches it off. What makes etcd compact without end (a negative time) or never
    /// (a time where a number of revisions is meant) is refused.
    pub fn parse(mode: &str, retention: &str) -> Result<AutoCompaction, String> {
        let periodic = match mode {
            "periodic" => true,
            "revision" => false,
            "" => return Err("undefined auto-compaction-mode".to_owned()),
            _ => return Err(format!("unknown auto-compaction-mode {mode:?}")),
        };
        let bad = |why: &str| format!("error parsing CompactionRetention: {why} {retention:?}");
        if retention.is_empty() {
            return Ok(AutoCompaction::Off);
        }
        if retention.starts_with('-') {
            return Err(bad("--auto-compaction-retention must not be negative:"));
        }
        let number: Option<u32> = retention.parse().ok();
        match (number, periodic) {
            (Some(0), _) => Ok(AutoCompaction::Off),
            (Some(hours), true) => {
                Ok(AutoCompaction::Periodic(Duration::from_secs(3600 * u64::from(hours))))
            }
            (None, true) => {
                let time = parse_duration(retention).ok_or_else(|| bad("invalid duration"))?;
                let on = !time.is_zero();
                Ok(if on { AutoCompaction::Periodic(time) } else { AutoCompaction::Off })
            }
            (_, false) => match retention.parse() {
                Ok(revisions) => Ok(AutoCompaction::Revision(revisions)),
                Err(_) if parse_duration(retention).is_some_and(|time| time.is_zero()) => {
                    Ok(AutoCompaction::Off)
                }
                Err(_) => Err(bad("mode revision takes a number of revisions, not")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_a_time_or_a_number_of_revisions() {
        let minutes = |minutes: u64| AutoCompaction::Periodic(Duration::from_secs(60 * minutes));
        for (mode, retention, expected) in [
            ("periodic", "0", AutoCompaction::Off),
            ("periodic", "", AutoCompaction::Off),
            ("periodic", "0s", AutoCompaction::Off),
            ("periodic", "1", minutes(60)),
            ("periodic", "30m", minutes(30)),
            ("periodic", "1h30m", minutes(90)),
            ("revision", "0", AutoCompaction::Off),
            ("revision", "0s", AutoCompaction::Off),
            ("revision", "1000", AutoCompaction::Revision(1000)),
            ("revision", "5000000000", AutoCompaction::Revision(5_000_000_000)),
        ] {
            let found = AutoCompaction::parse(mode, retention);
            assert_eq!(found, Ok(expected), "{mode} {retention}");
        }
    }

    #[test]
    fn what_would_compact_without_end_or_never_is_refused() {
        for (mode, retention) in [
            ("periodic", "-1"),
            ("periodic", "-1h"),
            ("periodic", "5000000000"),
            ("periodic", "soon"),
            ("revision", "-1"),
            ("revision", "1h"),
            ("revision", "many"),
        ] {
            let refused = AutoCompaction::parse(mode, retention).expect_err(retention);
            assert!(refused.starts_with("error parsing CompactionRetention: "), "{refused}");
        }
        assert_eq!(
            AutoCompaction::parse("foo", "0").expect_err("no such mode"),
            "unknown auto-compaction-mode \"foo\""
        );
    }
}
