//! A client of the message API. One call is one request over a kept connection; nothing is tried again here, for only the
//! caller knows whether that is safe.

pub(crate) mod error;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use kit::Secret;
use protocol::api::{
    AppendRequest, AppendResponse, Call, Conversations, CursorMove, CursorMoves, EventPage, FeedPosition,
    Problem, StateEntries, StateValue, UnseenPage, User, Users,
};
use protocol::{ConversationId, Draft, UserName};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use error::ApiError;

use crate::feed::{Feed, FeedError};

/// A request may take this long; an append waits for a disk, or for a majority of replicas.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The message API is on this machine or the next one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Speaks to one message API. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct ApiClient {
    http: reqwest::Client,
    base: Url,
    token: Secret,
}

/// Which part of a conversation to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Range {
    /// The events after this one, oldest first.
    After(u64),
    /// The newest events before this one; of the whole conversation where `None`.
    Before(Option<u64>),
}

impl ApiClient {
    /// A client for the message API at `address`.
    ///
    /// # Panics
    /// When no TLS implementation was installed; see [`kit::context::install_tls`].
    #[must_use]
    pub fn new(address: SocketAddr, token: Secret) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .expect("a client without files or proxies can always be built once TLS is installed");
        Self { http, base: crate::url::base(address, &["v1"]), token }
    }

    /// Asks; the question's type says what is answered.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn call<C: Call>(&self, call: &C) -> Result<C::Answer, ApiError> {
        let path: Vec<&str> = C::PATH.split('/').skip(2).collect();
        let request = self.lasting(Method::POST, &path)?.json(call);
        self.fetch(if C::LASTS { request } else { request.timeout(REQUEST_TIMEOUT) }).await
    }

    /// Stores a batch, in order. When this returns, all of it is durable.
    ///
    /// # Errors
    /// See [`ApiError`]; the same drafts may be sent again, for they carry their ids.
    pub async fn append(&self, drafts: Vec<Draft>) -> Result<AppendResponse, ApiError> {
        self.call(&AppendRequest { drafts }).await
    }

    /// A page of what a user has not seen, oldest first; `after` is the last page's `next`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn unseen(
        &self,
        user: &UserName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<UnseenPage, ApiError> {
        let request =
            self.request(Method::GET, &["users", user.as_str(), "unseen"])?.query(&[("limit", limit)]);
        let request = if let Some(after) = after { request.query(&[("after", after)]) } else { request };
        self.fetch(request).await
    }

    /// A user's conversations, the most recent first.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn conversations(&self, user: &UserName) -> Result<Conversations, ApiError> {
        self.get(&["users", user.as_str(), "conversations"]).await
    }

    /// A page of a conversation.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn events(
        &self,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> Result<EventPage, ApiError> {
        let request = self
            .request(Method::GET, &["conversations", conversation.as_str(), "events"])?
            .query(&[("limit", limit)]);
        let request = match range {
            Range::After(seq) => request.query(&[("after", seq)]),
            Range::Before(Some(seq)) => request.query(&[("before", seq)]),
            Range::Before(None) => request,
        };
        self.fetch(request).await
    }

    /// Moves cursors forward.
    ///
    /// # Errors
    /// See [`ApiError`]; moving a cursor twice is harmless.
    pub async fn move_cursors(&self, moves: Vec<CursorMove>) -> Result<(), ApiError> {
        self.call(&CursorMoves { moves }).await.map(drop)
    }

    /// A page of those who ever registered, in order of first registration, behind the one of this number.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn users(&self, after: u64) -> Result<Users, ApiError> {
        self.fetch(self.request(Method::GET, &["users"])?.query(&[("after", after)])).await
    }

    /// Everybody who ever registered.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn all_users(&self) -> Result<Vec<User>, ApiError> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = self.users(after).await?;
            all.extend(page.users);
            if !page.more {
                return Ok(all);
            }
            after = page.last;
        }
    }

    /// What a service keeps between its runs.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn state(&self, owner: &UserName) -> Result<StateEntries, ApiError> {
        self.get(&["state", owner.as_str()]).await
    }

    /// Keeps a value under a user's name, or forgets it with `None`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn put_state(
        &self,
        owner: &UserName,
        key: &UserName,
        value: Option<serde_json::Value>,
    ) -> Result<(), ApiError> {
        let request = self.request(Method::PUT, &["state", owner.as_str(), key.key()])?;
        let request = request.json(&StateValue { value });
        self.fetch::<serde_json::Value>(request).await.map(drop)
    }

    /// Everything that is kept, as the lines of a backup, chunk by chunk.
    ///
    /// # Errors
    /// See [`ApiError`]. Only the last line says that the backup is whole.
    pub async fn backup(&self) -> Result<impl Stream<Item = Result<Bytes, ApiError>>, ApiError> {
        let request = self.lasting(Method::GET, &["backup"])?;
        let response = check(request.send().await.map_err(ApiError::Unreachable)?).await?;
        Ok(response.bytes_stream().map_err(ApiError::Unreachable))
    }

    /// Why the message API is not ready, where it is not.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn unready(&self) -> Result<Option<String>, ApiError> {
        let mut url = self.base.clone();
        url.set_path("/readyz");
        let response = self.http.get(url).timeout(REQUEST_TIMEOUT).send().await;
        let response = response.map_err(ApiError::Unreachable)?;
        if response.status().is_success() {
            return Ok(None);
        }
        let text = response.text().await.map_err(ApiError::Unreachable)?;
        let reason = text.trim().strip_prefix("not ready: ").unwrap_or(text.trim()).to_owned();
        Ok(Some(reason))
    }

    /// Opens the feed right after `position`, or at its present end.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn feed(&self, position: Option<FeedPosition>) -> Result<Feed, FeedError> {
        let request = self.lasting(Method::GET, &["feed"])?;
        let request = match position {
            Some(FeedPosition { epoch, index }) => {
                request.query(&[("epoch", epoch.to_string()), ("after", index.to_string())])
            }
            None => request,
        };
        let response = check(request.send().await.map_err(ApiError::Unreachable)?).await?;
        Ok(Feed::new(response))
    }

    async fn get<A: DeserializeOwned>(&self, path: &[&str]) -> Result<A, ApiError> {
        self.fetch(self.request(Method::GET, path)?).await
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, ApiError> {
        Ok(self.lasting(method, path)?.timeout(REQUEST_TIMEOUT))
    }

    /// A request that may take as long as it takes.
    fn lasting(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, ApiError> {
        let url =
            crate::url::below(&self.base, path).map_err(|error| ApiError::Refused(error.to_string()))?;
        Ok(self.http.request(method, url).bearer_auth(self.token.expose()))
    }

    async fn fetch<A: DeserializeOwned>(&self, request: RequestBuilder) -> Result<A, ApiError> {
        let response = check(request.send().await.map_err(ApiError::Unreachable)?).await?;
        response.json().await.map_err(|error| {
            // A body that broke off is a broken connection, not a wrong answer.
            if error.is_decode() { ApiError::Malformed(error) } else { ApiError::Unreachable(error) }
        })
    }
}

async fn check(response: Response) -> Result<Response, ApiError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let detail = match response.json::<Problem>().await {
        Ok(problem) => problem.detail,
        Err(_) => status.to_string(),
    };
    Err(if is_passing(status) { ApiError::Unavailable(detail) } else { ApiError::Refused(detail) })
}

/// Whether a status says that the same request may be answered otherwise later (RFC 9110; 425: RFC 8470; 429: RFC 6585).
fn is_passing(status: StatusCode) -> bool {
    let later = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_server_error() || later.contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_change_is_asked_again() {
        let passing = |code: u16| is_passing(StatusCode::from_u16(code).unwrap());
        assert!([408, 425, 429, 500, 502, 503, 504].into_iter().all(passing));
        assert!(![400, 401, 403, 404, 405, 409, 410, 413, 422, 431].into_iter().any(passing));
    }
}
