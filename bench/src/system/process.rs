//! A server's process.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::TcpStream;

use crate::problem::Result;

/// Time limit for a server to start, and to end.
const TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// A server; ended with its descendants when dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts it in a process group of its own, so that ctrl-C reaches it through us alone.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn().map_err(|error| format!("{command:?}: {error}"))?))
    }

    /// A child that was started in a group of its own.
    #[must_use]
    pub fn of(child: Child) -> Self {
        Self(child)
    }

    /// Its id, which is its group's, too.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits until it accepts connections.
    ///
    /// # Errors
    /// If it ends instead, or does neither in time.
    pub async fn wait_for(&mut self, address: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + TIMEOUT;
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = self.0.try_wait()? {
                return Err(format!("it ended at its start: {status}").into());
            }
            if Instant::now() > deadline {
                return Err(format!("it does not listen on {address}").into());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.0.id())
            && let Some(pid) = Pid::from_raw(pid)
        {
            // It may have ended already.
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + TIMEOUT;
        while matches!(self.0.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                self.signal(Signal::KILL);
            }
            std::thread::sleep(POLL);
        }
    }
}

/// A program in `PATH` or in the directories of servers.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    places.map(|place| place.join(program)).find(|file| file.is_file())
}

/// The proportional set size of a process in KiB: shared memory is divided among the processes that share it.
///
/// # Errors
/// If the process has ended.
pub fn pss_kib(pid: u32) -> Result<u32> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find(|line| line.starts_with("Pss:")).ok_or("there is no Pss")?;
    Ok(line.split_whitespace().nth(1).ok_or("there is no number")?.parse()?)
}
