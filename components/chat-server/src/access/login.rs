//! Identifies a connection: its dialect and its user name.
//!
//! Some dialects have a port of their own. On the main port the first byte may select another dialect than the default. A client that
//! starts a TLS handshake on a port without TLS gets one line that says so, and the rest of its input is not read.

use std::time::Duration;

use bytes::Bytes;
use kit::send_queue::Link;
use kit::tls::accept::TLS_HANDSHAKE;
use kit::unfinished::REFUSAL;
use tokio::time::Instant;

use crate::access::port::{FULL, Port};
use crate::dialect::Dialect;
use crate::dialect::codec::{Hello, LoginStep, Refusal, Reply};
use crate::dialect::framing::Message;
use crate::dialect::silence::Distance;
use crate::server::Server;
use crate::wire::{Read, Wire};

const TOO_SLOW: &str = "No username was given in time. Disconnecting...\n";
/// The number of messages without a name, such as empty lines and malformed frames, that are answered before the connection is rejected.
const TRIES: usize = 16;
/// How long a connection may hold a place reserved for services before it identifies itself; a service does so at once.
const SERVICE_TIMEOUT: Duration = Duration::from_millis(500);

/// A first byte later than this was typed by a person, so its delay says nothing about the link.
const PERSON: Duration = Duration::from_secs(1);

/// The kernel retransmits its part of the handshake after this time (RFC 6298, 2.1).
const HANDSHAKE_AGAIN: Duration = Duration::from_secs(1);

/// An identified client that is not admitted yet.
#[derive(Debug)]
pub(crate) struct LoginRequest {
    pub(crate) dialect: Dialect,
    /// Name, token and options.
    pub(crate) hello: Box<Hello>,
}

/// Why a connection ended before its login.
#[derive(Debug)]
pub(crate) enum LoginFailed {
    /// The peer disconnected.
    Disconnected,
    /// Rejected, with this as the last output.
    Rejected(Bytes),
    /// A request that needs no login was answered with this.
    ProxyReceipts(Bytes),
}

impl From<std::io::Error> for LoginFailed {
    fn from(_: std::io::Error) -> Self {
        Self::Disconnected
    }
}

impl LoginFailed {
    fn text(words: &'static str) -> Self {
        Self::Rejected(Bytes::from_static(words.as_bytes()))
    }

    /// The rejection in the peer's dialect.
    pub(crate) fn refusal(dialect: Dialect, why: &Refusal<'_>) -> Self {
        Self::Rejected(dialect.refusal(why))
    }
}

impl LoginRequest {
    /// Whether the client has the service token.
    pub(crate) fn is_service(&self, server: &Server) -> bool {
        is_service(server, self.hello.token.as_deref())
    }
}

fn is_service(server: &Server, token: Option<&str>) -> bool {
    token.is_some_and(|token| server.service_token.matches(token))
}

/// Prompts for the name and waits until the client is identified.
pub(crate) async fn ask(server: &Server, wire: &mut Wire, port: Port) -> Result<LoginRequest, LoginFailed> {
    let usual = match port {
        Port::Main(usual) | Port::Dedicated(usual) => usual,
        Port::MainForServices => return ask_service(server, wire).await,
    };
    wire.write(usual.capabilities().prompt.as_bytes()).await?;
    let asked = Instant::now();
    let deadline = asked + server.config.login_timeout;
    let first = first_byte(wire, usual, deadline).await?;
    let distance = distance(server, wire, asked.elapsed());
    wire.framer.set_distance(distance);
    let told = match port {
        Port::Main(_) | Port::MainForServices => Dialect::detect(first),
        Port::Dedicated(_) => None,
    };
    if told.is_none() && first == TLS_HANDSHAKE && !wire.stream.is_tls() {
        return Err(LoginFailed::Rejected(not_tls(server, port)));
    }
    identify(server, wire, told.unwrap_or(usual), deadline).await
}

/// The answer to a client that starts TLS on a port without it.
fn not_tls(server: &Server, port: Port) -> Bytes {
    let other = match port {
        Port::Main(_) | Port::MainForServices => server.config.tls_listen,
        Port::Dedicated(_) => server.config.tls_book_listen,
    };
    let hint = other.map(|other| format!("; port {} does", other.port())).unwrap_or_default();
    format!("This port does not speak TLS{hint}. Disconnecting...\n").into()
}

async fn first_byte(wire: &mut Wire, dialect: Dialect, deadline: Instant) -> Result<u8, LoginFailed> {
    loop {
        if let Some(first) = wire.framer.first_byte() {
            return Ok(first);
        }
        read(wire, dialect, deadline).await?;
    }
}

/// The distance of the peer: the round trip time that the kernel measured, or else the delay between prompt and first byte.
fn distance(server: &Server, wire: &Wire, lag: Duration) -> Distance {
    let (local, peer) = (wire.local.ip().to_canonical(), wire.peer.ip().to_canonical());
    if !wire.is_proxied && (peer.is_loopback() || peer == local) {
        return Distance::Local;
    }
    let link = server.send_queue.link(&wire.stream, wire.local, wire.peer);
    Distance::Remote(round_trip(link, wire.is_proxied, lag))
}

/// The round trip time to a peer on another machine.
fn round_trip(link: Option<Link>, is_proxied: bool, lag: Duration) -> Duration {
    // If our handshake was retransmitted, the peer has measured that delay as its round trip time, and retransmits as slowly.
    if link.is_some_and(|link| link.retransmitted > 0) {
        return HANDSHAKE_AGAIN;
    }
    // Behind a proxy the kernel measures the link to the proxy. A delay of `PERSON` or longer is a person typing.
    let measured = link.and_then(|link| link.round_trip);
    let answered = Some(lag).filter(|lag| *lag < PERSON);
    measured.filter(|_| !is_proxied).or(answered).unwrap_or_default()
}

/// Serves a connection while all places are taken: anybody but a service is told that the server is full, without a prompt.
async fn ask_service(server: &Server, wire: &mut Wire) -> Result<LoginRequest, LoginFailed> {
    let full = || LoginFailed::text(FULL);
    let deadline = Instant::now() + SERVICE_TIMEOUT;
    while wire.framer.first_byte().is_none() {
        match wire.read_until(deadline).await {
            Read::Some(_) => {}
            Read::Nothing | Read::End | Read::Refused => return Err(full()),
        }
    }
    let told = wire.framer.first_byte().and_then(Dialect::detect).ok_or_else(full)?;
    let login_request = match identify(server, wire, told, deadline).await {
        Ok(login_request) => login_request,
        Err(LoginFailed::ProxyReceipts(answer)) => return Err(LoginFailed::ProxyReceipts(answer)),
        Err(LoginFailed::Disconnected | LoginFailed::Rejected(_)) => return Err(full()),
    };
    let is_service = server.reserved.contains(&login_request.hello.name) && login_request.is_service(server);
    if is_service { Ok(login_request) } else { Err(full()) }
}

async fn read(wire: &mut Wire, dialect: Dialect, deadline: Instant) -> Result<(), LoginFailed> {
    match wire.read_until(deadline).await {
        Read::Some(_) => Ok(()),
        Read::Nothing => Err(LoginFailed::text(TOO_SLOW)),
        Read::End => Err(LoginFailed::Disconnected),
        Read::Refused => Err(unfinished(dialect)),
    }
}

/// The rejection for too much incomplete input.
fn unfinished(dialect: Dialect) -> LoginFailed {
    LoginFailed::refusal(dialect, &Refusal::Unfinished(REFUSAL))
}

/// Reads messages until one identifies the client.
async fn identify(
    server: &Server,
    wire: &mut Wire,
    dialect: Dialect,
    deadline: Instant,
) -> Result<LoginRequest, LoginFailed> {
    let unnamed = || LoginFailed::refusal(dialect, &Refusal::Unnamed);
    for _ in 0..TRIES {
        let message = match dialect.capabilities().silence {
            Some(_) => quiet_message(server, wire, dialect, deadline).await?,
            None => whole_message(wire, dialect, deadline).await?,
        };
        match dialect.identify(message) {
            LoginStep::Identified(hello) => {
                if let Some(looks_complete) = dialect.capabilities().silence {
                    wire.framer.identified(looks_complete);
                }
                return Ok(LoginRequest { dialect, hello });
            }
            LoginStep::Retry(answer) => wire.write(&answer).await?,
            LoginStep::Trace(request) if is_service(server, request.token.as_deref()) => {
                let found = server.traces.find(&request.message, None);
                return Err(LoginFailed::ProxyReceipts(dialect.reply(Reply::Trace(found))));
            }
            LoginStep::Trace(_) => return Err(unnamed()),
            LoginStep::Rejected(answer) => return Err(LoginFailed::Rejected(answer)),
        }
    }
    Err(unnamed())
}

/// The next message, ended by a newline.
async fn whole_message(wire: &mut Wire, dialect: Dialect, deadline: Instant) -> Result<Message, LoginFailed> {
    loop {
        match wire.framer.next_line() {
            Some(message) => return Ok(message),
            None => read(wire, dialect, deadline).await?,
        }
    }
}

/// The next message, which may be ended by silence instead of a newline.
async fn quiet_message(
    server: &Server,
    wire: &mut Wire,
    dialect: Dialect,
    deadline: Instant,
) -> Result<Message, LoginFailed> {
    let mut read_at = Instant::now();
    loop {
        if let Some(message) = wire.framer.next_line() {
            return Ok(message);
        }
        if wire.framer.is_too_long() {
            // Longer than any name; the rest of it is not awaited.
            return Ok(Message::TooLong);
        }
        let idle_timeout = wire.framer.idle_timeout().filter(|_| wire.framer.has_partial());
        let silent_at = idle_timeout.map_or(deadline, |idle_timeout| deadline.min(read_at + idle_timeout));
        match wire.read_until(silent_at).await {
            Read::Some(_) => read_at = Instant::now(),
            Read::End => return wire.finish().ok_or(LoginFailed::Disconnected),
            Read::Refused => return Err(unfinished(dialect)),
            // The client answers the prompt only once that has arrived, so no answer can be here while the prompt is in flight.
            Read::Nothing if Instant::now() < deadline && wire.is_in_flight(&server.send_queue) => {
                read_at = Instant::now();
            }
            Read::Nothing => return wire.framer.finish().ok_or(LoginFailed::text(TOO_SLOW)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_whose_handshake_was_late_is_as_far_as_that_took() {
        const MS: Duration = Duration::from_millis(1);
        let link = |retransmitted| Some(Link { round_trip: Some(30 * MS), retransmitted });
        assert_eq!(round_trip(link(0), false, 500 * MS), 30 * MS, "what was measured");
        assert_eq!(round_trip(link(1), false, 500 * MS), HANDSHAKE_AGAIN);
        assert_eq!(round_trip(link(0), true, 500 * MS), 500 * MS, "behind a proxy nothing was");
        assert_eq!(round_trip(None, false, 500 * MS), 500 * MS);
        assert_eq!(round_trip(None, false, 5000 * MS), Duration::ZERO, "a person");
    }
}
