//! Logging of components: text lines on standard error, which the launcher writes to `logs/`.

use std::borrow::Cow;
use std::io::Write;

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{filter, fmt};

/// Sanitises a log line: removes terminal control characters and line ends, which could forge lines.
pub type Clean = fn(&str) -> Cow<'_, str>;

/// Standard error that never fails: if nobody reads it any more, lines are dropped.
#[derive(Debug, Clone, Copy)]
struct Stderr(Clean);

impl Write for Stderr {
    /// The formatter writes one complete line at a time.
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(buffer);
        let line = format!("{}\n", (self.0)(text.trim_end_matches('\n')));
        let _ = std::io::stderr().write_all(line.as_bytes());
        Ok(buffer.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

/// Sends this process's log to standard error, filtered by `RUST_LOG` (`info`, or `chat_server=debug,info`), by default `info`.
pub fn to_stderr(clean: Clean) {
    let targets = filter();
    let layer = fmt::layer().with_writer(Stderr(clean)).with_ansi(false).log_internal_errors(false);
    // A second initialisation, as in tests, has no effect.
    let _ = tracing_subscriber::registry().with(targets).with(layer).try_init();
}

/// The filter from `RUST_LOG`, by default `info`.
#[must_use]
pub fn filter() -> filter::Targets {
    std::env::var("RUST_LOG")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| filter::Targets::new().with_default(tracing::Level::INFO))
}
