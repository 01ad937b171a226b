//! Directories, and what the other systems share.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process;
use crate::options::Options;
use crate::problem::Result;

/// The program and the directory of the measurements.
#[derive(Debug, Clone)]
pub struct Place {
    /// Path of the launcher.
    pub launcher: PathBuf,
    /// The directory in which working directories are created.
    pub dir: PathBuf,
}

/// Another system's running server. Its process ends before its directory is removed.
pub struct Other {
    pub(super) address: SocketAddr,
    pub(super) process: process::Process,
    pub(super) _dir: TempDir,
}

impl Place {
    /// Beside this program, unless the options differ.
    ///
    /// # Errors
    /// If there is no launcher, or it cannot be built.
    pub fn find(options: &Options) -> Result<Self> {
        let here = std::env::current_exe()?;
        let beside = here.parent().ok_or("this program lies nowhere")?;
        let launcher = match &options.launcher {
            Some(launcher) => launcher.clone(),
            None => build(&beside.join("launcher"))?,
        };
        if !launcher.is_file() {
            let hint = "build it: cargo build --release -p launcher";
            return Err(format!("there is no {}; {hint}", launcher.display()).into());
        }
        let launcher = launcher.canonicalize()?;
        Ok(Self { launcher, dir: options.dir.clone().unwrap_or_else(|| beside.to_owned()) })
    }

    /// Creates a directory on the measured disk.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn directory(&self) -> Result<TempDir> {
        Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(&self.dir)?)
    }
}

/// The launcher beside this program. Under `cargo run` it is built first, so that an outdated one is never measured.
fn build(launcher: &Path) -> Result<PathBuf> {
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut command = Command::new(cargo);
        command.args(["build", "--locked", "--package", "launcher"]);
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        if !command.current_dir(env!("CARGO_MANIFEST_DIR")).status()?.success() {
            return Err("the launcher cannot be built".into());
        }
    }
    Ok(launcher.to_owned())
}

/// An address that was free a moment ago.
pub(super) fn free_address() -> Result<SocketAddr> {
    free_addresses().map(|[address]| address)
}

/// Different addresses that were free a moment ago.
pub(super) fn free_addresses<const COUNT: usize>() -> Result<[SocketAddr; COUNT]> {
    // All are open at once, for the kernel may give a port that was just closed again.
    let mut listeners = Vec::with_capacity(COUNT);
    for _ in 0..COUNT {
        listeners.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
    }
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); COUNT];
    for (address, listener) in addresses.iter_mut().zip(&listeners) {
        *address = listener.local_addr()?;
    }
    Ok(addresses)
}

/// Debian's directory of servers, which is often not in `PATH`.
pub(super) fn program(name: &str) -> Result<PathBuf> {
    process::find(name).ok_or_else(|| format!("{name} is not installed").into())
}

pub(super) fn path(dir: &Path) -> String {
    dir.display().to_string()
}
