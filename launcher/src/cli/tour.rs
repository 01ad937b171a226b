//! `launcher tour`: the first five things to try, with this machine's addresses.

use std::net::SocketAddr;

use kit::{Exit, Failure};

use super::options::{Where, Without};
use super::{ask, output, running};

/// Prints them.
pub(super) fn tour(place: &Where) -> Result<Exit, Failure> {
    let page = kit::listen::reachable(place.load(&Without::default())?.settings.web_adapter.listen);
    let is_running = ask::ask(place).is_ok();
    output::line(&text(is_running, page, running::chat_server(place)?));
    Ok(Exit::Fine)
}

fn text(is_running: bool, page: SocketAddr, chat: SocketAddr) -> String {
    let start = if is_running {
        "It is running."
    } else {
        "Nothing runs yet: start it with `launcher --detach` first."
    };
    let (ip, port) = (chat.ip(), chat.port());
    format!(
        "{start} Five things to try:

1. Chat with yourself: open http://{page} as alice, and in a terminal
     launcher chat --name bob
   Write to each other. Close one, write to it, open it again: nothing is lost.

2. Send a message from a script, or by hand:
     echo 'alice: the backup is done' | launcher chat --name cron
     nc {ip} {port}

3. Kill something, and watch it come back without losing a message:
     launcher status            shows the PID of chat-server
     kill -9 PID
     launcher why chat-server

4. Let other people in, encrypted:
     launcher tls self-signed
   prints what to set and how they connect. `launcher --lan` finds people on your network without a server.

5. Take everything with you:
     launcher backup chat.backup

A throw-away chat with people in it: launcher demo. All commands: launcher --help. A setting: launcher help config KEY."
    )
}
