//! Notices the end of a child of ours, and leaves it a zombie.
//!
//! Linux has a descriptor for a process that is readable once it has ended. Elsewhere any child's end is a signal, and then a look
//! tells whose it was.

use std::io;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::supervisor::exit::ProcessExit;

#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::Watch;
#[cfg(target_os = "linux")]
pub(super) use linux::Watch;

/// Whether it has ended. One that was reaped by somebody else has, too.
fn has_ended(id: WaitId<'_>) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(id, options), Ok(None))
}

/// How it ended, though it is not reaped.
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

    /// A child that is watched.
    #[derive(Debug)]
    pub(in crate::supervisor::driver) struct Watch(AsyncFd<OwnedFd>);

    impl Watch {
        #[expect(
            deprecated,
            reason = "its successor is unsafe for the sake of types that do not own their descriptor; this one does"
        )]
        pub(in crate::supervisor::driver) fn on(pid: Pid) -> io::Result<Self> {
            let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
            Ok(Self(AsyncFd::with_interest(pidfd, Interest::READABLE)?))
        }

        /// How it ended, once it has.
        pub(in crate::supervisor::driver) fn exit(&self) -> ProcessExit {
            exit(WaitId::PidFd(self.0.as_fd()))
        }

        /// Whether it has ended.
        pub(in crate::supervisor::driver) fn has_ended(&self) -> bool {
            has_ended(WaitId::PidFd(self.0.as_fd()))
        }

        /// A process that may be no child of ours.
        pub(in crate::supervisor::driver) fn on_other(pid: Pid) -> io::Result<Self> {
            Self::on(pid)
        }

        /// As [`Self::has_ended`], also of a process that is no child of ours.
        pub(in crate::supervisor::driver) fn has_ended_at_all(&self) -> bool {
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            let mut one = [PollFd::new(&self.0, PollFlags::IN)];
            poll(&mut one, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) != Ok(0)
        }

        /// As [`Self::ended`], also of a process that is no child of ours.
        pub(in crate::supervisor::driver) async fn ended_at_all(&self) {
            while !self.has_ended_at_all() {
                match self.0.readable().await {
                    Ok(mut ready) if !self.has_ended_at_all() => ready.clear_ready(),
                    Ok(_) => return,
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        }

        /// Lets its number go, where it is a child of ours that has ended.
        pub(in crate::supervisor::driver) fn reap(&self) {
            let _ = waitid(WaitId::PidFd(self.0.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        }

        /// Waits until it has ended.
        pub(in crate::supervisor::driver) async fn ended(&self) {
            loop {
                // An error is one of our own reactor: then it is asked again and again, as seldom as can be borne.
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

    /// It is looked in any case this often: several signals at once are one for the kernel.
    const LOOK: Duration = Duration::from_secs(1);

    /// A child that is watched.
    #[derive(Debug)]
    pub(in crate::supervisor::driver) struct Watch(Pid);

    impl Watch {
        pub(in crate::supervisor::driver) fn on(pid: Pid) -> io::Result<Self> {
            // Whether such signals can be heard is found out here.
            signal(SignalKind::child()).map(|_| Self(pid))
        }

        /// How it ended, once it has.
        pub(in crate::supervisor::driver) fn exit(&self) -> ProcessExit {
            exit(WaitId::Pid(self.0))
        }

        /// Whether it has ended.
        pub(in crate::supervisor::driver) fn has_ended(&self) -> bool {
            has_ended(WaitId::Pid(self.0))
        }

        /// Elsewhere only children can be watched.
        pub(in crate::supervisor::driver) fn on_other(_: Pid) -> io::Result<Self> {
            Err(io::Error::other("only Linux tells of processes that are no children"))
        }

        pub(in crate::supervisor::driver) fn has_ended_at_all(&self) -> bool {
            self.has_ended()
        }

        pub(in crate::supervisor::driver) async fn ended_at_all(&self) {
            self.ended().await;
        }

        pub(in crate::supervisor::driver) fn reap(&self) {}

        /// Waits until it has ended.
        pub(in crate::supervisor::driver) async fn ended(&self) {
            let mut signals = signal(SignalKind::child());
            while !has_ended(WaitId::Pid(self.0)) {
                let heard = async {
                    match &mut signals {
                        Ok(signals) => signals.recv().await,
                        Err(_) => std::future::pending().await,
                    }
                };
                // In time or not: it is looked.
                let _ = tokio::time::timeout(LOOK, heard).await;
            }
        }
    }
}
