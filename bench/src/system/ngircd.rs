//! ngircd, an IRC server: no storage, no acknowledgement.

use std::process::Command;

use super::place::{Other, Place, free_address, program};
use super::process::Process;
use crate::problem::Result;

pub(super) const PROGRAM: &str = "ngircd";

/// Starts it without limits and without the penalties that slow down fast senders.
pub(super) async fn start(place: &Place) -> Result<Other> {
    let (dir, address) = (place.directory()?, free_address()?);
    let config = format!(
        "[Global]\nName = bench.example\nInfo = bench\nListen = {}\nPorts = {}\nMotdPhrase = hello\n\
         [Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxNickLength = 31\nMaxPenaltyTime = 0\n\
         [Options]\nDNS = no\nIdent = no\nPAM = no\nIncludeDir = {}\n",
        address.ip(),
        address.port(),
        dir.path().join("none").display()
    );
    let file = dir.path().join("ngircd.conf");
    std::fs::write(&file, config)?;
    let mut process = Process::start(Command::new(program(PROGRAM)?).arg("-n").arg("-f").arg(file))?;
    process.wait_for(address).await?;
    Ok(Other { address, process, _dir: dir })
}
