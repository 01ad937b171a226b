//! The first words to somebody who is in: what they list is read here, how they are said is the dialect's.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use protocol::UserName;
use protocol::limits::PAGE_EVENTS;

use crate::access::login::Entrant;
use crate::delivery::hub::Membership;
use crate::delivery::outlet::Client;
use crate::dialect::speech::{Greeting, Lists};
use crate::server::Server;

/// A greeting does not wait longer for the list of conversations; without the store it comes without.
const CONVERSATIONS_TIMEOUT: Duration = Duration::from_secs(1);
/// Nor for the client book.
const BOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// Notes that somebody is in, and says what they are told first.
pub(crate) async fn greet(
    server: &Server,
    member: &mut Membership,
    entrant: &Entrant,
    peer: SocketAddr,
) -> Bytes {
    server.journal.came(&member.name, peer, entrant.dialect);
    match entrant.dialect.manner().lists {
        Lists::Listing => {
            server.registrar.note(&member.name, peer);
            listing(server, member, entrant)
        }
        Lists::Everybody => everybody(server, member, entrant, peer).await,
        Lists::Conversations => {
            server.registrar.note(&member.name, peer);
            conversations(server, member, entrant).await
        }
    }
}

/// Nothing is listed yet.
fn greeting<'a>(server: &Server, member: &'a Membership) -> Greeting<'a> {
    Greeting {
        name: &member.name,
        token: member.token.expose(),
        listing: "",
        online: Vec::new(),
        everybody: Box::new(std::iter::empty()),
        conversations: Vec::new(),
        durability: server.backend.durability(),
        log: None,
    }
}

fn listing(server: &Server, member: &Membership, entrant: &Entrant) -> Bytes {
    let dialect = entrant.dialect;
    member.show_online(|listing| dialect.greeting(Greeting { listing, ..greeting(server, member) }))
}

/// Everybody ever registered, the newcomer included, and who is online without being in the book yet: nobody waits for that
/// to be noted. While the store does not answer, everybody online.
async fn everybody(server: &Server, member: &mut Membership, entrant: &Entrant, peer: SocketAddr) -> Bytes {
    let read = async {
        server.backend.api.register(member.name.clone(), Some(peer.to_string())).await?;
        server.client_book.read(&server.backend).await
    };
    let read = tokio::time::timeout(BOOK_TIMEOUT, read).await;
    let online = member.online();
    let listed = read.ok().and_then(Result::ok);
    let everybody: Box<dyn Iterator<Item = &UserName>> = match &listed {
        Some(listed) => Box::new(listed.with(&online)),
        None => Box::new(online.iter()),
    };
    entrant.dialect.greeting(Greeting { everybody, ..greeting(server, member) })
}

async fn conversations(server: &Server, member: &mut Membership, entrant: &Entrant) -> Bytes {
    let hello = &entrant.hello;
    let log = server.hub.log();
    member.outlet.introduce(Client { log: log.or(hello.log), receipts: hello.receipts });
    let mut conversations = Vec::new();
    if hello.conversations {
        let read = async {
            // If the store does not answer, the list is stale or missing; the greeting is sent anyway.
            let _ = server.cursors.flush(&member.name).await;
            // Each has its last event.
            let _reading = server.backend.room.to_read(PAGE_EVENTS).await;
            server.backend.read_once(server.backend.api.conversations(&member.name)).await
        };
        if let Ok(Ok(answer)) = tokio::time::timeout(CONVERSATIONS_TIMEOUT, read).await {
            conversations = answer.conversations;
        }
    }
    let online = member.online();
    entrant.dialect.greeting(Greeting { online, conversations, log, ..greeting(server, member) })
}
