//! Admission: whether a client may use a name, and whether its address logs in too often.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use kit::logins;
use protocol::account::{self, Access};
use protocol::api::Standing;
use protocol::{NewName, Timestamp, UserName};
use tokio::time::Instant;
use uuid::Uuid;

use crate::access::login::{LoginFailed, LoginRequest};
use crate::delivery::hub::Membership;
use crate::delivery::inbox::{Backlog, Style};
use crate::delivery::login_time::LoginTime;
use crate::dialect::Dialect;
use crate::dialect::codec::Refusal;
use crate::directory::roster::{Claim, JoinError};
use crate::server::Server;

/// How long to wait for the message API's answer whether a name is registered or looks like a registered one.
const STANDING_TIMEOUT: Duration = Duration::from_secs(1);
/// When to try again after that.
const AGAIN: Duration = Duration::from_secs(1);
/// How long to wait for a name whose session is about to end: its peer has closed, and the server has yet to notice.
const GRACE: Duration = Duration::from_millis(60);
/// A peer that has not answered for this long, though it was probed every second, has vanished, and its name is free.
pub(crate) const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// How long to wait for a name while its session's peer is probed.
const CHALLENGE_GRACE: Duration = SIGN_OF_LIFE.saturating_add(Duration::from_secs(1));
/// How long to wait for a name whose session is already ending.
const LEAVING_GRACE: Duration = Duration::from_secs(3);

/// What the session must be sent first. The client's cursors are ignored if they belong to another log than the store's.
fn backlog(login_request: &LoginRequest, log: Option<Uuid>, began: LoginTime) -> Backlog {
    let hello = &login_request.hello;
    if !hello.replay {
        return Backlog::default();
    }
    let is_of_other_log = hello.log.is_some() && log.is_some() && hello.log != log;
    let known = if is_of_other_log {
        BTreeMap::new()
    } else {
        hello.cursors.clone().into_iter().filter(|(c, _)| c.is_dm_of(&hello.name)).collect()
    };
    let style =
        if login_request.dialect.capabilities().has_ids { Style::Stored } else { Style::SinceLogin(began) };
    Backlog { known, unread: Some(style), ..Backlog::default() }
}

/// Counts a login against its address's rate limit. Services are exempt.
pub(crate) fn count(server: &Server, login_request: &LoginRequest, ip: IpAddr) -> Result<(), LoginFailed> {
    if login_request.is_service(server) {
        return Ok(());
    }
    let taken = server.logins.take(ip);
    taken.map_err(|wait| {
        LoginFailed::refusal(login_request.dialect, &Refusal::RateLimited(&logins::refusal(wait), wait))
    })
}

/// Joins the session to the online directory if the client may use the name, and returns the time of the login.
pub(crate) async fn admit(
    server: &Server,
    login_request: &LoginRequest,
) -> Result<(Membership, LoginTime), LoginFailed> {
    let (name, dialect) = (&login_request.hello.name, login_request.dialect);
    let service = login_request.is_service(server);
    let token = login_request.hello.token.as_deref();
    let (login, claim) = if server.reserved.contains(name) {
        if !service {
            return Err(LoginFailed::refusal(dialect, &Refusal::Reserved(name)));
        }
        (None, Claim::Service)
    } else {
        check(server, dialect, name, token).await?
    };
    let login = login.unwrap_or_else(|| LoginTime::at(Timestamp::now()));
    let (began, mut challenged) = (Instant::now(), false);
    loop {
        let backlog = backlog(login_request, server.hub.log(), login);
        let leaving = match server.hub.join(name, claim, dialect, backlog) {
            Ok(member) => return Ok((member, login)),
            Err(JoinError::TooMany) => return Err(LoginFailed::refusal(dialect, &Refusal::TooMany(name))),
            Err(JoinError::LooksLike(other)) => {
                let words = format!("'{name}' looks like '{other}', who is online; choose another name");
                return Err(LoginFailed::refusal(dialect, &Refusal::BadName(&words)));
            }
            Err(JoinError::Taken { leaving }) => leaving,
        };
        if !leaving && !challenged && began.elapsed() >= GRACE {
            // The client that has the name may have vanished, and this may be the same user reconnecting.
            server.hub.challenge(name);
            challenged = true;
        }
        let idle_timeout = if leaving { LEAVING_GRACE } else { CHALLENGE_GRACE };
        if challenged && server.hub.is_alive(name) || began.elapsed() >= idle_timeout {
            return Err(LoginFailed::refusal(dialect, &Refusal::Taken(name)));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Checks a name that is no service's: whether its account lets the client in, and otherwise whether it can be a new name. Returns the login
/// time, if the store answered, and by what right the client has the name. If the store does not answer, a name that may be protected is
/// nobody's, and other checks are skipped.
async fn check<'a>(
    server: &Server,
    dialect: Dialect,
    name: &UserName,
    token: Option<&'a str>,
) -> Result<(Option<LoginTime>, Claim<'a>), LoginFailed> {
    let of_account = token.filter(|token| account::is_token(token));
    let asked =
        server.backend.read_once(server.backend.api.standing(name.clone(), of_account.map(str::to_owned)));
    let standing = tokio::time::timeout(STANDING_TIMEOUT, asked).await.ok().and_then(Result::ok);
    let login = standing.as_ref().map(|standing| LoginTime::at(standing.now));
    let access = match &standing {
        Some(standing) => standing.access,
        None if of_account.is_some() || server.protected.may_have(name) => {
            let words = "The server cannot verify this name now, please try again";
            return Err(LoginFailed::refusal(dialect, &Refusal::RateLimited(words, AGAIN)));
        }
        None => Access::Open,
    };
    match (access, token) {
        (Access::Owner { token: id }, Some(token)) => Ok((login, Claim::Account { id, token })),
        (Access::Open, token) => {
            check_new(server, dialect, name, standing)?;
            Ok((login, token.map_or(Claim::None, Claim::Token)))
        }
        (Access::Owner { .. }, None) | (Access::TokenMissing | Access::TokenWrong | Access::Closed, _) => {
            Err(LoginFailed::refusal(dialect, &Refusal::Protected(name)))
        }
    }
}

/// Rejects a new name that could be mistaken for a service's or for that of a registered user, who may be offline; the roster compares it
/// with the users online. A name that mixes scripts or looks like another is accepted if an earlier version registered it.
fn check_new(
    server: &Server,
    dialect: Dialect,
    name: &UserName,
    standing: Option<Standing>,
) -> Result<(), LoginFailed> {
    if let Some(other) = server.reserved.lookalike(name) {
        let words =
            format!("'{name}' looks like '{other}', which is reserved for a service; choose another name");
        return Err(LoginFailed::refusal(dialect, &Refusal::BadName(&words)));
    }
    match standing {
        Some(Standing { registered: true, .. }) => return Ok(()),
        Some(Standing { looks_like: Some(other), .. }) => {
            let how = if server.hub.is_online(&other) { "online" } else { "registered" };
            let words = format!("'{name}' looks like '{other}', who is {how}; choose another name");
            return Err(LoginFailed::refusal(dialect, &Refusal::BadName(&words)));
        }
        Some(Standing { looks_like: None, .. }) | None => {}
    }
    NewName::new(name.clone())
        .map(drop)
        .map_err(|error| LoginFailed::refusal(dialect, &Refusal::BadName(&error)))
}
