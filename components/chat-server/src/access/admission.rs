//! Who is let in: whether a name is theirs to take, and whether their address logs in too often.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use kit::logins;
use protocol::api::Standing;
use protocol::{NewName, Timestamp, UserName};
use tokio::time::Instant;
use uuid::Uuid;

use crate::access::login::{Entrant, Parting};
use crate::delivery::hub::Membership;
use crate::delivery::inbox::{Backlog, Style};
use crate::delivery::login_time::LoginTime;
use crate::dialect::Dialect;
use crate::dialect::speech::Refusal;
use crate::directory::roster::{Claim, JoinError};
use crate::server::Server;

/// How long the message API may take to say whether a name is registered, or looks like one that is.
const STANDING_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a name is waited for whose session is just ending: its peer has closed, and we are about to notice.
const GRACE: Duration = Duration::from_millis(60);
/// A peer from which nothing came for this long, though it was asked every second, is gone, and its name free.
pub(crate) const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// How long a name is waited for while it is found out whether the peer of the session lives…
const CHALLENGE_GRACE: Duration = SIGN_OF_LIFE.saturating_add(Duration::from_secs(1));
/// …and if it is known to be ending.
const LEAVING_GRACE: Duration = Duration::from_secs(3);

/// What somebody must be shown first. Places in another log than the store's mean nothing.
fn backlog(entrant: &Entrant, log: Option<Uuid>, began: LoginTime) -> Backlog {
    let hello = &entrant.hello;
    if !hello.replay {
        return Backlog::default();
    }
    let is_of_other_log = hello.log.is_some() && log.is_some() && hello.log != log;
    let known = if is_of_other_log {
        BTreeMap::new()
    } else {
        hello.cursors.clone().into_iter().filter(|(c, _)| c.is_dm_of(&hello.name)).collect()
    };
    let style = if entrant.dialect.manner().has_ids { Style::Stored } else { Style::SinceLogin(began) };
    Backlog { known, unseen: Some(style), ..Backlog::default() }
}

/// Counts a login for where it comes from. A service's is free.
pub(crate) fn count(server: &Server, entrant: &Entrant, ip: IpAddr) -> Result<(), Parting> {
    if entrant.is_service(server) {
        return Ok(());
    }
    let taken = server.logins.take(ip);
    taken.map_err(|wait| Parting::refusal(entrant.dialect, &Refusal::TooOften(&logins::refusal(wait), wait)))
}

/// Gives somebody their place, if the name is theirs to take; tells when that was.
pub(crate) async fn admit(server: &Server, entrant: &Entrant) -> Result<(Membership, LoginTime), Parting> {
    let (name, dialect) = (&entrant.hello.name, entrant.dialect);
    let service = entrant.is_service(server);
    let claim = match entrant.hello.token.as_deref() {
        _ if server.reserved.contains(name) && !service => {
            return Err(Parting::refusal(dialect, &Refusal::Reserved(name)));
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
        let backlog = backlog(entrant, server.hub.log(), login);
        let leaving = match server.hub.join(name, claim, dialect, backlog) {
            Ok(member) => return Ok((member, login)),
            Err(JoinError::TooMany) => return Err(Parting::refusal(dialect, &Refusal::TooMany(name))),
            Err(JoinError::LooksLike(other)) => {
                let words = format!("'{name}' looks like '{other}', who is online; choose another name");
                return Err(Parting::refusal(dialect, &Refusal::BadName(&words)));
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
            return Err(Parting::refusal(dialect, &Refusal::Taken(name)));
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
        return Err(Parting::refusal(dialect, &Refusal::BadName(&words)));
    }
    let asked = server.backend.read_once(server.backend.api.standing(name.clone()));
    let standing = tokio::time::timeout(STANDING_TIMEOUT, asked).await.ok().and_then(Result::ok);
    let login = standing.as_ref().map(|standing| LoginTime::at(standing.now));
    match standing {
        Some(Standing { registered: true, .. }) => return Ok(login),
        Some(Standing { looks_like: Some(other), .. }) => {
            let how = if server.hub.is_online(&other) { "online" } else { "registered" };
            let words = format!("'{name}' looks like '{other}', who is {how}; choose another name");
            return Err(Parting::refusal(dialect, &Refusal::BadName(&words)));
        }
        Some(Standing { looks_like: None, .. }) | None => {}
    }
    NewName::new(name.clone())
        .map(|_| login)
        .map_err(|error| Parting::refusal(dialect, &Refusal::BadName(&error)))
}
