//! The configurations of `docs/reverse-proxies.md`, each run by the proxy it is for: nginx, Caddy and Apache between a browser, `curl` or
//! `openssl` and the chat. Only names, ports and certificates are others.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chat;
mod page;
mod proxy;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/webdriver.rs"]
mod webdriver;
