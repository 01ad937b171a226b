//! Ends mDNS when it costs too much. Its library reads and parses whatever comes, as fast as it comes, and while there is more it does not
//! even hear that it is to end; so what its thread uses is measured, and before it is told to end its sockets are closed to the network.
//! It keeps every record of a node until that expires, after hours if the record says so; so those are counted, too.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use mdns_sd::Metrics;
#[cfg(target_os = "linux")]
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use socket2::SockRef;

/// How often it is looked.
pub(super) const LOOK: Duration = Duration::from_millis(500);
/// So many looks, one after another, have to find
const LOOKS: u32 = 2;
/// that it used this share of a processor since the last one. A network of fifty nodes that all start at once needs a tenth of that.
const SHARE: f64 = 0.25;
/// Records and timers for them that it may keep. A node needs about twenty of both, so this is a network of a thousand nodes.
const KEPT: i64 = 20_000;
/// The port of mDNS (RFC 6762).
#[cfg(target_os = "linux")]
const PORT: u16 = 5353;
/// What the library calls its thread.
const THREAD: &str = "mDNS_daemon";

/// Whether the library keeps too much, by its own count.
pub(super) fn is_too_much(counts: &Metrics) -> bool {
    let kept = counts.iter().filter(|(what, _)| what.starts_with("cached-") || *what == "timer");
    kept.map(|(_, count)| count).sum::<i64>() > KEPT
}

/// What the library's thread uses.
#[derive(Debug)]
pub(super) struct Guard {
    /// Where the system tells it; none where it does not (yet), and then nothing is too much.
    statistics: Option<PathBuf>,
    used: Duration,
    looks: u32,
}

impl Guard {
    /// Of the thread that has just been started, which takes its name a moment later.
    pub(super) fn new() -> Self {
        Self { statistics: None, used: Duration::ZERO, looks: 0 }
    }

    /// Whether it was too much for long enough; `elapsed` is the time since the last look.
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
    // Of several the one that was made last: those before it are ending.
    let found =
        tasks.filter_map(Result::ok).map(|task| task.path()).filter(is_it).max_by_key(|path| number(path));
    found.map(|path| path.join("schedstat"))
}

fn number(path: &std::path::Path) -> u32 {
    path.file_name().and_then(|name| name.to_str()?.parse().ok()).unwrap_or(0)
}

/// Lets nothing more come to the sockets of mDNS in this process: a datagram socket that is connected takes only what its peer sends,
/// and nobody is there. Where the system does not allow that they stay open, and the library ends when there is nothing to read.
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

/// Elsewhere there is no safe way to them.
#[cfg(not(target_os = "linux"))]
fn sockets() -> Vec<OwnedFd> {
    Vec::new()
}

/// The sockets of this process that are bound to the port of mDNS, which the library does not hand out.
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
    fn only_what_lasts_is_a_flood() {
        let mut guard = Guard::new();
        let [much, little] = [200, 20].map(Duration::from_millis);
        for used in [much, little, much] {
            assert!(!guard.count(used, LOOK));
        }
        assert!(guard.count(much, LOOK));
        assert!(!guard.is_flooded(LOOK), "where there is no such thread there is no flood");
    }

    #[test]
    fn what_is_kept_is_counted() {
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
