//! Whether the chat server and the message API serve, found out with a message: their liveness unless the operator names another.
//!
//! Asked by our own process: a message costs about 2 ms of a processor, and starting a program for it would cost 3 ms more.
//! What is refused in time is a remark and no failure: where the store is away or the disk is full, a restart helps nobody.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kit::Secret;
use transport::probe::{self, ProbeError};

use super::addresses::{api, chat_address};
use super::component::{Component, MessageProbe};
use super::process::Process;
use super::programs;
use crate::config::{Loaded, ProbeConfig, Settings};
use crate::supervisor::{Answered, Ask, Asking, Call, ProbeSpec};

/// Between two messages.
const INTERVAL: Duration = Duration::from_secs(30);
/// The chat server tells a sender within a second what became of a message.
const CHAT_TIMEOUT: Duration = Duration::from_secs(10);
/// A store without a majority says so after some of its own timeouts, each of several seconds; that must not pass for silence.
const STORE_TIMEOUT: Duration = Duration::from_secs(30);

/// How one of ours is asked whether it lives.
pub(super) fn liveness(
    component: &Component,
    config: Option<&ProbeConfig>,
    loaded: &Loaded,
    process: &Process,
) -> Option<ProbeSpec> {
    let config = match config {
        Some(config) if config.http.is_some() || config.tcp.is_some() || config.exec.is_some() => {
            return Some(programs::probe(config));
        }
        Some(config) if config.message == Some(false) => return None,
        Some(config) => config.clone(),
        // A program in its place need not speak as it does.
        None if loaded.settings.commands.contains_key(component.name) => return None,
        None => ProbeConfig::default(),
    };
    let message = component.message?;
    Some(ProbeSpec {
        ask: Ask::Call(message.call(&loaded.settings, &process.token)),
        period: config.interval.unwrap_or(INTERVAL),
        timeout: config.timeout.unwrap_or(message.timeout()),
        successes: config.successes,
        failures: config.failures,
        start_period: config.start_period,
    })
}

impl MessageProbe {
    fn timeout(self) -> Duration {
        match self {
            Self::ThroughChat => CHAT_TIMEOUT,
            Self::IntoStore => STORE_TIMEOUT,
        }
    }

    fn call(self, settings: &Settings, token: &Secret) -> Call {
        let token = token.clone();
        match self {
            Self::ThroughChat => call("through", chat_address(settings), move |address, within| {
                let token = token.clone();
                async move { probe::chat(address, &token, within).await }
            }),
            Self::IntoStore => call("into", api(settings), move |address, within| {
                let token = token.clone();
                async move { probe::store(address, &token, within).await }
            }),
        }
    }
}

fn call<F>(
    how: &str,
    address: SocketAddr,
    ask: impl Fn(SocketAddr, Duration) -> F + Send + Sync + 'static,
) -> Call
where
    F: Future<Output = Result<(), ProbeError>> + Send + 'static,
{
    let ask = move |within| -> Asking {
        let asked = ask(address, within);
        Box::pin(async move { answered(asked.await) })
    };
    Call { name: format!("a message {how} {address}"), ask: Arc::new(ask) }
}

fn answered(result: Result<(), ProbeError>) -> Answered {
    match result {
        Ok(()) => Ok(None),
        Err(error) if error.is_refusal() => Ok(Some(error.to_string())),
        Err(error) => Err(error.to_string()),
    }
}
