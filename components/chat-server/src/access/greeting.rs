//! The greeting after a login: this file reads the lists for it, the dialect renders it.
//!
//! Greetings that wait for slow sessions share one budget ([`PageBudget`](crate::backend::page_budget::PageBudget)). When it is used up, a
//! greeting is rendered in at most 32 KiB.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use protocol::UserName;
use protocol::limits::{PAGE_EVENTS, SERVER_FRAME_BYTES};

use crate::access::login::LoginRequest;
use crate::backend::page_budget::{PagePermit, SHORT};
use crate::delivery::hub::Membership;
use crate::delivery::session_handle::Client;
use crate::dialect::codec::{Greeting, Lists};
use crate::server::Server;

/// The longest wait for the list of conversations; after it the greeting is sent without the list.
const CONVERSATIONS_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest wait for the client book.
const BOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// Logs the login and renders the greeting; the permit is its share of the budget.
pub(crate) async fn greet(
    server: &Server,
    member: &mut Membership,
    login_request: &LoginRequest,
    peer: SocketAddr,
) -> (Bytes, PagePermit) {
    server.login_log.logged_in(&member.name, peer, login_request.dialect);
    match login_request.dialect.capabilities().lists {
        Lists::Online => {
            server.registrar.note(&member.name, peer);
            listing(server, member, login_request)
        }
        Lists::Registered => registered(server, member, login_request, peer).await,
        Lists::Conversations => {
            server.registrar.note(&member.name, peer);
            conversations(server, member, login_request).await
        }
    }
}

/// Renders a greeting within the bytes that the budget has left, and returns to the budget what it does not need.
fn within_budget(server: &Server, render: impl FnOnce(usize) -> Bytes) -> (Bytes, PagePermit) {
    let permit = server.backend.pages.reserve_greeting(SERVER_FRAME_BYTES);
    let bytes = render(if permit.is_some() { SERVER_FRAME_BYTES } else { SHORT });
    let mut permit = permit.unwrap_or_default();
    permit.shrink_to(bytes.len());
    (bytes, permit)
}

/// A greeting with empty lists.
fn greeting<'a>(server: &Server, member: &'a Membership, max_bytes: usize) -> Greeting<'a> {
    Greeting {
        max_bytes,
        name: &member.name,
        token: member.token.expose(),
        online_text: "",
        online: Vec::new(),
        registered: Box::new(std::iter::empty()),
        conversations: Vec::new(),
        durability: server.backend.durability(),
        log: None,
    }
}

fn listing(server: &Server, member: &Membership, login_request: &LoginRequest) -> (Bytes, PagePermit) {
    let dialect = login_request.dialect;
    within_budget(server, |max_bytes| {
        member.show_online(|online_text| {
            dialect.greeting(Greeting { online_text, ..greeting(server, member, max_bytes) })
        })
    })
}

/// Lists all registered users, including the new one, and users who are online but not yet registered, because logins do not wait for
/// registration. Lists the users online if the store does not answer.
async fn registered(
    server: &Server,
    member: &mut Membership,
    login_request: &LoginRequest,
    peer: SocketAddr,
) -> (Bytes, PagePermit) {
    let read = async {
        server.backend.api.register(member.name.clone(), Some(peer.to_string())).await?;
        server.client_book.read(&server.backend).await
    };
    let read = tokio::time::timeout(BOOK_TIMEOUT, read).await;
    let online = member.online();
    let listed = read.ok().and_then(Result::ok);
    let registered: Box<dyn Iterator<Item = &UserName>> = match &listed {
        Some(listed) => Box::new(listed.with(&online)),
        None => Box::new(online.iter()),
    };
    within_budget(server, |max_bytes| {
        login_request.dialect.greeting(Greeting { registered, ..greeting(server, member, max_bytes) })
    })
}

async fn conversations(
    server: &Server,
    member: &mut Membership,
    login_request: &LoginRequest,
) -> (Bytes, PagePermit) {
    let hello = &login_request.hello;
    let log = server.hub.log();
    member.handle.set_client(Client { log: log.or(hello.log), receipts: hello.receipts });
    let mut conversations = Vec::new();
    if hello.conversations {
        let read = async {
            // If the store does not answer, the list is stale or missing; the greeting is sent anyway.
            let _ = server.cursors.flush(&member.name).await;
            // Each conversation has its last event.
            let _reading = server.backend.pages.permit_read(PAGE_EVENTS).await;
            server.backend.read_once(server.backend.api.conversations(&member.name)).await
        };
        if let Ok(Ok(answer)) = tokio::time::timeout(CONVERSATIONS_TIMEOUT, read).await {
            conversations = answer.conversations;
        }
    }
    let online = member.online();
    within_budget(server, |max_bytes| {
        let rest = greeting(server, member, max_bytes);
        login_request.dialect.greeting(Greeting { online, conversations, log, ..rest })
    })
}

#[cfg(test)]
mod tests;
