//! Mosquitto, an MQTT broker. It acknowledges QoS 1 once the message is in its memory; its persistence is a snapshot every half hour.

use std::process::Command;

use super::place::{Other, Place, free_address, path, program};
use super::process::Process;
use crate::problem::Result;

pub(super) const PROGRAM: &str = "mosquitto";

/// Starts it without limits: by default it drops messages beyond 1000 per client.
pub(super) async fn start(place: &Place) -> Result<Other> {
    let (dir, address) = (place.directory()?, free_address()?);
    let here = path(dir.path());
    let config = format!(
        "listener {} {}\nallow_anonymous true\nuser root\npersistence true\npersistence_location {here}/\n\
         max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\nlog_dest file {here}/log\nlog_type error\n",
        address.port(),
        address.ip()
    );
    let file = dir.path().join("mosquitto.conf");
    std::fs::write(&file, config)?;
    let mut process = Process::start(Command::new(program(PROGRAM)?).arg("-c").arg(file))?;
    process.wait_for(address).await?;
    Ok(Other { address, process, _dir: dir })
}
