//! `launcher.webhook`: each event is posted to a URL as JSON, one after the other. What fails for a reason that may pass is tried again.

use std::sync::Arc;
use std::time::Duration;

use kit::Secret;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode, Url};
use tokio::sync::watch;
use transport::http::{cause, is_local, trusting_the_system};

use super::alert::Alert;
use super::backlog::Backlog;
use super::spell::Spell;
use crate::supervisor::AlertSpec;

/// How long one try may take.
const LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The waits before further tries: a restart of the server, or of a network, is bridged; what lies longer is missed.
const WAITS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// Why a try failed.
struct Failed {
    what: String,
    /// Whether the same may succeed later.
    may_pass: bool,
}

/// Posts each alert, until there are no more.
pub(super) async fn tell(alerts: Arc<Backlog>, spec: watch::Receiver<AlertSpec>) {
    let mut spell = Spell::of("launcher.webhook");
    let mut client = None;
    while let Some(alert) = alerts.take().await {
        let (url, token) = {
            let spec = spec.borrow();
            (spec.webhook.clone(), spec.token.clone())
        };
        let Some(url) = url.and_then(|url| Url::parse(url.expose()).ok()) else { continue };
        if client.as_ref().is_none_or(|(of, _)| *of != url) {
            client = build(&url).await.map(|built| (url.clone(), built));
        }
        let Some((_, client)) = &client else { continue };
        spell.note(deliver(client, &url, token.as_ref(), &alert).await);
    }
}

/// Elsewhere: it reads the system's certificates, which takes a while.
async fn build(url: &Url) -> Option<Client> {
    let is_local = is_local(url);
    let build = move || {
        kit::context::install_tls();
        trusting_the_system(|builder| {
            let builder = builder
                .connect_timeout(CONNECT_LIMIT)
                .timeout(LIMIT)
                .redirect(reqwest::redirect::Policy::none())
                .pool_max_idle_per_host(0)
                .user_agent(concat!("p2p-chat/", env!("CARGO_PKG_VERSION")));
            if is_local { builder.no_proxy() } else { builder }
        })
    };
    tokio::task::spawn_blocking(build).await.ok()
}

async fn deliver(client: &Client, url: &Url, token: Option<&Secret>, alert: &Alert) -> Result<(), String> {
    let mut waits = WAITS.iter();
    loop {
        match post(client, url, token, alert).await {
            Ok(()) => return Ok(()),
            Err(failed) => match waits.next().filter(|_| failed.may_pass) {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Err(failed.what),
            },
        }
    }
}

/// One try. What is said of a failure does not name the URL's path, which may be the secret.
async fn post(client: &Client, url: &Url, token: Option<&Secret>, alert: &Alert) -> Result<(), Failed> {
    let request = client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(alert.line());
    let request = match token {
        Some(token) => request.bearer_auth(token.expose()),
        None => request,
    };
    let host = url.host_str().unwrap_or_default();
    match request.send().await {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => {
            let status = response.status();
            Err(Failed { what: format!("{host} answered with status {status}"), may_pass: may_pass(status) })
        }
        Err(error) => Err(Failed {
            what: format!("{host} cannot be reached: {}", cause(&error, LIMIT)),
            may_pass: true,
        }),
    }
}

fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_and_nothing_else() {
        let passes = [500, 502, 503, 429, 408].map(|code| may_pass(StatusCode::from_u16(code).unwrap()));
        assert_eq!(passes, [true; 5]);
        let stays = [301, 400, 401, 404, 410].map(|code| may_pass(StatusCode::from_u16(code).unwrap()));
        assert_eq!(stays, [false; 5]);
    }
}
