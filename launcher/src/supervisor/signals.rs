//! INT, TERM, HUP and QUIT, each a wish for the end.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Wishes that may wait: the second kills, so more say nothing new.
const WISHES: usize = 2;

/// One message for each signal from now on.
pub(super) fn wishes_for_the_end() -> io::Result<mpsc::Receiver<()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    let (sender, receiver) = mpsc::channel(WISHES);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
                _ = quit.recv() => {}
            }
            let _ = sender.try_send(());
        }
    });
    Ok(receiver)
}
