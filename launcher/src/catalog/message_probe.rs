//! Liveness of the chat server and the message API, probed with a message unless the operator configures another probe.
//!
//! Probed by our own process: a message costs about 2 ms of CPU time, and starting a program for it would cost 3 ms more. A message that is
//! rejected in time is a remark and no failure: if the store is unavailable or the disk is full, a restart does not help.

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
use crate::supervisor::{Call, PendingProbe, ProbeMethod, ProbeResult, ProbeSpec};

/// The interval of probes.
const INTERVAL: Duration = Duration::from_secs(30);
/// The chat server answers a sender within a second.
const CHAT_TIMEOUT: Duration = Duration::from_secs(10);
/// A store without a majority reports that only after several timeouts of its own, of several seconds each; that must not count as silence.
const STORE_TIMEOUT: Duration = Duration::from_secs(30);

/// The liveness probe of a component.
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
        // A program that replaces it need not speak its protocol.
        None if loaded.settings.commands.contains_key(component.name) => return None,
        None => ProbeConfig::default(),
    };
    let message = component.message?;
    Some(ProbeSpec {
        ask: ProbeMethod::Call(message.call(&loaded.settings, &process.token)),
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
    let ask = move |within| -> PendingProbe {
        let asked = ask(address, within);
        Box::pin(async move { answered(asked.await) })
    };
    Call { name: format!("a message {how} {address}"), ask: Arc::new(ask) }
}

fn answered(result: Result<(), ProbeError>) -> ProbeResult {
    match result {
        Ok(()) => Ok(None),
        Err(error) if error.is_refusal() => Ok(Some(error.to_string())),
        Err(error) => Err(error.to_string()),
    }
}
