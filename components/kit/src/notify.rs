//! Reports this process's state to its supervisor: the `sd_notify(3)` protocol.
//!
//! `$NOTIFY_SOCKET` names a datagram socket, a path or, on Linux and with a leading `@`, an abstract name. Without it nothing is sent.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

/// A handle to the supervisor. Cheap to clone; every call sends one datagram, which is dropped if it cannot be sent at once.
#[derive(Debug, Clone, Default)]
pub struct Notifier(Option<Arc<UnixDatagram>>);

impl Notifier {
    /// Connects to `$NOTIFY_SOCKET` if it is set and reachable.
    #[must_use]
    pub fn from_environment() -> Self {
        let socket = std::env::var("NOTIFY_SOCKET").ok().and_then(|name| connect(&name).ok());
        Self(socket.map(Arc::new))
    }

    /// Reports readiness.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", single_line(status)));
    }

    /// Reports that this process is not ready, with the reason, until the next [`ready`](Self::ready). The protocol has no message for it;
    /// other supervisors show only the status.
    pub fn unready(&self, reason: &str) {
        let reason = single_line(reason);
        self.send(&format!("X_P2P_UNREADY={reason}\nSTATUS={reason}"));
    }

    /// Reports a one-line status for `launcher status`.
    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={}", single_line(status)));
    }

    /// Reports that this process is stopping.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Asks the supervisor to extend the current timeout to at least this long from now.
    pub fn extend(&self, by: Duration) {
        self.send(&format!("EXTEND_TIMEOUT_USEC={}", by.as_micros()));
    }

    /// Whether there is a supervisor to report to.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.0.is_some()
    }

    /// Feeds the watchdog once.
    pub fn watchdog(&self) {
        self.send("WATCHDOG=1");
    }

    /// Feeds the watchdog three times as often as `$WATCHDOG_USEC` requires; returns at once if there is no watchdog or `$WATCHDOG_PID`
    /// names another process. Spawn it beside the work: it stops when the runtime is stuck.
    pub async fn feed_watchdog(self) {
        let asked = std::env::var("WATCHDOG_PID").ok();
        if asked.is_some_and(|pid| pid != std::process::id().to_string()) {
            return;
        }
        let micros = std::env::var("WATCHDOG_USEC").ok().and_then(|micros| micros.parse().ok());
        let Some(patience) = micros.map(Duration::from_micros).filter(|patience| !patience.is_zero()) else {
            return;
        };
        let mut ticks = tokio::time::interval((patience / 3).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.watchdog();
        }
    }

    /// Errors are dropped: an unreachable supervisor is no reason to fail.
    fn send(&self, message: &str) {
        if let Some(socket) = &self.0 {
            let _ = socket.send(message.as_bytes());
        }
    }
}

fn connect(name: &str) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    #[cfg(target_os = "linux")]
    if let Some(name) = name.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt;
        socket.connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?)?;
        return Ok(socket);
    }
    socket.connect(name)?;
    Ok(socket)
}

fn single_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
