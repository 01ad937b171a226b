//! One accepted connection from the first byte to the last.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::native::{Hello, Welcome};
use protocol::{book, text};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::access::login::{self, Door, Entrant, Parting};
use crate::delivery::hub::Membership;
use crate::delivery::login_time::LoginTime;
use crate::delivery::outlet::Client;
use crate::dialect::native as native_dialect;
use crate::listener;
use crate::server::Server;
use crate::session::Session;
use crate::wire::Wire;
use kit::places::Place;
use kit::proxy::{self, Beginning, NoHeader};

/// A greeting does not wait longer for the list of conversations; without the store it comes without.
const CONVERSATIONS_TIMEOUT: Duration = Duration::from_secs(1);
/// Nor for the client book.
const BOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves a connection from a listed proxy, which first says for whom it is.
pub(crate) async fn serve_proxied(
    server: Arc<Server>,
    door: Door,
    mut stream: TcpStream,
    proxy: SocketAddr,
    mut place: Place,
) {
    let begun = tokio::select! {
        begun = proxy::begin(&mut stream, proxy) => begun,
        () = server.shutdown.cancelled() => return,
    };
    let Beginning { client: peer, is_proxied, rest } = match begun {
        Ok(beginning) => beginning,
        Err(NoHeader) => {
            let why = "this address is listed in chat-server.proxies and sent no PROXY header";
            return server.journal.refused(proxy, why);
        }
    };
    if let Err(no_place) = place.count_for(peer.ip()) {
        return listener::turn_away(&server, &stream, peer, no_place);
    }
    let Ok(mut wire) = Wire::new(stream, peer, &server.config, &server.unfinished, door == Door::Main) else {
        return;
    };
    wire.is_proxied = is_proxied;
    wire.framer.push(&rest, |_| {});
    serve_wire(server, door, wire, place).await;
}

/// Serves a connection.
pub(crate) async fn serve(
    server: Arc<Server>,
    door: Door,
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
) {
    // A peer that is gone already needs no answer.
    let Ok(wire) = Wire::new(stream, peer, &server.config, &server.unfinished, door != Door::Book) else {
        return;
    };
    serve_wire(server, door, wire, place).await;
}

async fn serve_wire(server: Arc<Server>, door: Door, mut wire: Wire, place: Place) {
    let peer = wire.peer;
    let login = async {
        let entrant = login::ask(&server, &mut wire, door).await?;
        login::count(&server, &entrant, peer.ip())?;
        let admitted = login::admit(&server, &entrant).await?;
        Ok((entrant, admitted))
    };
    let login = tokio::select! {
        login = login => login,
        () = server.shutdown.cancelled() => return,
    };
    match login {
        Ok((entrant, admitted)) => {
            let session = Box::pin(greet(&server, wire, entrant, admitted)).await;
            // A task of its own, so that what the login needed is given back.
            server.tasks.spawn(session.run(place));
        }
        Err(Parting::Gone) => {}
        Err(Parting::Answered(answer)) => wire.part(answer).await,
        Err(Parting::Because(words)) => {
            server.metrics.turned_away.add(1);
            server.journal.refused(peer, String::from_utf8_lossy(&words).trim_end());
            wire.part(words).await;
        }
    }
}

async fn greet(
    server: &Arc<Server>,
    mut wire: Wire,
    entrant: Entrant,
    (mut member, login): (Membership, LoginTime),
) -> Session {
    server.journal.came(&member.name, wire.peer, entrant.dialect());
    match entrant {
        Entrant::Text(_) => {
            server.registrar.note(&member.name, wire.peer);
            member.show_online(|online| wire.out.push(text::connected(online).as_bytes()));
            Session::lines(Arc::clone(server), member, wire)
        }
        Entrant::Book(_) => {
            let book = client_book(server, &mut member, wire.peer).await;
            wire.out.push(book.as_bytes());
            Session::lines(Arc::clone(server), member, wire)
        }
        Entrant::Native(hello) => {
            server.registrar.note(&member.name, wire.peer);
            let log = server.hub.log();
            member.outlet.introduce(Client { log: log.or(hello.log), receipts: hello.receipts });
            let welcome = welcome(server, &mut member, &hello, log).await;
            wire.out.push(&native_dialect::welcome(welcome));
            Session::native(Arc::clone(server), member, wire, &hello, login)
        }
    }
}

async fn welcome(server: &Server, member: &mut Membership, hello: &Hello, log: Option<Uuid>) -> Welcome {
    let mut conversations = Vec::new();
    if hello.conversations {
        let read = async {
            // If the store is away, the list is stale or missing; the greeting goes out all the same.
            let _ = server.cursors.flush(&member.name).await;
            server.backend.read_once(server.backend.api.conversations(&member.name)).await
        };
        if let Ok(Ok(answer)) = tokio::time::timeout(CONVERSATIONS_TIMEOUT, read).await {
            conversations = answer.conversations;
        }
    }
    Welcome {
        name: member.name.clone(),
        token: member.token.expose().to_owned(),
        online: member.online(),
        conversations,
        durability: server.backend.durability(),
        log,
    }
}

/// Everybody ever registered, the newcomer included, and who is online without being in the book yet: nobody waits for that
/// to be noted. While the store does not answer, everybody online.
async fn client_book(server: &Server, member: &mut Membership, peer: SocketAddr) -> String {
    let read = async {
        server.backend.api.register(member.name.clone(), Some(peer.to_string())).await?;
        server.client_book.read(&server.backend).await
    };
    let read = tokio::time::timeout(BOOK_TIMEOUT, read).await;
    let online = member.online();
    match read {
        Ok(Ok(listed)) => listed.with(&online),
        Ok(Err(_)) | Err(_) => book::client_book(online.iter()),
    }
}
