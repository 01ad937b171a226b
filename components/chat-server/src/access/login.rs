//! How a connection becomes somebody's: which dialect, which name, by what right.
//!
//! The book dialect has a port of its own. On the other one the first byte tells the dialect: `{` is native, anything else text. Whoever comes with HTTP or TLS is at the wrong door, is told
//! so in one line, and nothing they sent is looked at further.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use kit::logins;
use kit::send_queue::Unacknowledged;
use kit::unfinished::REFUSAL;
use protocol::api::Standing;
use protocol::native::{ClientFrame, ErrorCode, Hello, parse_client_frame};
use protocol::{NewName, Timestamp, UserName, book, text};
use tokio::time::Instant;
use uuid::Uuid;

use crate::delivery::hub::Membership;
use crate::delivery::inbox::{Backlog, Style};
use crate::delivery::login_time::LoginTime;
use crate::delivery::outlet::Dialect;
use crate::dialect::book as book_dialect;
use crate::dialect::framing::Message;
use crate::dialect::native as native_dialect;
use crate::dialect::silence::Distance;
use crate::dialect::text as text_dialect;
use crate::directory::roster::{Claim, JoinError};
use crate::listener::FULL;
use crate::server::Server;
use crate::session::CHALLENGE_PATIENCE;
use crate::wire::{Read, Wire};

const NOT_HTTP: &str = "This is a chat server, not a web server. Disconnecting...\n";
const NOT_TLS: &str = "This port does not speak TLS. Disconnecting...\n";
const NOT_UTF8: &str = "This server takes UTF-8, and that looks like UTF-16. Disconnecting...\n";
const TOO_SLOW: &str = "No username was given in time. Disconnecting...\n";
const TOO_MANY: &str = "Too many sessions under this username. Disconnecting...\n";
/// The first byte of a TLS record that holds a handshake (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 0x16;
/// Empty lines before a name that are asked again.
const BLANK_LINES: usize = 16;
/// Frames before `hello` that are answered; then whoever sends them is not a client of ours.
const BAD_FRAMES: usize = 16;
/// A service identifies itself at once; nobody else may hold its place for longer.
const SERVICE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long the message API may take to say whether a name is registered, or looks like one that is.
const STANDING_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a name is waited for whose session is just ending: its peer has closed, and we are about to notice.
const GRACE: Duration = Duration::from_millis(60);
/// …while it is found out whether the peer of the session lives; see [`session::challenge`](crate::session)…
const CHALLENGE_GRACE: Duration = CHALLENGE_PATIENCE.saturating_add(Duration::from_secs(1));
/// …and if it is known to be ending.
const LEAVING_GRACE: Duration = Duration::from_secs(3);

/// Who took longer than this for the first byte is a person, whose pace says nothing of the link.
const PERSON: Duration = Duration::from_secs(1);

/// After so long the kernel sends its part of the handshake again (RFC 6298, 2.1).
const HANDSHAKE_AGAIN: Duration = Duration::from_secs(1);

/// Which of the server's ports a connection came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// The text and the native dialect.
    Main,
    /// The book dialect.
    Book,
    /// The first one while all places are taken: for services in the native dialect alone.
    Service,
}

/// Somebody who said who they are.
#[derive(Debug)]
pub(crate) enum Entrant {
    /// In the text dialect.
    Text(UserName),
    /// In the book dialect.
    Book(UserName),
    /// In the native dialect.
    Native(Box<Hello>),
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
}

impl Entrant {
    /// What they speak.
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Text(_) => Dialect::Text,
            Self::Book(_) => Dialect::Book,
            Self::Native(_) => Dialect::Native,
        }
    }

    fn name(&self) -> &UserName {
        match self {
            Self::Text(name) | Self::Book(name) => name,
            Self::Native(hello) => &hello.name,
        }
    }

    fn token(&self) -> Option<&str> {
        match self {
            Self::Text(_) | Self::Book(_) => None,
            Self::Native(hello) => hello.token.as_deref(),
        }
    }

    /// What they must be shown first. Places in another log than the store's mean nothing.
    fn backlog(&self, log: Option<Uuid>, began: LoginTime) -> Backlog {
        match self {
            Self::Text(_) | Self::Book(_) => {
                Backlog { unseen: Some(Style::SinceLogin(began)), ..Backlog::default() }
            }
            Self::Native(hello) if hello.replay => Backlog {
                known: if hello.log.is_some() && log.is_some() && hello.log != log {
                    BTreeMap::new()
                } else {
                    hello.cursors.clone().into_iter().filter(|(c, _)| c.is_dm_of(&hello.name)).collect()
                },
                unseen: Some(Style::Stored),
                ..Backlog::default()
            },
            Self::Native(_) => Backlog::default(),
        }
    }
}

/// Asks who is there and waits for an answer.
pub(crate) async fn ask(server: &Server, wire: &mut Wire, door: Door) -> Result<Entrant, Parting> {
    let prompt = match door {
        Door::Main => text::PROMPT,
        Door::Book => book::PROMPT,
        Door::Service => return ask_service(server, wire).await,
    };
    wire.write(prompt.as_bytes()).await?;
    let asked = Instant::now();
    let deadline = asked + server.config.login_timeout;
    while wire.framer.first_byte().is_none() {
        read(wire, deadline).await?;
    }
    let distance = distance(server, wire, asked.elapsed());
    wire.framer.comes_from(distance);
    match (door, wire.framer.first_byte()) {
        (Door::Main, Some(b'{')) => ask_native(server, wire, deadline).await,
        (_, Some(TLS_HANDSHAKE)) => Err(Parting::text(NOT_TLS)),
        (Door::Main | Door::Service, Some(_) | None) => {
            let name = ask_name(server, wire, deadline).await?;
            wire.framer.named(text_dialect::looks_whole);
            Ok(Entrant::Text(name))
        }
        (Door::Book, Some(_) | None) => {
            let name = ask_name(server, wire, deadline).await?;
            wire.framer.named(book_dialect::looks_whole);
            Ok(Entrant::Book(name))
        }
    }
}

/// How far the peer is: by what the kernel measured, or else by how long after the prompt its first byte came.
fn distance(server: &Server, wire: &Wire, lag: Duration) -> Distance {
    let (local, peer) = (wire.local.ip().to_canonical(), wire.peer.ip().to_canonical());
    if !wire.is_proxied && (peer.is_loopback() || peer == local) {
        return Distance::Here;
    }
    let link = server.send_queue.link(&wire.stream, wire.local, wire.peer);
    // A peer that got our handshake late has measured that as a round trip, and is as slow to send again what is lost.
    if link.is_some_and(|link| link.retransmitted > 0) {
        return Distance::Away(HANDSHAKE_AGAIN);
    }
    // What was measured behind a proxy is the link to the proxy; who takes longer to answer is a person.
    let measured = link.and_then(|link| link.round_trip);
    let answered = Some(lag).filter(|lag| *lag < PERSON);
    Distance::Away(measured.filter(|_| !wire.is_proxied).or(answered).unwrap_or_default())
}

/// There is no place for anybody else, who are told so without being asked.
async fn ask_service(server: &Server, wire: &mut Wire) -> Result<Entrant, Parting> {
    let full = || Parting::text(FULL);
    let deadline = Instant::now() + SERVICE_TIMEOUT;
    while wire.framer.first_byte().is_none() {
        read(wire, deadline).await.map_err(|_| full())?;
    }
    if wire.framer.first_byte() != Some(b'{') {
        return Err(full());
    }
    let entrant = match ask_native(server, wire, deadline).await {
        Ok(entrant) => entrant,
        Err(Parting::Answered(answer)) => return Err(Parting::Answered(answer)),
        Err(Parting::Gone | Parting::Because(_)) => return Err(full()),
    };
    let is_service = server.reserved.contains(entrant.name()) && is_service(server, entrant.token());
    if is_service { Ok(entrant) } else { Err(full()) }
}

async fn read(wire: &mut Wire, deadline: Instant) -> Result<(), Parting> {
    match wire.read_until(deadline).await {
        Read::Some(_) => Ok(()),
        Read::Nothing => Err(Parting::text(TOO_SLOW)),
        Read::End => Err(Parting::Gone),
        Read::Refused => Err(unfinished(wire)),
    }
}

/// What was sent before the login and did not end holds too much.
fn unfinished(wire: &Wire) -> Parting {
    Parting::Because(match wire.framer.first_byte() {
        Some(b'{') => native_dialect::error(ErrorCode::Full, REFUSAL, None, None),
        Some(_) | None => format!("{REFUSAL}. Disconnecting...\n").into(),
    })
}

/// Counts a login for where it comes from. A service's is free.
pub(crate) fn count(server: &Server, entrant: &Entrant, ip: IpAddr) -> Result<(), Parting> {
    if is_service(server, entrant.token()) {
        return Ok(());
    }
    server.logins.take(ip).map_err(|wait| {
        let words = logins::refusal(wait);
        Parting::Because(match entrant.dialect() {
            Dialect::Text | Dialect::Book => format!("{words}. Disconnecting...\n").into(),
            Dialect::Native => {
                let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                native_dialect::error(ErrorCode::Full, &words, None, Some(wait))
            }
        })
    })
}

async fn ask_name(server: &Server, wire: &mut Wire, deadline: Instant) -> Result<UserName, Parting> {
    let mut line = String::new();
    for _ in 0..BLANK_LINES {
        let message = text_message(server, wire, deadline).await?;
        let Message::Text(text) = message else { return Err(refused_name(&"x".repeat(64))) };
        line = text;
        if !line.trim().is_empty() {
            break;
        }
        // Some programs send an empty line first, and people press the key twice.
        wire.write(text::PROMPT.as_bytes()).await?;
    }
    if line.contains('\0') {
        return Err(Parting::text(NOT_UTF8));
    }
    if is_http(&line) {
        return Err(Parting::text(NOT_HTTP));
    }
    UserName::parse(&line).map_err(|_| refused_name(&line))
}

fn refused_name(line: &str) -> Parting {
    match UserName::parse(line) {
        Ok(_) => Parting::Gone,
        Err(error) => Parting::Because(text::invalid_name(&error).into()),
    }
}

/// The first message, which may come without a newline and in pieces.
async fn text_message(server: &Server, wire: &mut Wire, deadline: Instant) -> Result<Message, Parting> {
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
            Read::Refused => return Err(unfinished(wire)),
            // Until the prompt has arrived, what was sent in answer to our acknowledgement cannot have come.
            Read::Nothing if Instant::now() < deadline && is_in_flight(server, wire) => {
                read_at = Instant::now();
            }
            Read::Nothing => return wire.framer.finish().ok_or(Parting::text(TOO_SLOW)),
        }
    }
}

/// Whether something that was sent to the peer is not acknowledged.
pub(crate) fn is_in_flight(server: &Server, wire: &Wire) -> bool {
    let unacknowledged = server.send_queue.ask(&wire.stream, wire.local, wire.peer);
    matches!(unacknowledged, Unacknowledged::Bytes(1..))
}

fn is_http(line: &str) -> bool {
    let (method, rest) = line.split_once(' ').unwrap_or((line, ""));
    !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase()) && rest.contains("HTTP/")
}

async fn ask_native(server: &Server, wire: &mut Wire, deadline: Instant) -> Result<Entrant, Parting> {
    for _ in 0..BAD_FRAMES {
        let message = loop {
            match wire.framer.next_line() {
                Some(message) => break message,
                None => read(wire, deadline).await?,
            }
        };
        let answer = match message {
            Message::TooLong => native_dialect::too_long(),
            Message::Text(line) if line.trim().is_empty() => continue,
            Message::Text(line) => match parse_client_frame(&line) {
                Ok(ClientFrame::Hello(hello)) => return Ok(Entrant::Native(Box::new(hello))),
                Ok(ClientFrame::Trace(request)) if is_service(server, request.token.as_deref()) => {
                    let found = server.traces.find(&request.message, None);
                    return Err(Parting::Answered(native_dialect::trace(found)));
                }
                Ok(_) => return Err(refusal(Dialect::Native, ErrorCode::ExpectedHello, "")),
                Err(error) if error.code == ErrorCode::BadName => {
                    return Err(refusal(Dialect::Native, ErrorCode::BadName, &error.message));
                }
                Err(error) => native_dialect::error(error.code, &error.message, error.client_id, None),
            },
        };
        wire.write(&answer).await?;
    }
    Err(refusal(Dialect::Native, ErrorCode::ExpectedHello, ""))
}

fn is_service(server: &Server, token: Option<&str>) -> bool {
    token.is_some_and(|token| server.service_token.matches(token))
}

/// Gives somebody their place, if the name is theirs to take; tells when that was.
pub(crate) async fn admit(server: &Server, entrant: &Entrant) -> Result<(Membership, LoginTime), Parting> {
    let (name, dialect) = (entrant.name(), entrant.dialect());
    let service = is_service(server, entrant.token());
    let claim = match entrant.token() {
        _ if server.reserved.contains(name) && !service => {
            return Err(refusal(dialect, ErrorCode::Reserved, name.as_str()));
        }
        Some(_) if server.reserved.contains(name) => Claim::Service,
        Some(token) => Claim::Token(token),
        None => Claim::None,
    };
    let login = match claim {
        Claim::Service => None,
        Claim::Token(_) | Claim::None => check_new(server, dialect, name).await?,
    };
    let login = login.unwrap_or_else(|| LoginTime::at(Timestamp::now()));
    let (began, mut challenged) = (Instant::now(), false);
    loop {
        let backlog = entrant.backlog(server.hub.log(), login);
        let leaving = match server.hub.join(name, claim, dialect, backlog) {
            Ok(member) => return Ok((member, login)),
            Err(JoinError::TooMany) => return Err(refusal(dialect, ErrorCode::Full, name.as_str())),
            Err(JoinError::LooksLike(other)) => {
                let words = format!("'{name}' looks like '{other}', who is online; choose another name");
                return Err(bad_name(dialect, &words));
            }
            Err(JoinError::Taken { leaving }) => leaving,
        };
        if !leaving && !challenged && began.elapsed() >= GRACE {
            // The client of who has it may have vanished, and this be the same person coming back.
            server.hub.challenge(name);
            challenged = true;
        }
        let patience = if leaving { LEAVING_GRACE } else { CHALLENGE_GRACE };
        if challenged && server.hub.lives(name) || began.elapsed() >= patience {
            return Err(refusal(dialect, ErrorCode::Taken, name.as_str()));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Refuses a new name that is made to be taken for another: for a service's, or for that of somebody registered, who may be offline; the
/// roster compares it with those who are online. One that mixes scripts, or looks like another, and was registered by an earlier version
/// goes on. While the store does not answer, people come in all the same; when it does, it tells its time, too.
async fn check_new(server: &Server, dialect: Dialect, name: &UserName) -> Result<Option<LoginTime>, Parting> {
    if let Some(other) = server.reserved.lookalike(name) {
        let words =
            format!("'{name}' looks like '{other}', which is reserved for a service; choose another name");
        return Err(bad_name(dialect, &words));
    }
    let asked = server.backend.read_once(server.backend.api.standing(name.clone()));
    let standing = tokio::time::timeout(STANDING_TIMEOUT, asked).await.ok().and_then(Result::ok);
    let login = standing.as_ref().map(|standing| LoginTime::at(standing.now));
    match standing {
        Some(Standing { registered: true, .. }) => return Ok(login),
        Some(Standing { looks_like: Some(other), .. }) => {
            let how = if server.hub.is_online(&other) { "online" } else { "registered" };
            let words = format!("'{name}' looks like '{other}', who is {how}; choose another name");
            return Err(bad_name(dialect, &words));
        }
        Some(Standing { looks_like: None, .. }) | None => {}
    }
    NewName::new(name.clone()).map(|_| login).map_err(|error| bad_name(dialect, &error))
}

fn bad_name(dialect: Dialect, why: &impl std::fmt::Display) -> Parting {
    Parting::Because(match dialect {
        Dialect::Text | Dialect::Book => text::invalid_name(why).into(),
        Dialect::Native => native_dialect::error(ErrorCode::BadName, &why.to_string(), None, None),
    })
}

/// Why somebody cannot come in, in their dialect.
fn refusal(dialect: Dialect, code: ErrorCode, about: &str) -> Parting {
    let words = match (dialect, code) {
        (Dialect::Text | Dialect::Book, ErrorCode::Taken) => text::TAKEN.to_owned(),
        (Dialect::Text | Dialect::Book, ErrorCode::Reserved) => {
            format!("Username '{about}' is reserved for a service. Disconnecting...\n")
        }
        (Dialect::Text | Dialect::Book, _) => TOO_MANY.to_owned(),
        (Dialect::Native, ErrorCode::Taken) => format!("somebody is online under the name '{about}'"),
        (Dialect::Native, ErrorCode::Reserved) => format!("the name '{about}' is reserved for a service"),
        (Dialect::Native, ErrorCode::BadName) => about.to_owned(),
        (Dialect::Native, ErrorCode::ExpectedHello) => "the first frame must be hello".to_owned(),
        (Dialect::Native, _) => format!("too many sessions under the name '{about}'"),
    };
    Parting::Because(match dialect {
        Dialect::Text | Dialect::Book => words.into(),
        Dialect::Native => native_dialect::error(code, &words, None, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_browsers_are_told_from_names() {
        assert!(is_http("GET / HTTP/1.1"));
        assert!(is_http("PRI * HTTP/2.0"));
        assert!(is_http("OPTIONS /x HTTP/1.0\r"));
        assert!(!is_http("GET"));
        assert!(!is_http("alice"));
        assert!(!is_http("two words"));
    }
}
