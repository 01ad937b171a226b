//! The entries of the catalog.

use std::net::SocketAddr;

use kit::listen::reachable;
use kit::{Context, Exit, Failure, Running, Secret};
use protocol::UserName;

use super::addresses::{api, chat_address as chat};
use super::component::{Component, MessageProbe, Runtime};
use crate::config::Settings;

/// Every component, in start order.
pub(super) static COMPONENTS: [Component; 6] = [
    Component {
        name: "message-api",
        purpose: "stores the messages, serves HTTP",
        runtime: Runtime::Threads,
        needs: &[],
        settings: &["message-api", "tls", "store", "thermometer.name", "openai-bot.name"],
        listeners: |settings| with_tls(settings.message_api.listen, settings.message_api.tls_listen),
        address: |settings| format!("http://{}", reachable(settings.message_api.listen)),
        disabled_reason: |_, _| None,
        flag: None,
        usage_hint: |settings| Some(("api", format!("http://{}/docs", api(settings)))),
        needs_api_key: false,
        env: &[],
        message: Some(MessageProbe::IntoStore),
        run: message_api,
    },
    Component {
        name: "chat-server",
        purpose: "takes in and delivers messages over TCP",
        runtime: Runtime::Threads,
        needs: &["message-api"],
        settings: &["chat-server", "tls", "message-api.listen", "thermometer.name", "openai-bot.name"],
        listeners: |settings| {
            let chat = &settings.chat_server;
            let book = chat.book.then_some(("book-listen", chat.book_listen));
            let http = chat.http_listen.map(|address| ("http-listen", address));
            let tls_book =
                chat.tls_book_listen.filter(|_| chat.book).map(|address| ("tls-book-listen", address));
            with_tls(chat.listen, chat.tls_listen)
                .into_iter()
                .chain(book)
                .chain(tls_book)
                .chain(http)
                .collect()
        },
        address: |settings| reachable(settings.chat_server.listen).to_string(),
        disabled_reason: |_, _| None,
        flag: None,
        usage_hint: |settings| {
            let address = chat(settings);
            Some(("chat", format!("nc {} {}   or: launcher chat", address.ip(), address.port())))
        },
        needs_api_key: false,
        env: &[],
        message: Some(MessageProbe::ThroughChat),
        run: chat_server,
    },
    Component {
        name: "web-adapter",
        purpose: "serves the page",
        runtime: Runtime::OneThread,
        needs: &["chat-server"],
        settings: &["web-adapter", "tls", "chat-server.listen"],
        listeners: |settings| with_tls(settings.web_adapter.listen, settings.web_adapter.tls_listen),
        address: |settings| format!("http://{}", reachable(settings.web_adapter.listen)),
        disabled_reason: |_, _| None,
        flag: Some("--no-web"),
        usage_hint: |settings| Some(("page", format!("http://{}", reachable(settings.web_adapter.listen)))),
        needs_api_key: false,
        // From 32 KiB on glibc allocates separate pages (`mallopt(3)`): memory that is reserved for a frame's announced length costs
        // nothing before it arrives. Heap pages could have been used before.
        env: &[("MALLOC_MMAP_THRESHOLD_", "32768")],
        message: None,
        run: web_adapter,
    },
    Component {
        name: "thermometer",
        purpose: "tells the temperature",
        runtime: Runtime::OneThread,
        needs: &["chat-server"],
        settings: &["thermometer", "chat-server.listen", "message-api.listen"],
        listeners: |_| Vec::new(),
        address: |settings| format!("user {}", settings.thermometer.name),
        disabled_reason: |settings, _| switched_off("thermometer", settings.thermometer.enabled),
        flag: Some("--no-thermometer"),
        usage_hint: |_| None,
        needs_api_key: false,
        env: &[],
        message: None,
        run: thermometer,
    },
    Component {
        name: "openai-bot",
        purpose: "answers questions with a language model",
        runtime: Runtime::OneThread,
        needs: &["chat-server"],
        settings: &["openai-bot", "chat-server.listen", "message-api.listen"],
        listeners: |_| Vec::new(),
        address: |settings| format!("user {}", settings.openai_bot.name),
        disabled_reason: |settings, has_key| {
            switched_off("openai-bot", settings.openai_bot.enabled).or_else(|| (!has_key).then(no_key))
        },
        flag: Some("--no-openai"),
        usage_hint: |_| None,
        needs_api_key: true,
        env: &[],
        message: None,
        run: openai_bot,
    },
    Component {
        name: "lan-peer",
        purpose: "talks with machines on the same network, without a server",
        runtime: Runtime::OneThread,
        needs: &[],
        settings: &["lan-peer"],
        listeners: |settings| match settings.lan_peer.enabled {
            true => vec![("listen", settings.lan_peer.listen)],
            false => Vec::new(),
        },
        address: |settings| format!("http://{}", settings.lan_peer.listen),
        disabled_reason: |settings, _| {
            (!settings.lan_peer.enabled)
                .then(|| "off unless asked for: --lan, or lan-peer.enabled = true".to_owned())
        },
        flag: None,
        usage_hint: |settings| Some(("lan", format!("http://{}", settings.lan_peer.listen))),
        needs_api_key: false,
        env: &[],
        message: None,
        run: lan_peer,
    },
];

/// A server's address, and the one with TLS if it has one.
fn with_tls(listen: SocketAddr, tls: Option<SocketAddr>) -> Vec<(&'static str, SocketAddr)> {
    [("listen", listen)].into_iter().chain(tls.map(|address| ("tls-listen", address))).collect()
}

fn switched_off(name: &str, enabled: bool) -> Option<String> {
    (!enabled).then(|| format!("switched off by {name}.enabled = false"))
}

fn no_key() -> String {
    "no OPENAI_API_KEY; set it in the environment or in .env".to_owned()
}

fn message_api(settings: Settings, _: Option<Secret>, context: Context) -> Result<Running, Failure> {
    let reserved = reserved(&settings)?;
    let config = message_api::Config { tls: settings.tls, ..settings.message_api };
    Ok(message_api::run(config, settings.store, reserved, context))
}

fn chat_server(settings: Settings, _: Option<Secret>, context: Context) -> Result<Running, Failure> {
    let upstream = chat_server::Upstream { api: api(&settings), reserved: reserved(&settings)? };
    let config = chat_server::Config { tls: settings.tls, ..settings.chat_server };
    Ok(chat_server::run(config, upstream, context))
}

fn web_adapter(settings: Settings, _: Option<Secret>, context: Context) -> Result<Running, Failure> {
    let chat = chat(&settings);
    let config = web_adapter::Config { tls: settings.tls, ..settings.web_adapter };
    Ok(web_adapter::run(config, chat, context))
}

fn thermometer(settings: Settings, _: Option<Secret>, context: Context) -> Result<Running, Failure> {
    let upstream = thermometer::Upstream { chat: chat(&settings), api: api(&settings) };
    Ok(thermometer::run(settings.thermometer, upstream, context))
}

fn openai_bot(settings: Settings, key: Option<Secret>, context: Context) -> Result<Running, Failure> {
    let api_key = key.ok_or_else(|| Failure::new(Exit::Config, no_key()))?;
    let upstream = openai_bot::Upstream { chat: chat(&settings), api: api(&settings) };
    let credentials = openai_bot::Credentials { api_key };
    Ok(openai_bot::run(settings.openai_bot, upstream, credentials, context))
}

fn lan_peer(settings: Settings, _: Option<Secret>, context: Context) -> Result<Running, Failure> {
    Ok(lan_peer::run(settings.lan_peer, context))
}

/// The services' names are reserved even while they are offline.
fn reserved(settings: &Settings) -> Result<Vec<UserName>, Failure> {
    let names = [&settings.thermometer.name, &settings.openai_bot.name];
    let named = names.into_iter().map(|name| reserved_name(name)).chain([Ok(UserName::probe())]);
    named.collect::<Result<_, _>>().map_err(|error| Failure::new(Exit::Config, error))
}

/// Validates a service's name.
fn reserved_name(name: &str) -> Result<UserName, String> {
    UserName::parse(name).map_err(|error| error.to_string())
}
