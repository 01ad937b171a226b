//! What is measured: each is started on loopback with a directory of its own, and ended by its process id.

mod ejabberd;
mod launcher;
mod mosquitto;
mod nats;
mod ngircd;
mod process;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

pub use self::launcher::Launcher;
pub use self::process::pss_kib;
use crate::codec::Protocol;
use crate::options::{Options, SystemName};
use crate::problem::Result;

/// Something to be measured.
#[derive(Debug, Clone, Copy)]
pub struct System {
    /// In the table.
    pub label: &'static str,
    /// How it is spoken to.
    pub protocol: Protocol,
    name: SystemName,
}

/// All of them, ours first.
pub const ALL: [System; 7] = [
    System { label: "P2P Chat, text", protocol: Protocol::Text, name: SystemName::Text },
    System { label: "P2P Chat, native", protocol: Protocol::Native, name: SystemName::Native },
    System { label: "P2P Chat, WebSocket", protocol: Protocol::WebSocket, name: SystemName::WebSocket },
    System { label: "mosquitto, QoS 1", protocol: Protocol::Mqtt, name: SystemName::Mosquitto },
    System { label: "nats-server, core", protocol: Protocol::Nats, name: SystemName::Nats },
    System { label: "ngircd", protocol: Protocol::Irc, name: SystemName::Ngircd },
    System { label: "ejabberd", protocol: Protocol::Xmpp, name: SystemName::Ejabberd },
];

/// Where things are.
#[derive(Debug, Clone)]
pub struct Place {
    /// The launcher.
    pub launcher: PathBuf,
    /// Where directories are made.
    pub dir: PathBuf,
}

/// A running system; dropped, it ends.
pub enum Running {
    /// Ours.
    Launcher(Launcher),
    /// Another's.
    Other(Other),
}

/// Another's running server. Its process ends before its directory goes.
pub struct Other {
    address: SocketAddr,
    _process: process::Process,
    _dir: TempDir,
}

impl Place {
    /// Beside this program, unless the options say otherwise.
    ///
    /// # Errors
    /// When there is no launcher, or it cannot be built.
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

    /// A new directory on the measured disk.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn directory(&self) -> Result<TempDir> {
        Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(&self.dir)?)
    }
}

impl System {
    /// Whether it is ours.
    #[must_use]
    pub fn is_ours(self) -> bool {
        match self.name {
            SystemName::Text | SystemName::Native | SystemName::WebSocket => true,
            SystemName::Mosquitto | SystemName::Nats | SystemName::Ngircd | SystemName::Ejabberd => false,
        }
    }

    /// Whether it is to be measured.
    #[must_use]
    pub fn is_wanted(self, options: &Options) -> bool {
        options.wants(self.name)
    }

    /// The program that is missing here, if it is.
    #[must_use]
    pub fn missing(self) -> Option<&'static str> {
        let program = match self.name {
            SystemName::Text | SystemName::Native | SystemName::WebSocket => return None,
            SystemName::Mosquitto => mosquitto::PROGRAM,
            SystemName::Nats => nats::PROGRAM,
            SystemName::Ngircd => ngircd::PROGRAM,
            SystemName::Ejabberd => ejabberd::PROGRAM,
        };
        process::find(program).is_none().then_some(program)
    }

    /// Starts it with nothing stored.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(self, place: &Place) -> Result<Running> {
        let running = match self.name {
            SystemName::Text | SystemName::Native | SystemName::WebSocket => {
                return Ok(Running::Launcher(Launcher::start(place)?));
            }
            SystemName::Mosquitto => mosquitto::start(place).await?,
            SystemName::Nats => nats::start(place).await?,
            SystemName::Ngircd => ngircd::start(place).await?,
            SystemName::Ejabberd => ejabberd::start(place).await?,
        };
        Ok(Running::Other(running))
    }
}

impl Running {
    /// Where it takes connections of a protocol.
    #[must_use]
    pub fn address(&self, protocol: Protocol) -> SocketAddr {
        match self {
            Self::Launcher(launcher) if protocol == Protocol::WebSocket => launcher.page,
            Self::Launcher(launcher) => launcher.chat,
            Self::Other(other) => other.address,
        }
    }
}

/// The launcher beside this program. Under `cargo run` it is built first, so that it is never an older one that is measured.
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
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Where Debian puts servers, which is not on everybody's path.
fn program(name: &str) -> Result<PathBuf> {
    process::find(name).ok_or_else(|| format!("{name} is not installed").into())
}

fn path(dir: &Path) -> String {
    dir.display().to_string()
}
