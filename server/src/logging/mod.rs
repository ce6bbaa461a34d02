//! Logs in etcd's form: one JSON object a line on standard error, or plain lines for people.
//!
//! The member itself only emits `tracing` events; whoever owns the process decides whether they
//! go anywhere. The server installs this layer, an embedder installs its own or none.

mod line;
mod raft;

use std::io::Write;
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{LogConfig, LogFormat, LogLevel};

pub(crate) use raft::raft_logger;

/// Events of this target are shown as level `fatal`, whatever the level asked for.
pub(crate) const FATAL: &str = "fatal";

/// Sends the logs of this process to `sink`. Does nothing if somebody did so before.
pub fn install(config: LogConfig, sink: impl Write + Send + 'static) {
    let ours = match config.level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Fatal => LevelFilter::OFF,
    };
    // Libraries speak up only about what is wrong: their news are not a member's.
    let filter = Targets::new()
        .with_default(ours.min(LevelFilter::WARN))
        .with_target("kvorum_server", ours)
        .with_target(FATAL, LevelFilter::ERROR);
    let layer = EtcdLayer { format: config.format, sink: Mutex::new(sink) };
    let _ = Registry::default().with(layer.with_filter(filter)).try_init();
}

struct EtcdLayer<W> {
    format: LogFormat,
    sink: Mutex<W>,
}

impl<S: Subscriber, W: Write + Send + 'static> Layer<S> for EtcdLayer<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = line::render(event, self.format, jiff::Timestamp::now());
        if let Ok(mut sink) = self.sink.lock() {
            // A log that cannot be written has nowhere to say so.
            let _ = sink.write_all(line.as_bytes());
        }
    }
}

/// A level as etcd's logs write it.
fn level_name(event: &Event<'_>) -> &'static str {
    match *event.metadata().level() {
        _ if event.metadata().target() == FATAL => "fatal",
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}
