//! Turns INT and TERM into one token that all tasks of the process watch.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `shutdown` at the first INT or TERM. A second INT ends the process at once.
///
/// # Errors
/// When the signals cannot be caught.
pub fn on_signals(shutdown: CancellationToken) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        first_of(&mut interrupt, &mut terminate).await;
        shutdown.cancel();
        interrupt.recv().await;
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).ok();
    });
    Ok(())
}

async fn first_of(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
