//! One accepted connection from the first byte to the last.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::native::{Hello, Welcome};
use protocol::{UserName, book, text};
use tokio::net::TcpStream;

use crate::hub::Membership;
use crate::login::{self, Door, Entrant, Parting};
use crate::native_dialect;
use crate::places::Place;
use crate::server::Server;
use crate::session::Session;
use crate::wire::Wire;

/// A greeting does not wait longer for the list of conversations; without the store it comes without.
const CONVERSATIONS_TIMEOUT: Duration = Duration::from_secs(1);
/// Nor for the client book.
const BOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves a connection.
pub(crate) async fn serve(
    server: Arc<Server>,
    door: Door,
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
) {
    let _place = place;
    // A peer that is gone already needs no answer.
    let Ok(mut wire) = Wire::new(stream, peer, server.config.write_timeout) else { return };
    let login = async {
        let entrant = login::ask(&server, &mut wire, door).await?;
        let member = login::admit(&server, &entrant).await?;
        Ok((entrant, member))
    };
    let login = tokio::select! {
        login = login => login,
        () = server.shutdown.cancelled() => return,
    };
    match login {
        Ok((entrant, member)) => Box::pin(greet(server, wire, entrant, member)).await,
        Err(Parting::Gone) => {}
        Err(Parting::Because(words)) => {
            server.metrics.turned_away.add(1);
            server.journal.refused(peer, String::from_utf8_lossy(&words).trim_end());
            wire.part(words).await;
        }
    }
}

async fn greet(server: Arc<Server>, mut wire: Wire, entrant: Entrant, member: Membership) {
    server.journal.came(&member.name, wire.peer, entrant.dialect());
    let session = match entrant {
        Entrant::Text(_) => {
            register(&server, member.name.clone(), wire.peer);
            wire.out.push(text::connected(member.online.iter()).as_bytes());
            Session::lines(server, take_online(member), wire)
        }
        Entrant::Book(_) => {
            let book = client_book(&server, &member, wire.peer).await;
            wire.out.push(book.as_bytes());
            Session::lines(server, take_online(member), wire)
        }
        Entrant::Native(hello) => {
            register(&server, member.name.clone(), wire.peer);
            let welcome = welcome(&server, &member, &hello).await;
            wire.out.push(&native_dialect::welcome(welcome));
            Session::native(server, take_online(member), wire, &hello)
        }
    };
    session.run().await;
}

/// The list was for the greeting; a session lives long.
fn take_online(mut member: Membership) -> Membership {
    member.online = Vec::new();
    member
}

async fn welcome(server: &Server, member: &Membership, hello: &Hello) -> Welcome {
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
        online: member.online.clone(),
        conversations,
        durability: server.backend.durability(),
    }
}

/// Everybody ever registered, the newcomer included, and who is online without being in the book yet: nobody waits for that
/// to be noted. While the store does not answer, everybody online.
async fn client_book(server: &Server, member: &Membership, peer: SocketAddr) -> String {
    let read = async {
        server.backend.api.register(member.name.clone(), Some(peer.to_string())).await?;
        server.backend.read_once(server.backend.api.users()).await
    };
    match tokio::time::timeout(BOOK_TIMEOUT, read).await {
        Ok(Ok(users)) => {
            let registered: HashSet<&UserName> = users.iter().map(|user| &user.name).collect();
            let unlisted = member.online.iter().filter(|name| !registered.contains(name));
            book::client_book(users.iter().map(|user| &user.name).chain(unlisted))
        }
        Ok(Err(_)) | Err(_) => book::client_book(member.online.iter()),
    }
}

/// Notes the login in the book of users; nobody waits for it.
fn register(server: &Arc<Server>, name: UserName, peer: SocketAddr) {
    let task_server = Arc::clone(server);
    server.tasks.spawn(async move {
        let server = task_server;
        let register = || server.backend.api.register(name.clone(), Some(peer.to_string()));
        tokio::select! {
            () = server.backend.read(register) => {}
            () = server.shutdown.cancelled() => {}
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, B, C, D, E, F: Future>(_: impl Fn(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    fn greeting_size<A, B, C, D, F: Future>(_: impl Fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_session_is_small() {
        let size = size(serve) + greeting_size(greet) + size_of::<Wire>();
        assert!(size < 8 * 1024, "{size} bytes");
    }
}
