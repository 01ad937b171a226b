//! The launcher's own log, `logs/launcher.log`: written by a thread of its own (`tracing-appender`).

use std::path::Path;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::supervisor::logs::launcher_log::{Limits, OwnLog};

/// Lines in the queue. The launcher writes a few per second at most, so only a disk that hangs for minutes makes it drop any; waiting instead
/// would block the supervisor. The queue has its memory from the beginning, 32 bytes a line.
const WAITING_LINES: usize = 1024;

/// Opens the log, which no other process may write to. Queued lines are written when the guard is dropped.
pub(super) fn begin(logs: &Path, limits: Limits) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .lossy(true)
        .finish(OwnLog::new(logs, limits));
    let layer = fmt::layer().with_writer(writer).with_ansi(false).log_internal_errors(false);
    // A second initialisation, as in tests, keeps the first.
    let _ = tracing_subscriber::registry().with(kit::log::filter()).with(layer).try_init();
    guard
}
