//! The service process of a component that forks (systemd's `Type=forking`).
//!
//! It is found by the component's pid file, which is only trusted if the process belongs to the component, because an old file may name
//! any process. If orphans are adopted (`PR_SET_CHILD_SUBREAPER`) it is our child by then, and its exit status is known; otherwise only
//! its end is.

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, getpgid};

use super::watch::Watch;
use crate::children::Started;
use crate::exit::ProcessExit;

/// Such a process.
#[derive(Debug)]
pub(super) struct Daemon {
    pid: Pid,
    group: Pid,
    watch: Watch,
    _registered: Started,
}

/// The progress of the search for it.
#[derive(Debug)]
pub(super) enum Forks {
    /// The component does not fork, or its process has been found.
    No,
    /// The pid file is read when the first process ends.
    Expected(PathBuf),
    /// The first process has ended.
    Awaited(PathBuf),
}

impl Daemon {
    pub(super) fn follow(pid: Pid) -> io::Result<Self> {
        let registered = Started::main(pid.as_raw_nonzero().get().unsigned_abs());
        let group = getpgid(Some(pid))?;
        Ok(Self { pid, group, watch: Watch::on_other(pid)?, _registered: registered })
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    pub(super) fn group(&self) -> Pid {
        self.group
    }

    pub(super) async fn ended(&self) {
        self.watch.ended_at_all().await;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.watch.has_ended_at_all()
    }

    /// Its exit status once it has ended; unknown if it was not our child.
    pub(super) fn exit(&self) -> ProcessExit {
        self.watch.exit()
    }

    /// From now on its id may be reused.
    pub(super) fn reap(self) {
        self.watch.reap();
    }
}

impl Forks {
    pub(super) fn of(pid_file: Option<PathBuf>) -> Self {
        pid_file.map_or(Self::No, Self::Expected)
    }

    /// The first process has ended; returns whether to search for the service process.
    pub(super) fn first_has_ended(&mut self, exit: ProcessExit) -> bool {
        match std::mem::replace(self, Self::No) {
            Self::Expected(file) if exit.is_clean() => {
                *self = Self::Awaited(file);
                true
            }
            Self::No | Self::Expected(_) | Self::Awaited(_) => false,
        }
    }

    pub(super) fn awaited(&self) -> Option<&Path> {
        match self {
            Self::Awaited(file) => Some(file),
            Self::No | Self::Expected(_) => None,
        }
    }

    pub(super) fn end(&mut self) {
        *self = Self::No;
    }
}

/// The id in a pid file, if there is one yet.
pub(super) fn read(file: &Path) -> Option<u32> {
    const MAX: u64 = 64;
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(std::fs::File::open(file).ok()?, MAX), &mut text).ok()?;
    text.trim().parse().ok()
}
