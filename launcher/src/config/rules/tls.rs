//! What belongs together where servers speak TLS.

use std::net::SocketAddr;

use crate::config::exposure::exposed;
use crate::config::settings::Settings;

/// Each with its key.
pub(super) fn check(settings: &Settings) -> Vec<(String, String)> {
    let tls = &settings.tls;
    let mut found: Vec<(&str, &str)> = Vec::new();
    match (&tls.certificate, &tls.key) {
        (Some(_), None) => {
            found.push(("tls.key", "is missing, and tls.certificate is set; set both, or neither"))
        }
        (None, Some(_)) => {
            found.push(("tls.certificate", "is missing, and tls.key is set; set both, or neither"))
        }
        (None, None) => {
            let what = "needs a certificate: set tls.certificate and tls.key; 'launcher tls self-signed' makes a pair";
            found.extend(encrypted(settings).into_iter().map(|(key, _)| (key, what)));
        }
        (Some(_), Some(_)) => {}
    }
    let found = found.into_iter().map(|(key, what)| (key.to_owned(), what.to_owned()));
    found.chain(exposures(settings)).collect()
}

/// Plain ports that other machines can reach, and that nobody has allowed.
fn exposures(settings: &Settings) -> impl Iterator<Item = (String, String)> {
    exposed(settings).into_iter().filter(|port| !port.is_allowed).map(|port| {
        let (encrypted, permission) = (port.encrypted, port.permission);
        let what = format!(
            "is open to other machines and not encrypted; set {encrypted} in its place ('launcher tls self-signed' makes a certificate), \
             or allow it with {permission} = true if the network is yours or a TLS proxy is before it"
        );
        (port.key.to_owned(), what)
    })
}

/// The ports with TLS, each with its key.
fn encrypted(settings: &Settings) -> Vec<(&'static str, SocketAddr)> {
    let (chat, web, api) = (&settings.chat_server, &settings.web_adapter, &settings.message_api);
    let ports = [
        ("chat-server.tls-listen", chat.tls_listen),
        ("chat-server.tls-book-listen", chat.tls_book_listen),
        ("web-adapter.tls-listen", web.tls_listen),
        ("message-api.tls-listen", api.tls_listen),
    ];
    ports.into_iter().filter_map(|(key, address)| Some((key, address?))).collect()
}
