//! What can be wrong with the program and the webhook that are told of events.

use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::config::secrecy::TOO_SHORT;
use crate::config::settings::LauncherConfig;

/// The keys whose values may be secrets and are not shown.
pub(super) const SECRET: [&str; 2] = ["launcher.webhook", "launcher.webhook-token"];

/// Each with its key.
pub(super) fn check(launcher: &LauncherConfig) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut complain = |key: &str, what: &str| found.push((key.to_owned(), what.to_owned()));
    if launcher.on_event.first().is_some_and(String::is_empty) {
        complain("launcher.on-event", "names no program; write on-event = [\"program\", \"argument\"]");
    }
    if let Some(url) = &launcher.webhook {
        let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        if Url::parse(url.expose()).ok().filter(is_web).is_none() {
            complain(SECRET[0], "must be a URL, http://HOST/PATH or https://HOST/PATH");
        }
    }
    if let Some(token) = &launcher.webhook_token {
        if launcher.webhook.is_none() {
            complain(SECRET[1], "is set, and launcher.webhook is not; set both, or neither");
        }
        if HeaderValue::from_str(&format!("Bearer {}", token.expose())).is_err() {
            complain(SECRET[1], "has characters that no HTTP header may have");
        } else if token.expose().len() < kit::secret::SHORTEST {
            complain(SECRET[1], TOO_SHORT);
        }
    }
    found
}
