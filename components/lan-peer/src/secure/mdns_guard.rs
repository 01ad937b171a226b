//! Stops mDNS when it costs too much. The library parses all input as fast as it arrives and does not notice its shutdown signal meanwhile.
//! So its thread's processor time is measured, and its sockets are closed to the network before it is stopped. It also stores every record
//! of a node until it expires, which can take hours, so records are counted, too.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use mdns_sd::Metrics;
#[cfg(target_os = "linux")]
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use socket2::SockRef;

/// Sampling interval.
pub(super) const LOOK: Duration = Duration::from_millis(500);
/// Number of consecutive samples over the limit that count as a flood.
const LOOKS: u32 = 2;
/// Limit on the share of a processor per sample. A network of fifty nodes that start at once needs a tenth of it.
const SHARE: f64 = 0.25;
/// Limit on stored records and their timers. A node needs about twenty of both, so this is enough for a thousand nodes.
const KEPT: i64 = 20_000;
/// The port of mDNS (RFC 6762).
#[cfg(target_os = "linux")]
const PORT: u16 = 5353;
/// The name of the library's thread.
const THREAD: &str = "mDNS_daemon";

/// Whether the library stores too much, by its own counters.
pub(super) fn is_too_much(counts: &Metrics) -> bool {
    let kept = counts.iter().filter(|(what, _)| what.starts_with("cached-") || *what == "timer");
    kept.map(|(_, count)| count).sum::<i64>() > KEPT
}

/// Measures the library's thread.
#[derive(Debug)]
pub(super) struct Guard {
    /// The thread's statistics file; `None` if unavailable (yet), and then there is no limit.
    statistics: Option<PathBuf>,
    used: Duration,
    looks: u32,
}

impl Guard {
    /// Measures the thread that was just started, which sets its name a moment later.
    pub(super) fn new() -> Self {
        Self { statistics: None, used: Duration::ZERO, looks: 0 }
    }

    /// Whether the limit was exceeded for long enough; `elapsed` is the time since the last sample.
    pub(super) fn is_flooded(&mut self, elapsed: Duration) -> bool {
        if self.statistics.is_none() {
            self.statistics = thread();
        }
        let used = self.read();
        let more = used.saturating_sub(self.used);
        self.used = used;
        self.count(more, elapsed)
    }

    fn count(&mut self, used: Duration, elapsed: Duration) -> bool {
        let is_much = used.as_secs_f64() > SHARE * elapsed.as_secs_f64();
        self.looks = if is_much { self.looks + 1 } else { 0 };
        self.looks >= LOOKS
    }

    /// The processor time of the thread so far (proc_pid_schedstat(5)).
    fn read(&self) -> Duration {
        let text = self.statistics.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        let nanos = text.and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(0);
        Duration::from_nanos(nanos)
    }
}

fn thread() -> Option<PathBuf> {
    let is_it =
        |path: &PathBuf| std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == THREAD);
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    // If there are several, the newest: the older ones are ending.
    let found =
        tasks.filter_map(Result::ok).map(|task| task.path()).filter(is_it).max_by_key(|path| number(path));
    found.map(|path| path.join("schedstat"))
}

fn number(path: &std::path::Path) -> u32 {
    path.file_name().and_then(|name| name.to_str()?.parse().ok()).unwrap_or(0)
}

/// Stops input on this process's mDNS sockets: a connected datagram socket accepts only datagrams of its peer, and there is none. If the
/// system refuses, they stay open, and the library stops once there is nothing to read.
pub(super) fn close_sockets() {
    for socket in sockets() {
        let nobody = match SockRef::from(&socket).local_addr().ok().and_then(|address| address.as_socket()) {
            Some(SocketAddr::V4(_)) => SocketAddr::from((Ipv4Addr::LOCALHOST, 9)),
            Some(SocketAddr::V6(_)) => SocketAddr::from((Ipv6Addr::LOCALHOST, 9)),
            None => continue,
        };
        if let Err(error) = SockRef::from(&socket).connect(&nobody.into()) {
            tracing::debug!(%error, "a socket of mDNS stays open");
        }
    }
}

/// Not available on other systems.
#[cfg(not(target_os = "linux"))]
fn sockets() -> Vec<OwnedFd> {
    Vec::new()
}

/// This process's sockets that are bound to the mDNS port, which the library does not expose.
#[cfg(target_os = "linux")]
fn sockets() -> Vec<OwnedFd> {
    let Ok(own) = pidfd_open(getpid(), PidfdFlags::empty()) else { return Vec::new() };
    let Ok(files) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let numbers = files.filter_map(|file| file.ok()?.file_name().to_str()?.parse().ok());
    let copies = numbers.filter_map(|number| pidfd_getfd(&own, number, PidfdGetfdFlags::empty()).ok());
    copies.filter(is_of_mdns).collect()
}

#[cfg(target_os = "linux")]
fn is_of_mdns(file: &OwnedFd) -> bool {
    let socket = SockRef::from(file);
    let is_datagram = socket.r#type().is_ok_and(|kind| kind == socket2::Type::DGRAM);
    let port = socket.local_addr().ok().and_then(|address| address.as_socket()).map(|address| address.port());
    is_datagram && port == Some(PORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lasting_excess_is_a_flood() {
        let mut guard = Guard::new();
        let [much, little] = [200, 20].map(Duration::from_millis);
        for used in [much, little, much] {
            assert!(!guard.count(used, LOOK));
        }
        assert!(guard.count(much, LOOK));
        assert!(!guard.is_flooded(LOOK), "where there is no such thread there is no flood");
    }

    #[test]
    fn stored_records_are_counted() {
        let daemon = mdns_sd::ServiceDaemon::new().unwrap();
        let counts = daemon.get_metrics().unwrap().recv().unwrap();
        assert!(counts.contains_key("cached-ptr") && counts.contains_key("timer"), "{counts:?}");
        assert!(!is_too_much(&counts));
        let much = [("cached-srv".to_owned(), KEPT / 2), ("timer".to_owned(), KEPT / 2 + 1)];
        assert!(is_too_much(&much.into()));
        assert!(!is_too_much(&[("respond".to_owned(), 2 * KEPT)].into()));
        while daemon.shutdown().is_err() {}
    }

    #[test]
    fn a_thread_is_measured_even_when_it_takes_its_name_later() {
        let mut guard = Guard::new();
        guard.is_flooded(LOOK);
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let busy = std::thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {});
        let is_measured = || {
            guard.is_flooded(LOOK);
            guard.used > Duration::ZERO
        };
        assert!(std::iter::repeat_with(is_measured).take(1_000_000).any(|is_measured| is_measured));
        drop(stop);
        busy.unwrap().join().unwrap();
    }
}
