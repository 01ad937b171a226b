//! Detects the end of a child and leaves it a zombie.
//!
//! Linux has process descriptors, which become readable when the process ends. Elsewhere SIGCHLD is used, after which each child is
//! checked.

use std::io;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::exit::ProcessExit;

#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::Watch;
#[cfg(target_os = "linux")]
pub(super) use linux::Watch;

/// Whether it has ended; also if others have reaped it.
fn has_ended(id: WaitId<'_>) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(id, options), Ok(None))
}

/// Its exit status, without reaping it.
fn exit(id: WaitId<'_>) -> ProcessExit {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let Ok(Some(status)) = waitid(id, options) else { return ProcessExit::Unknown };
    let code = status.exit_status().map(ProcessExit::Code);
    code.or(status.terminating_signal().map(ProcessExit::Signal)).unwrap_or(ProcessExit::Unknown)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::{AsFd, OwnedFd};
    use std::time::Duration;

    use rustix::process::{PidfdFlags, pidfd_open};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    use super::{Pid, ProcessExit, WaitId, WaitIdOptions, exit, has_ended, io, waitid};

    /// A watched child.
    #[derive(Debug)]
    pub(in crate::driver) struct Watch(AsyncFd<OwnedFd>);

    impl Watch {
        #[expect(
            deprecated,
            reason = "its successor is unsafe for the sake of types that do not own their descriptor; this one does"
        )]
        pub(in crate::driver) fn on(pid: Pid) -> io::Result<Self> {
            let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
            Ok(Self(AsyncFd::with_interest(pidfd, Interest::READABLE)?))
        }

        /// Its exit status once it has ended.
        pub(in crate::driver) fn exit(&self) -> ProcessExit {
            exit(WaitId::PidFd(self.0.as_fd()))
        }

        /// Whether it has ended.
        pub(in crate::driver) fn has_ended(&self) -> bool {
            has_ended(WaitId::PidFd(self.0.as_fd()))
        }

        /// A process that may not be our child.
        pub(in crate::driver) fn on_other(pid: Pid) -> io::Result<Self> {
            Self::on(pid)
        }

        /// Like [`Self::has_ended`], also for a process that is not our child.
        pub(in crate::driver) fn has_ended_at_all(&self) -> bool {
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            let mut one = [PollFd::new(&self.0, PollFlags::IN)];
            poll(&mut one, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) != Ok(0)
        }

        /// Like [`Self::ended`], also for a process that is not our child.
        pub(in crate::driver) async fn ended_at_all(&self) {
            while !self.has_ended_at_all() {
                match self.0.readable().await {
                    Ok(mut ready) if !self.has_ended_at_all() => ready.clear_ready(),
                    Ok(_) => return,
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        }

        /// Reaps it if it is our child and has ended.
        pub(in crate::driver) fn reap(&self) {
            let _ = waitid(WaitId::PidFd(self.0.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        }

        /// Waits until it has ended.
        pub(in crate::driver) async fn ended(&self) {
            loop {
                // An error is one of our own reactor; retry at long intervals.
                let Ok(mut ready) = self.0.readable().await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                if has_ended(WaitId::PidFd(self.0.as_fd())) {
                    return;
                }
                ready.clear_ready();
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::time::Duration;

    use tokio::signal::unix::{SignalKind, signal};

    use super::{Pid, ProcessExit, WaitId, exit, has_ended, io};

    /// The maximum interval of checks: the kernel merges pending signals.
    const CHECK_INTERVAL: Duration = Duration::from_secs(1);

    /// A watched child.
    #[derive(Debug)]
    pub(in crate::driver) struct Watch(Pid);

    impl Watch {
        pub(in crate::driver) fn on(pid: Pid) -> io::Result<Self> {
            // Fails here if such signals cannot be received.
            signal(SignalKind::child()).map(|_| Self(pid))
        }

        /// Its exit status once it has ended.
        pub(in crate::driver) fn exit(&self) -> ProcessExit {
            exit(WaitId::Pid(self.0))
        }

        /// Whether it has ended.
        pub(in crate::driver) fn has_ended(&self) -> bool {
            has_ended(WaitId::Pid(self.0))
        }

        /// On other systems only children can be watched.
        pub(in crate::driver) fn on_other(_: Pid) -> io::Result<Self> {
            Err(io::Error::other("only Linux tells of processes that are no children"))
        }

        pub(in crate::driver) fn has_ended_at_all(&self) -> bool {
            self.has_ended()
        }

        pub(in crate::driver) async fn ended_at_all(&self) {
            self.ended().await;
        }

        pub(in crate::driver) fn reap(&self) {}

        /// Waits until it has ended.
        pub(in crate::driver) async fn ended(&self) {
            let mut signals = signal(SignalKind::child());
            while !has_ended(WaitId::Pid(self.0)) {
                let heard = async {
                    match &mut signals {
                        Ok(signals) => signals.recv().await,
                        Err(_) => std::future::pending().await,
                    }
                };
                // After a signal or a timeout the child is checked.
                let _ = tokio::time::timeout(CHECK_INTERVAL, heard).await;
            }
        }
    }
}
