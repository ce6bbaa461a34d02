//! One event, one line.

use std::fmt::{self, Write};

use jiff::Timestamp;
use serde_json::Value;
use tracing::Event;
use tracing::field::{Field, Visit};

use super::level_name;
use crate::config::LogFormat;

/// `{"level":…,"ts":…,"caller":…,"msg":…,fields…}`, or the same for people.
pub(super) fn render(event: &Event<'_>, format: LogFormat, now: Timestamp) -> String {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let level = level_name(event);
    let time = now.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    let caller = caller(event);
    match format {
        LogFormat::Json => json(level, time, caller, fields),
        LogFormat::Console => console(level, &time, &caller, &fields),
    }
}

fn json(level: &str, time: String, caller: String, fields: Fields) -> String {
    let head = [
        ("level", level.into()),
        ("ts", time.into()),
        ("caller", caller.into()),
        ("msg", fields.message.into()),
    ];
    let others = fields.others.iter().map(|(name, value)| (name.as_str(), value.clone()));
    let mut line = String::from("{");
    for (name, value) in head.into_iter().chain(others) {
        let gap = if line.len() > 1 { "," } else { "" };
        let _ = write!(line, "{gap}{}:{value}", Value::from(name));
    }
    line.push_str("}\n");
    line
}

fn console(level: &str, time: &str, caller: &str, fields: &Fields) -> String {
    let mut line = format!("{time} {:5} {}", level.to_uppercase(), one_line(&fields.message));
    for (name, value) in &fields.others {
        let _ = match value {
            Value::String(text) => write!(line, " {name}={}", one_line(text)),
            other => write!(line, " {name}={other}"),
        };
    }
    let _ = writeln!(line, " ({caller})");
    line
}

/// Control characters would let a logged value forge lines or move the cursor.
fn one_line(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped: Vec<char> =
                if c.is_control() { c.escape_default().collect() } else { vec![c] };
            escaped
        })
        .collect()
}

/// The last folder, the file and the line, as Go's logger prints them.
fn caller(event: &Event<'_>) -> String {
    let file = event.metadata().file().unwrap_or("unknown");
    let start = file.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at + 1);
    format!("{}:{}", &file[start..], event.metadata().line().unwrap_or(0))
}

#[derive(Default)]
struct Fields {
    message: String,
    /// In the order they were given.
    others: Vec<(String, Value)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => self.others.push((name.replace('_', "-"), value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::EtcdLayer;
    use crate::config::LogFormat;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let layer = EtcdLayer { format, sink: Mutex::new(sink.clone()) };
        tracing::subscriber::with_default(Registry::default().with(layer), log);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_has_level_time_caller_and_message_first() {
        let line = logged(LogFormat::Json, || {
            tracing::info!(address = "127.0.0.1:2379", term = 3, "ready to serve client requests");
        });
        let start = "{\"level\":\"info\",\"ts\":\"2";
        assert!(line.starts_with(start), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["msg"], "ready to serve client requests");
        assert_eq!(value["address"], "127.0.0.1:2379");
        assert_eq!(value["term"], 3);
        assert!(value["caller"].as_str().unwrap().starts_with("logging/line.rs:"), "{line}");
        let time = value["ts"].as_str().unwrap();
        assert_eq!(time.len(), "2026-11-22T08:00:00.000000Z".len(), "{time}");
        assert!(time.ends_with('Z'));
    }

    #[test]
    fn a_console_line_cannot_be_forged() {
        let line = logged(LogFormat::Console, || {
            tracing::warn!(name = "a\nb\u{1b}[2J", "odd");
        });
        assert_eq!(line.lines().count(), 1);
        assert!(line.contains("WARN  odd name=a\\nb\\u{1b}[2J"), "{line}");
    }
}
