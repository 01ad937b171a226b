//! The project's launcher with all its components.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::place::{Place, free_addresses};
use super::process::{self, Process};
use crate::problem::Result;

/// A running launcher with all five components.
pub struct Launcher {
    /// Address of the chat server.
    pub chat: SocketAddr,
    /// Address of the chat server with TLS, if it has one.
    pub encrypted: SocketAddr,
    /// Address of the web adapter.
    pub page: SocketAddr,
    program: PathBuf,
    process: Process,
    dir: TempDir,
}

impl Launcher {
    /// Starts it and waits until everything is ready, with the sessions' rate limit disabled.
    ///
    /// # Errors
    /// If it ends early.
    pub fn start(place: &Place, with_tls: bool) -> Result<Self> {
        let dir = place.directory()?;
        let [api, chat, page, encrypted] = free_addresses()?;
        let mut command = command(&place.launcher, dir.path());
        for setting in [
            format!("message-api.listen={api}"),
            format!("chat-server.listen={chat}"),
            format!("web-adapter.listen={page}"),
            "chat-server.messages-per-second=0".to_owned(),
            "chat-server.max-connections=30000".to_owned(),
            "chat-server.book=false".to_owned(),
        ] {
            command.arg("--set").arg(setting);
        }
        if with_tls {
            make_certificate(place, dir.path())?;
            let listen = format!("chat-server.tls-listen={encrypted}");
            for setting in [&listen, "tls.certificate=tls/certificate.pem", "tls.key=tls/key.pem"] {
                command.arg("--set").arg(setting);
            }
        }
        let errors = std::fs::File::create(dir.path().join("errors"))?;
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        let process = Process::of(child);
        // The last line of the table that shows that everything is ready.
        if !lines.any(|line| line.is_ok_and(|line| line.starts_with("stop "))) {
            let errors = std::fs::read_to_string(dir.path().join("errors")).unwrap_or_default();
            return Err(format!("the launcher ended early: {errors}").into());
        }
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { chat, encrypted, page, program: place.launcher.clone(), process, dir })
    }

    /// The process of each component.
    ///
    /// # Errors
    /// If the launcher does not answer.
    pub fn components(&self) -> Result<Vec<(String, u32)>> {
        let output = command(&self.program, self.dir.path()).args(["status", "--json"]).output()?;
        let status: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let components = status["components"].as_array().ok_or("the status has no components")?;
        let process = |component: &serde_json::Value| {
            let pid = u32::try_from(component["pid"].as_u64()?).ok()?;
            Some((component["name"].as_str()?.to_owned(), pid))
        };
        Ok(components.iter().filter_map(process).collect())
    }

    /// The process group of each component, which its process leads, and that of the launcher.
    ///
    /// # Errors
    /// If the launcher does not answer.
    pub fn process_groups(&self) -> Result<Vec<(String, u32)>> {
        let mut groups = self.components()?;
        groups.push(("launcher".to_owned(), self.process.id()));
        Ok(groups)
    }

    /// The memory of one component in KiB.
    ///
    /// # Errors
    /// If it is not running.
    pub fn memory_kib(&self, component: &str) -> Result<u32> {
        let components = self.components()?;
        let found = components.iter().find(|(name, _)| name == component);
        process::pss_kib(found.ok_or("that component does not run")?.1)
    }

    /// The size of its data directory in bytes.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn stored_bytes(&self) -> Result<u64> {
        let mut bytes = 0;
        for entry in std::fs::read_dir(self.dir.path().join("data"))? {
            bytes += entry?.metadata()?.len();
        }
        Ok(bytes)
    }
}

fn make_certificate(place: &Place, dir: &Path) -> Result<()> {
    let made = command(&place.launcher, dir).args(["tls", "self-signed"]).output()?;
    if made.status.success() {
        return Ok(());
    }
    Err(format!("no certificate: {}", String::from_utf8_lossy(&made.stderr)).into())
}

fn command(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).arg("--data").arg(dir.join("data")).arg("--logs").arg(dir.join("logs"));
    for name in ["MONGO_URL", "P2P_CONFIG", "NOTIFY_SOCKET"] {
        command.env_remove(name);
    }
    command.env("XDG_CONFIG_HOME", dir).env("XDG_STATE_HOME", dir).env("OPENAI_API_KEY", "none");
    command
}
