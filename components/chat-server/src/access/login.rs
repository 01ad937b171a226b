//! How a connection says whose it is: in which dialect, and under which name.
//!
//! Some dialects have a port of their own. On the main one the first byte may select another dialect than the default. A client
//! that starts a TLS handshake is told in one line that this port has no TLS, and nothing else it sent is read.

use std::time::Duration;

use bytes::Bytes;
use kit::send_queue::Link;
use kit::unfinished::REFUSAL;
use tokio::time::Instant;

use crate::access::door::{Door, FULL};
use crate::dialect::Dialect;
use crate::dialect::framing::Message;
use crate::dialect::silence::Distance;
use crate::dialect::speech::{Hello, Refusal, Reply, Step};
use crate::server::Server;
use crate::wire::{Read, Wire};

const NOT_TLS: &str = "This port does not speak TLS. Disconnecting...\n";
const TOO_SLOW: &str = "No username was given in time. Disconnecting...\n";
/// The first byte of a TLS record that holds a handshake (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 0x16;
/// How many messages without a name are answered, such as empty lines and malformed frames, before the connection is refused.
const TRIES: usize = 16;
/// How long a connection may hold a place reserved for services before it identifies itself; a service does so at once.
const SERVICE_TIMEOUT: Duration = Duration::from_millis(500);

/// Who took longer than this for the first byte is a person, whose pace says nothing of the link.
const PERSON: Duration = Duration::from_secs(1);

/// After so long the kernel sends its part of the handshake again (RFC 6298, 2.1).
const HANDSHAKE_AGAIN: Duration = Duration::from_secs(1);

/// Somebody who said who they are.
#[derive(Debug)]
pub(crate) struct Entrant {
    /// What they speak.
    pub(crate) dialect: Dialect,
    /// What they said.
    pub(crate) hello: Box<Hello>,
}

/// A login that came to nothing.
#[derive(Debug)]
pub(crate) enum Parting {
    /// The peer is gone.
    Gone,
    /// The peer is told why.
    Because(Bytes),
    /// It asked something, this is the answer, and that was all.
    Answered(Bytes),
}

impl From<std::io::Error> for Parting {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

impl Parting {
    fn text(words: &'static str) -> Self {
        Self::Because(Bytes::from_static(words.as_bytes()))
    }

    /// In the peer's dialect.
    pub(crate) fn refusal(dialect: Dialect, why: &Refusal<'_>) -> Self {
        Self::Because(dialect.refusal(why))
    }
}

impl Entrant {
    /// Whether they know the service token.
    pub(crate) fn is_service(&self, server: &Server) -> bool {
        is_service(server, self.hello.token.as_deref())
    }
}

fn is_service(server: &Server, token: Option<&str>) -> bool {
    token.is_some_and(|token| server.service_token.matches(token))
}

/// Asks who is there and waits for an answer.
pub(crate) async fn ask(server: &Server, wire: &mut Wire, door: Door) -> Result<Entrant, Parting> {
    let usual = match door {
        Door::Main(usual) | Door::Only(usual) => usual,
        Door::Service => return ask_service(server, wire).await,
    };
    wire.write(usual.manner().prompt.as_bytes()).await?;
    let asked = Instant::now();
    let deadline = asked + server.config.login_timeout;
    let first = first_byte(wire, usual, deadline).await?;
    let distance = distance(server, wire, asked.elapsed());
    wire.framer.comes_from(distance);
    let told = match door {
        Door::Main(_) | Door::Service => Dialect::told_by(first),
        Door::Only(_) => None,
    };
    if told.is_none() && first == TLS_HANDSHAKE {
        return Err(Parting::text(NOT_TLS));
    }
    identify(server, wire, told.unwrap_or(usual), deadline).await
}

async fn first_byte(wire: &mut Wire, dialect: Dialect, deadline: Instant) -> Result<u8, Parting> {
    loop {
        if let Some(first) = wire.framer.first_byte() {
            return Ok(first);
        }
        read(wire, dialect, deadline).await?;
    }
}

/// How far the peer is: by what the kernel measured, or else by how long after the prompt its first byte came.
fn distance(server: &Server, wire: &Wire, lag: Duration) -> Distance {
    let (local, peer) = (wire.local.ip().to_canonical(), wire.peer.ip().to_canonical());
    if !wire.is_proxied && (peer.is_loopback() || peer == local) {
        return Distance::Here;
    }
    let link = server.send_queue.link(&wire.stream, wire.local, wire.peer);
    Distance::Away(round_trip(link, wire.is_proxied, lag))
}

/// How long a round trip to a peer on another machine takes.
fn round_trip(link: Option<Link>, is_proxied: bool, lag: Duration) -> Duration {
    // A peer that got our handshake late has measured that as a round trip, and is as slow to send again what is lost.
    if link.is_some_and(|link| link.retransmitted > 0) {
        return HANDSHAKE_AGAIN;
    }
    // What was measured behind a proxy is the link to the proxy; who takes longer to answer is a person.
    let measured = link.and_then(|link| link.round_trip);
    let answered = Some(lag).filter(|lag| *lag < PERSON);
    measured.filter(|_| !is_proxied).or(answered).unwrap_or_default()
}

/// There is no place for anybody else, who are told so without being asked.
async fn ask_service(server: &Server, wire: &mut Wire) -> Result<Entrant, Parting> {
    let full = || Parting::text(FULL);
    let deadline = Instant::now() + SERVICE_TIMEOUT;
    while wire.framer.first_byte().is_none() {
        match wire.read_until(deadline).await {
            Read::Some(_) => {}
            Read::Nothing | Read::End | Read::Refused => return Err(full()),
        }
    }
    let told = wire.framer.first_byte().and_then(Dialect::told_by).ok_or_else(full)?;
    let entrant = match identify(server, wire, told, deadline).await {
        Ok(entrant) => entrant,
        Err(Parting::Answered(answer)) => return Err(Parting::Answered(answer)),
        Err(Parting::Gone | Parting::Because(_)) => return Err(full()),
    };
    let is_service = server.reserved.contains(&entrant.hello.name) && entrant.is_service(server);
    if is_service { Ok(entrant) } else { Err(full()) }
}

async fn read(wire: &mut Wire, dialect: Dialect, deadline: Instant) -> Result<(), Parting> {
    match wire.read_until(deadline).await {
        Read::Some(_) => Ok(()),
        Read::Nothing => Err(Parting::text(TOO_SLOW)),
        Read::End => Err(Parting::Gone),
        Read::Refused => Err(unfinished(dialect)),
    }
}

/// What was sent before the login and did not end holds too much.
fn unfinished(dialect: Dialect) -> Parting {
    Parting::refusal(dialect, &Refusal::Unfinished(REFUSAL))
}

/// Takes messages until one says who is there.
async fn identify(
    server: &Server,
    wire: &mut Wire,
    dialect: Dialect,
    deadline: Instant,
) -> Result<Entrant, Parting> {
    let unnamed = || Parting::refusal(dialect, &Refusal::Unnamed);
    for _ in 0..TRIES {
        let message = match dialect.manner().silence {
            Some(_) => quiet_message(server, wire, dialect, deadline).await?,
            None => whole_message(wire, dialect, deadline).await?,
        };
        match dialect.identify(message) {
            Step::Is(hello) => {
                if let Some(looks_whole) = dialect.manner().silence {
                    wire.framer.named(looks_whole);
                }
                return Ok(Entrant { dialect, hello });
            }
            Step::Again(answer) => wire.write(&answer).await?,
            Step::Asks(request) if is_service(server, request.token.as_deref()) => {
                let found = server.traces.find(&request.message, None);
                return Err(Parting::Answered(dialect.reply(Reply::Trace(found))));
            }
            Step::Asks(_) => return Err(unnamed()),
            Step::Refused(answer) => return Err(Parting::Because(answer)),
        }
    }
    Err(unnamed())
}

/// The next message, which a newline ends.
async fn whole_message(wire: &mut Wire, dialect: Dialect, deadline: Instant) -> Result<Message, Parting> {
    loop {
        match wire.framer.next_line() {
            Some(message) => return Ok(message),
            None => read(wire, dialect, deadline).await?,
        }
    }
}

/// The next message, which may come without a newline and in pieces.
async fn quiet_message(
    server: &Server,
    wire: &mut Wire,
    dialect: Dialect,
    deadline: Instant,
) -> Result<Message, Parting> {
    let mut read_at = Instant::now();
    loop {
        if let Some(message) = wire.framer.next_line() {
            return Ok(message);
        }
        if wire.framer.is_too_long() {
            // No name is that long; what more may come is not waited for.
            return Ok(Message::TooLong);
        }
        let patience = wire.framer.patience().filter(|_| wire.framer.has_rest());
        let silent_at = patience.map_or(deadline, |patience| deadline.min(read_at + patience));
        match wire.read_until(silent_at).await {
            Read::Some(_) => read_at = Instant::now(),
            Read::End => return wire.framer.finish().ok_or(Parting::Gone),
            Read::Refused => return Err(unfinished(dialect)),
            // Until the prompt has arrived, what was sent in answer to our acknowledgement cannot have come.
            Read::Nothing if Instant::now() < deadline && wire.is_in_flight(&server.send_queue) => {
                read_at = Instant::now();
            }
            Read::Nothing => return wire.framer.finish().ok_or(Parting::text(TOO_SLOW)),
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
