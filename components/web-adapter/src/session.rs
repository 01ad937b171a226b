//! The first frame of a WebSocket selects the dialect: `hello` is native, `login` is WIRE §4.

use std::net::IpAddr;
use std::time::Duration;

use kit::{Secret, logins};
use protocol::UserName;
use protocol::account::split_token;
use protocol::native::{ErrorCode, ErrorFrame, ServerFrame};
use protocol::web::{AdapterFrame, PageFrame};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::frame::{BadFrame, Outline, error, system};
use crate::legacy::{self, User, bad_name, explain};
use crate::native;
use crate::socket::{Gone, Input, Socket, code};

/// Time limit for the login.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Most invalid frames before the connection is closed.
const MAX_ATTEMPTS: usize = 16;

/// The first frame, interpreted.
enum First {
    Native(String),
    Legacy(User, std::net::SocketAddr),
    /// Not a login; answer this and continue.
    No(Answer),
    /// Not a login; answer this and close.
    Never(Answer, u16),
    Gone,
}

/// An error in the dialect that the browser seems to use.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Native(ServerFrame),
    Legacy(AdapterFrame),
}

/// Runs one WebSocket from its first frame to its end.
pub(crate) async fn run(mut socket: Socket, client: IpAddr, app: &App) {
    match counted(greet(&mut socket, app).await, client, app) {
        First::Native(hello) => {
            native::run(socket, &hello, app.servers.own(), &app.metrics, &app.shutdown).await;
        }
        First::Legacy(user, server) => {
            legacy::run(socket, user, server, &app.lists, &app.metrics, &app.shutdown).await;
        }
        First::No(answer) => end(socket, &answer, code::POLICY).await,
        First::Never(answer, code) => end(socket, &answer, code).await,
        First::Gone => {}
    }
}

/// Counts a login towards its address's limit.
fn counted(first: First, client: IpAddr, app: &App) -> First {
    let is_native = match first {
        First::Native(_) => true,
        First::Legacy(..) => false,
        First::No(_) | First::Never(..) | First::Gone => return first,
    };
    let Err(wait) = app.logins.take(client) else { return first };
    let words = logins::refusal(wait);
    let answer = if is_native {
        let retry_after_ms = u64::try_from(wait.as_millis()).ok();
        let full = ErrorFrame { code: ErrorCode::Full, message: words, client_id: None, retry_after_ms };
        Answer::Native(ServerFrame::Error(full))
    } else {
        Answer::Legacy(system(format!("{words}.")))
    };
    First::Never(answer, code::TRY_AGAIN)
}

async fn end(mut socket: Socket, answer: &Answer, code: u16) {
    if socket.send(answer).await.is_ok() {
        socket.close(code, "no login").await;
    }
}

async fn greet(socket: &mut Socket, app: &App) -> First {
    let deadline = Instant::now() + LOGIN_TIMEOUT;
    for _ in 0..MAX_ATTEMPTS {
        let input = tokio::select! {
            () = app.shutdown.cancelled() => return First::Never(expected("the web adapter is restarting"), code::GOING_AWAY),
            input = timeout_at(deadline, socket.next()) => input,
        };
        let Ok(input) = input else {
            return First::Never(expected("no login within 10 seconds"), code::POLICY);
        };
        app.metrics.frames_in.add(1);
        match read(input, app) {
            First::No(answer) => {
                if let Err(Gone) = socket.send(&answer).await {
                    return First::Gone;
                }
            }
            other => return other,
        }
    }
    First::Never(expected("too many frames without a login"), code::POLICY)
}

fn expected(message: &str) -> Answer {
    Answer::Native(error(ErrorCode::ExpectedHello, message.to_owned()))
}

fn read(input: Input, app: &App) -> First {
    match input {
        Input::Text(text) => match Outline::parse(&text) {
            Ok(outline) => read_frame(text, outline.kind.as_deref(), app),
            Err(bad) => First::No(Answer::Native(bad.to_native())),
        },
        Input::Bad(bad) => First::No(Answer::Native(bad.to_native())),
        Input::Broken(bad, code) => First::Never(Answer::Native(BadFrame::to_native(&bad)), code),
        // No ping was sent yet.
        Input::Taken(_) | Input::Gone => First::Gone,
    }
}

fn read_frame(text: String, kind: Option<&str>, app: &App) -> First {
    match kind {
        Some("hello") => First::Native(text),
        Some("login") => login(&text, app),
        Some("chat" | "command") => First::No(Answer::Legacy(system("Log in first."))),
        Some(_) | None => First::No(Answer::Native(error(
            ErrorCode::ExpectedHello,
            "the first frame must be of type 'hello' or 'login'".to_owned(),
        ))),
    }
}

fn login(text: &str, app: &App) -> First {
    let (username, host, port) = match serde_json::from_str(text) {
        Ok(PageFrame::Login { username, server_host, server_port }) => (username, server_host, server_port),
        Ok(PageFrame::Chat { .. } | PageFrame::Command { .. }) => {
            return First::No(Answer::Legacy(system("Log in first.")));
        }
        Err(error) => return First::No(Answer::Legacy(system(explain(text, &error)))),
    };
    let (name, token) = split_token(&username);
    let user = match UserName::parse(name) {
        Ok(name) => User { name, token: token.map(|token| Secret::new(token.to_owned())) },
        Err(error) => return First::Never(Answer::Legacy(bad_name(&error)), code::POLICY),
    };
    match app.servers.find(host.as_deref(), port.as_ref()) {
        Ok(server) => First::Legacy(user, server),
        Err(error) => {
            tracing::warn!("a page asked for a chat server that is not in web-adapter.chat-servers");
            First::No(Answer::Legacy(system(error.to_string())))
        }
    }
}
