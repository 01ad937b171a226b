//! The process that a component which forks has left behind to serve (systemd's `Type=forking`).
//!
//! It is found by the component's pid file, and only believed if it belongs to the component: an old file may name anybody. Where orphans
//! come back to us (`PR_SET_CHILD_SUBREAPER`) it is our child by then, and we learn how it ends; elsewhere only that it has.

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, getpgid};

use super::watch::Watch;
use crate::supervisor::children::Started;
use crate::supervisor::exit::ProcessExit;

/// Such a process.
#[derive(Debug)]
pub(super) struct Daemon {
    pid: Pid,
    group: Pid,
    watch: Watch,
    _registered: Started,
}

/// How far the search for it has come.
#[derive(Debug)]
pub(super) enum Forks {
    /// The component does not fork, or its process has been found.
    No,
    /// It names its process here when its first one ends.
    Expected(PathBuf),
    /// Its first one has ended.
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

    /// How it ended, once it has; unknown where it was not our child.
    pub(super) fn exit(&self) -> ProcessExit {
        self.watch.exit()
    }

    /// Its number may be given to others from now on.
    pub(super) fn reap(self) {
        self.watch.reap();
    }
}

impl Forks {
    pub(super) fn of(pid_file: Option<PathBuf>) -> Self {
        pid_file.map_or(Self::No, Self::Expected)
    }

    /// The first process has ended; whether another one is to be looked for.
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

/// The number in a pid file, if there is one yet.
pub(super) fn read(file: &Path) -> Option<u32> {
    const MAX: u64 = 64;
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(std::fs::File::open(file).ok()?, MAX), &mut text).ok()?;
    text.trim().parse().ok()
}
