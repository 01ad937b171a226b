//! ejabberd, an XMPP server with offline storage (Mnesia).
//!
//! Its Erlang machine is started directly: Debian's `ejabberdctl` changes the user and leaves a daemon behind, `epmd`, that only clusters
//! need.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use super::place::{Other, Place, free_address, path, program};
use super::process::Process;
use crate::problem::Result;

pub(super) const PROGRAM: &str = "ejabberdctl";
/// The directory of Erlang's applications in Debian, below one named after the architecture.
const LIBRARIES: &str = "/usr/lib";

/// Starts it without limits: by default it stores 100 messages per user and slows senders down.
pub(super) async fn start(place: &Place) -> Result<Other> {
    let (dir, address) = (place.directory()?, free_address()?);
    let file = dir.path().join("ejabberd.yml");
    std::fs::write(&file, config(address))?;
    let mut command = Command::new(program("erl")?);
    command.args(["-noinput", "+K", "true", "+P", "250000", "-mnesia", "dir"]);
    command.arg(format!("\"{}\"", path(&dir.path().join("mnesia")))).args(["-s", "ejabberd"]);
    command.env("EJABBERD_CONFIG_PATH", file).env("EJABBERD_LOG_PATH", dir.path().join("ejabberd.log"));
    command.env("ERL_LIBS", libraries()?).env("ERL_CRASH_DUMP", dir.path().join("crash"));
    command.env("ERL_MAX_PORTS", "32000").env("HOME", dir.path()).current_dir(dir.path());
    let mut process = Process::start(&mut command)?;
    process.wait_for(address).await?;
    Ok(Other { address, process, _dir: dir })
}

fn libraries() -> Result<PathBuf> {
    let holds = |place: &PathBuf| {
        let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("ejabberd-"))
    };
    let mut places = std::fs::read_dir(LIBRARIES)?.flatten().map(|entry| entry.path());
    places.find(holds).ok_or_else(|| format!("there is no ejabberd below {LIBRARIES}").into())
}

fn config(address: SocketAddr) -> String {
    format!(
        "hosts: [localhost]\nloglevel: warning\nauth_method: internal\nauth_password_format: plain\n\
         registration_timeout: infinity\nmax_fsm_queue: 1000000\n\
         listen:\n  - port: {}\n    ip: \"{}\"\n    module: ejabberd_c2s\n    access: all\n    shaper: none\n\
         shaper_rules:\n  keep_all: 100000000\n\
         modules:\n  mod_offline:\n    access_max_user_messages: keep_all\n\
         \x20 mod_register:\n    access: all\n    ip_access: all\n\
         \x20 mod_stream_mgmt:\n    max_ack_queue: infinity\n    resume_timeout: 0\n",
        address.port(),
        address.ip()
    )
}
