//! One accepted connection from its first byte to its last.

use std::net::SocketAddr;
use std::sync::Arc;

use kit::places::Place;
use kit::proxy::{self, Beginning, NoHeader};
use kit::tls::accept::{Acceptor, Refused};
use kit::tls::handshakes::Handshake;
use tokio::net::TcpStream;

use crate::access::admission;
use crate::access::greeting;
use crate::access::login::{self, LoginFailed, LoginRequest};
use crate::access::port::{self, Port};
use crate::delivery::hub::Membership;
use crate::delivery::login_time::LoginTime;
use crate::server::Server;
use crate::session::Session;
use crate::wire::{LINGER, Wire};

/// How much further input of a client without TLS is discarded.
const LINGER_BYTES: usize = 64 * 1024;

/// Serves a connection from a configured proxy, whose header has the client's address.
pub(crate) async fn serve_proxied(
    server: Arc<Server>,
    port: Port,
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
            return server.login_log.rejected(proxy, why);
        }
    };
    if let Err(no_place) = place.count_for(peer.ip()) {
        return port::reject(&server, &stream, peer, no_place);
    }
    let Ok(mut wire) = Wire::new(stream, peer, &server.config, &server.unfinished, port.begins_raw()) else {
        return;
    };
    wire.is_proxied = is_proxied;
    wire.framer.push(&rest, |_| {});
    serve_wire(server, port, wire, place).await;
}

/// Serves a direct connection.
pub(crate) async fn serve(
    server: Arc<Server>,
    port: Port,
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
) {
    // A peer that has already disconnected needs no answer.
    let Ok(wire) = Wire::new(stream, peer, &server.config, &server.unfinished, port.begins_raw()) else {
        return;
    };
    serve_wire(server, port, wire, place).await;
}

/// What a connection needs to become encrypted.
pub(crate) struct Encryption {
    pub(crate) acceptor: Acceptor,
    /// Its place among the handshakes.
    pub(crate) place: Handshake,
    /// Whether it starts with the PROXY header of a configured proxy.
    pub(crate) is_proxy: bool,
}

/// Serves a connection on a TLS port.
pub(crate) async fn serve_encrypted(
    server: Arc<Server>,
    port: Port,
    mut stream: TcpStream,
    peer: SocketAddr,
    mut place: Place,
    encryption: Encryption,
) {
    let encrypting = async {
        let Beginning { client, is_proxied, rest } = if encryption.is_proxy {
            proxy::begin(&mut stream, peer).await.ok()?
        } else {
            Beginning { client: peer, is_proxied: false, rest: Vec::new() }
        };
        if encryption.is_proxy && place.count_for(client.ip()).is_err() {
            return None;
        }
        Some((encryption.acceptor.accept(encryption.place, stream, rest).await, client, is_proxied))
    };
    let encrypted = Box::pin(server.shutdown.run_until_cancelled(encrypting)).await;
    let Some(Some((stream, client, is_proxied))) = encrypted else { return };
    let stream = match stream {
        Ok(stream) => stream,
        Err(refused) => return not_encrypted(&server, client, *refused).await,
    };
    if let Ok(mut wire) = Wire::new(stream, client, &server.config, &server.unfinished, port.begins_raw()) {
        wire.is_proxied = is_proxied;
        serve_wire(server, port, wire, place).await;
    }
}

/// A client without TLS waits for our prompt as we wait for its handshake: it is told when the time is up, or when it sends something.
async fn not_encrypted(server: &Server, client: SocketAddr, refused: Refused) {
    server.metrics.rejected.add(1);
    match refused {
        Refused::NotTls(tcp, _) | Refused::Silent(tcp) => {
            let plain = server.config.listen.port();
            let line = format!("This port speaks TLS; port {plain} does not. Disconnecting...\n");
            server.login_log.rejected(client, line.trim_end());
            let _ = tcp.try_write(line.as_bytes());
            kit::linger::linger(&tcp, LINGER, LINGER_BYTES).await;
        }
        Refused::Failed(error) => server.login_log.rejected(client, &error.to_string()),
    }
}

async fn serve_wire(server: Arc<Server>, port: Port, mut wire: Wire, place: Place) {
    let peer = wire.peer;
    let login = async {
        let login_request = login::ask(&server, &mut wire, port).await?;
        admission::count(&server, &login_request, peer.ip())?;
        let admitted = admission::admit(&server, &login_request).await?;
        Ok((login_request, admitted))
    };
    let login = tokio::select! {
        login = login => login,
        () = server.shutdown.cancelled() => return,
    };
    match login {
        Ok((login_request, admitted)) => {
            let session = Box::pin(begin(&server, wire, login_request, admitted)).await;
            // A separate task, so that the memory of the login is released.
            server.spawn(session.run(place));
        }
        Err(LoginFailed::Disconnected) => {}
        Err(LoginFailed::ProxyReceipts(answer)) => wire.close_with(answer).await,
        Err(LoginFailed::Rejected(words)) => {
            server.metrics.rejected.add(1);
            server.login_log.rejected(peer, String::from_utf8_lossy(&words).trim_end());
            wire.close_with(words).await;
        }
    }
}

async fn begin(
    server: &Arc<Server>,
    mut wire: Wire,
    login_request: LoginRequest,
    (mut member, login): (Membership, LoginTime),
) -> Session {
    let (greeting, permit) = greeting::greet(server, &mut member, &login_request, wire.peer).await;
    wire.out.push_page(&greeting, permit);
    Session::new(Arc::clone(server), member, wire, &login_request.hello, login)
}
