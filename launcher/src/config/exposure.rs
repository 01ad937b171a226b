//! Ports of servers that other machines can reach, and that are not encrypted. Each needs `insecure = true` in its section.
//!
//! Left out: `launcher.console-listen`, which has rules of its own, ports for health and metrics, which show no messages, and lan-peer,
//! which is encrypted by itself.

use std::net::SocketAddr;

use super::settings::Settings;

/// A port without TLS that other machines can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exposed {
    /// Its key.
    pub(crate) key: &'static str,
    pub(crate) address: SocketAddr,
    /// The key that allows it, and its value.
    pub(crate) permission: &'static str,
    pub(crate) is_allowed: bool,
    /// The key of its port with TLS.
    pub(crate) encrypted: &'static str,
}

impl Exposed {
    /// What others can do, for a warning.
    pub(crate) fn risk(&self) -> String {
        format!(
            "{} = \"{}\" is open to other machines and not encrypted: whoever is on the way can read and change what is sent",
            self.key, self.address
        )
    }
}

/// All of them, allowed or not. A program that replaces a server answers for itself.
pub(crate) fn exposed(settings: &Settings) -> Vec<Exposed> {
    let (chat, web, api) = (&settings.chat_server, &settings.web_adapter, &settings.message_api);
    let port = |key, address, permission, is_allowed, encrypted| Exposed {
        key,
        address,
        permission,
        is_allowed,
        encrypted,
    };
    let main = ("chat-server.listen", "chat-server.insecure", "chat-server.tls-listen");
    let book = ("chat-server.book-listen", "chat-server.insecure", "chat-server.tls-book-listen");
    let mut ports = vec![port(main.0, chat.listen, main.1, chat.insecure, main.2)];
    if chat.book {
        ports.push(port(book.0, chat.book_listen, book.1, chat.insecure, book.2));
    }
    let page = ("web-adapter.listen", "web-adapter.insecure", "web-adapter.tls-listen");
    ports.push(port(page.0, web.listen, page.1, web.insecure, page.2));
    let rest = ("message-api.listen", "message-api.insecure", "message-api.tls-listen");
    ports.push(port(rest.0, api.listen, rest.1, api.insecure, rest.2));
    ports.retain(|port| {
        let component = port.key.split('.').next().unwrap_or_default();
        !port.address.ip().to_canonical().is_loopback() && !settings.commands.contains_key(component)
    });
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_ports_beyond_this_machine_are_exposed() {
        let mut settings = Settings::default();
        assert_eq!(exposed(&settings), []);
        settings.chat_server.listen = "[::]:5000".parse().unwrap();
        settings.chat_server.book_listen = "[::ffff:127.0.0.1]:5555".parse().unwrap();
        settings.message_api.listen = "10.0.0.7:8000".parse().unwrap();
        settings.message_api.insecure = true;
        settings.web_adapter.tls_listen = Some("0.0.0.0:8443".parse().unwrap());
        let found = exposed(&settings);
        let keys: Vec<_> = found.iter().map(|port| (port.key, port.is_allowed)).collect();
        assert_eq!(keys, [("chat-server.listen", false), ("message-api.listen", true)]);
        settings.commands.insert("chat-server".to_owned(), vec!["mine".to_owned()]);
        assert_eq!(exposed(&settings).len(), 1);
    }
}
