//! Tells whoever started us how we are: the `sd_notify(3)` protocol.
//!
//! `$NOTIFY_SOCKET` names a datagram socket, a path or, on Linux and with a leading `@`, an abstract name. Without it nothing is sent.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

/// Speaks to the supervisor. Cheap to clone; every call is one datagram that is dropped if it cannot be sent at once.
#[derive(Debug, Clone, Default)]
pub struct Notifier(Option<Arc<UnixDatagram>>);

impl Notifier {
    /// Connects to `$NOTIFY_SOCKET`, where there is one that can be reached.
    #[must_use]
    pub fn from_environment() -> Self {
        let socket = std::env::var("NOTIFY_SOCKET").ok().and_then(|name| connect(&name).ok());
        Self(socket.map(Arc::new))
    }

    /// We serve now.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", single_line(status)));
    }

    /// We do not serve now, for this reason, until [`ready`](Self::ready) says that we do. The protocol has no word for it; a
    /// supervisor that does not know ours shows the status.
    pub fn unready(&self, reason: &str) {
        let reason = single_line(reason);
        self.send(&format!("X_P2P_UNREADY={reason}\nSTATUS={reason}"));
    }

    /// What we are doing, in one line, for `launcher status`.
    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={}", single_line(status)));
    }

    /// We are on our way out.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// What we are about takes this long from now on at least.
    pub fn extend(&self, by: Duration) {
        self.send(&format!("EXTEND_TIMEOUT_USEC={}", by.as_micros()));
    }

    /// Whether there is anybody to tell.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// We still make progress.
    pub fn watchdog(&self) {
        self.send("WATCHDOG=1");
    }

    /// Says again and again that we make progress, three times as often as `$WATCHDOG_USEC` asks for; at once done where nobody
    /// asks, or `$WATCHDOG_PID` asks another process. Spawn it beside the work: it falls silent when the runtime is stuck.
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

    /// A supervisor that cannot be told is no reason to fail, so errors are dropped.
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
