//! One accepted connection from the first byte to the last.

use std::net::SocketAddr;
use std::sync::Arc;

use kit::places::Place;
use kit::proxy::{self, Beginning, NoHeader};
use tokio::net::TcpStream;

use crate::access::admission;
use crate::access::door::{self, Door};
use crate::access::greeting;
use crate::access::login::{self, Entrant, Parting};
use crate::delivery::hub::Membership;
use crate::delivery::login_time::LoginTime;
use crate::server::Server;
use crate::session::Session;
use crate::wire::Wire;

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
        return door::turn_away(&server, &stream, peer, no_place);
    }
    let Ok(mut wire) = Wire::new(stream, peer, &server.config, &server.unfinished, door.begins_raw()) else {
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
    let Ok(wire) = Wire::new(stream, peer, &server.config, &server.unfinished, door.begins_raw()) else {
        return;
    };
    serve_wire(server, door, wire, place).await;
}

async fn serve_wire(server: Arc<Server>, door: Door, mut wire: Wire, place: Place) {
    let peer = wire.peer;
    let login = async {
        let entrant = login::ask(&server, &mut wire, door).await?;
        admission::count(&server, &entrant, peer.ip())?;
        let admitted = admission::admit(&server, &entrant).await?;
        Ok((entrant, admitted))
    };
    let login = tokio::select! {
        login = login => login,
        () = server.shutdown.cancelled() => return,
    };
    match login {
        Ok((entrant, admitted)) => {
            let session = Box::pin(begin(&server, wire, entrant, admitted)).await;
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

async fn begin(
    server: &Arc<Server>,
    mut wire: Wire,
    entrant: Entrant,
    (mut member, login): (Membership, LoginTime),
) -> Session {
    let greeting = greeting::greet(server, &mut member, &entrant, wire.peer).await;
    wire.out.push(&greeting);
    Session::new(Arc::clone(server), member, wire, &entrant.hello, login)
}
