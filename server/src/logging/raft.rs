//! Raft's logger, whose records become events here.

use std::fmt::{self, Write};

use slog::{Drain, KV, Key, Logger, Never, OwnedKVList, Record, Serializer};

/// A logger for the raft library, which speaks slog.
pub(crate) fn raft_logger() -> Logger {
    Logger::root(ToTracing, slog::o!())
}

struct ToTracing;

impl Drain for ToTracing {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        // Raft counts each of its own steps as news; ours are the changes of role.
        let level = record.level();
        let wanted = match level {
            slog::Level::Critical | slog::Level::Error => tracing::enabled!(tracing::Level::ERROR),
            slog::Level::Warning => tracing::enabled!(tracing::Level::WARN),
            _ => tracing::enabled!(tracing::Level::DEBUG),
        };
        if !wanted {
            return Ok(());
        }
        let mut details = Details(String::new());
        let _ = record.kv().serialize(record, &mut details);
        let _ = values.serialize(record, &mut details);
        let (message, details) = (record.msg().to_string(), details.0);
        match level {
            slog::Level::Critical | slog::Level::Error => {
                tracing::error!(raft = details, "{message}");
            }
            slog::Level::Warning => tracing::warn!(raft = details, "{message}"),
            _ => tracing::debug!(raft = details, "{message}"),
        }
        Ok(())
    }
}

/// `key=value` of every pair.
struct Details(String);

impl Serializer for Details {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        let gap = if self.0.is_empty() { "" } else { " " };
        write!(self.0, "{gap}{key}={value}")?;
        Ok(())
    }
}
