//! Nats-server, core: what a relay without storage and acknowledgements achieves.

use std::process::Command;

use super::place::{Other, Place, free_address, program};
use super::process::Process;
use crate::problem::Result;

pub(super) const PROGRAM: &str = "nats-server";

pub(super) async fn start(place: &Place) -> Result<Other> {
    let (dir, address) = (place.directory()?, free_address()?);
    let mut command = Command::new(program(PROGRAM)?);
    command.arg("-a").arg(address.ip().to_string()).arg("-p").arg(address.port().to_string());
    let mut process = Process::start(command.arg("-l").arg(dir.path().join("log")))?;
    process.wait_for(address).await?;
    Ok(Other { address, process, _dir: dir })
}
