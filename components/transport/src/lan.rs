//! A client of a lan-peer on this machine, as the terminal uses it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use protocol::lan::view::{Check, Entry, Overview, Problem, Send, SetTrust};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;

/// Time limit of a request; long, because the parts of a long text are sent one after another.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A client of one lan-peer.
#[derive(Debug, Clone)]
pub struct LanClient {
    http: reqwest::Client,
    base: Url,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum LanError {
    /// The lan-peer does not answer.
    #[error("lan-peer does not answer; start it with 'launcher --lan' or 'launcher run lan-peer'")]
    Unreachable(#[source] reqwest::Error),
    /// The lan-peer rejected the request.
    #[error("{0}")]
    Refused(String),
}

impl LanClient {
    /// A client for the page's address.
    ///
    /// # Panics
    /// When no TLS implementation was installed; see [`kit::context::install_tls`].
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        let http = crate::http::unencrypted(|it| it);
        Self { http, base: crate::url::base(address, &["api", "v1"]) }
    }

    /// This node and all known peers.
    ///
    /// # Errors
    /// See [`LanError`].
    pub async fn overview(&self) -> Result<Overview, LanError> {
        self.json(self.get("overview")).await
    }

    /// Sends a message; returns its delivery state.
    ///
    /// # Errors
    /// See [`LanError`].
    pub async fn send(&self, request: &Send) -> Result<Entry, LanError> {
        self.json(self.request(Method::POST, "send").json(request)).await
    }

    /// Sets how far a node is trusted.
    ///
    /// # Errors
    /// See [`LanError`].
    pub async fn trust(&self, request: &SetTrust) -> Result<(), LanError> {
        let request = self.request(Method::POST, "trust").json(request).timeout(REQUEST_TIMEOUT);
        self.answer(request).await.map(drop)
    }

    /// The doctor's checks: why no peers are found.
    ///
    /// # Errors
    /// See [`LanError`].
    pub async fn doctor(&self) -> Result<Vec<Check>, LanError> {
        self.json(self.get("doctor")).await
    }

    /// Our link as a QR code for a terminal.
    ///
    /// # Errors
    /// See [`LanError`].
    pub async fn qr(&self) -> Result<String, LanError> {
        let answer = self.answer(self.get("qr.txt").timeout(REQUEST_TIMEOUT)).await?;
        answer.text().await.map_err(LanError::Unreachable)
    }

    /// Subscribes to events, as server-sent events.
    ///
    /// # Errors
    /// See [`LanError`].
    pub async fn events(&self) -> Result<impl Stream<Item = Result<Bytes, LanError>> + Unpin, LanError> {
        let answer = self.answer(self.get("events")).await?;
        Ok(Box::pin(answer.bytes_stream().map_err(LanError::Unreachable)))
    }

    fn get(&self, what: &str) -> RequestBuilder {
        self.request(Method::GET, what)
    }

    fn request(&self, method: Method, what: &str) -> RequestBuilder {
        let url = crate::url::below(&self.base, &[what]).expect("our own words are segments of a path");
        self.http.request(method, url)
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, LanError> {
        let answer = self.answer(request.timeout(REQUEST_TIMEOUT)).await?;
        answer.json().await.map_err(LanError::Unreachable)
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Response, LanError> {
        let answer = request.send().await.map_err(LanError::Unreachable)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let problem =
            answer.json::<Problem>().await.map_or_else(|_| status.to_string(), |problem| problem.detail);
        Err(LanError::Refused(problem))
    }
}
