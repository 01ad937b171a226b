//! A client of the message API. One call is one request over a pooled connection. Only connection attempts are repeated here: once a request
//! was sent, only the caller knows whether it is safe to send it again.

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
use uuid::Uuid;

pub use error::ApiError;

use crate::feed::{Feed, FeedError};

/// Time limit of a request; an append waits for a disk, or for a majority of replicas.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit of one connection attempt. It is shorter than the second after which the kernel repeats a lost SYN (RFC 6298 §2.1): a listen
/// queue that overflows for an instant must not cost a request that second. The message API is on this machine or nearby.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(200);
/// Attempts that may time out before the message API counts as unreachable: one second in all.
const CONNECT_ATTEMPTS: usize = 5;

/// A client of one message API. Cheap to clone; clones share their connections.
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
    /// The newest events before this one; with `None`, the newest of the conversation.
    Before(Option<u64>),
}

impl ApiClient {
    /// A client for the message API at `address`.
    ///
    /// # Panics
    /// When no TLS implementation was installed; see [`kit::context::install_tls`].
    #[must_use]
    pub fn new(address: SocketAddr, token: Secret) -> Self {
        let http = crate::http::unencrypted(|it| it.tcp_nodelay(true).connect_timeout(CONNECT_TIMEOUT));
        Self { http, base: crate::url::base(address, &["v1"]), token }
    }

    /// Sends a request; its type defines the response.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn call<C: Call>(&self, call: &C) -> Result<C::Answer, ApiError> {
        let path: Vec<&str> = C::PATH.split('/').skip(2).collect();
        let request = self.lasting(Method::POST, &path)?.json(call);
        self.fetch(if C::NO_TIMEOUT { request } else { request.timeout(REQUEST_TIMEOUT) }).await
    }

    /// Stores a batch, in order. When this returns, all of it is durable.
    ///
    /// # Errors
    /// See [`ApiError`]; retrying with the same drafts is safe, because they have ids.
    pub async fn append(&self, drafts: Vec<Draft>) -> Result<AppendResponse, ApiError> {
        self.call(&AppendRequest { drafts, own: None }).await
    }

    /// A page of a user's unread messages, oldest first; `after` is the last page's `next`.
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

    /// A page of the registered users after this ordinal, in order of first registration.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn users(&self, after: u64) -> Result<Users, ApiError> {
        self.fetch(self.request(Method::GET, &["users"])?.query(&[("after", after)])).await
    }

    /// All registered users.
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

    /// A service's persistent state.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn state(&self, owner: &UserName) -> Result<StateEntries, ApiError> {
        self.get(&["state", owner.as_str()]).await
    }

    /// Stores a value in a service's state; `None` deletes it.
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

    /// A backup of the whole store, as a stream of chunks.
    ///
    /// # Errors
    /// See [`ApiError`]. The backup is complete only if it has the last line.
    pub async fn backup(&self) -> Result<impl Stream<Item = Result<Bytes, ApiError>>, ApiError> {
        let request = self.lasting(Method::GET, &["backup"])?;
        let response = self.send(request).await?;
        Ok(response.bytes_stream().map_err(ApiError::Unreachable))
    }

    /// Why the message API is not ready; `None` if it is.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn unready(&self) -> Result<Option<String>, ApiError> {
        let mut url = self.base.clone();
        url.set_path("/readyz");
        let request = self.http.get(url).timeout(REQUEST_TIMEOUT);
        let response = self.execute(request).await.map_err(ApiError::Unreachable)?;
        if response.status().is_success() {
            return Ok(None);
        }
        let text = response.text().await.map_err(ApiError::Unreachable)?;
        let reason = text.trim().strip_prefix("not ready: ").unwrap_or(text.trim()).to_owned();
        Ok(Some(reason))
    }

    /// Opens the feed right after `position`, or at its current end. The batches that name the reader `own` are told only as their places, if
    /// the first frame says so.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn feed(&self, position: Option<FeedPosition>, own: Option<Uuid>) -> Result<Feed, FeedError> {
        let request = self.lasting(Method::GET, &["feed"])?;
        let request = match position {
            Some(FeedPosition { epoch, index }) => {
                request.query(&[("epoch", epoch.to_string()), ("after", index.to_string())])
            }
            None => request,
        };
        let request = match own {
            Some(own) => request.query(&[("own", own.to_string())]),
            None => request,
        };
        let response = self.send(request).await?;
        Ok(Feed::new(response))
    }

    async fn get<A: DeserializeOwned>(&self, path: &[&str]) -> Result<A, ApiError> {
        self.fetch(self.request(Method::GET, path)?).await
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, ApiError> {
        Ok(self.lasting(method, path)?.timeout(REQUEST_TIMEOUT))
    }

    /// A request without a time limit.
    fn lasting(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, ApiError> {
        let url =
            crate::url::below(&self.base, path).map_err(|error| ApiError::Refused(error.to_string()))?;
        Ok(self.http.request(method, url).bearer_auth(self.token.expose()))
    }

    /// Sends a request; the response has a status of success.
    async fn send(&self, request: RequestBuilder) -> Result<Response, ApiError> {
        check(self.execute(request).await.map_err(ApiError::Unreachable)?).await
    }

    /// Sends a request, and repeats attempts to connect that time out. Nothing of the request was sent in such an attempt.
    async fn execute(&self, request: RequestBuilder) -> Result<Response, reqwest::Error> {
        let request = request.build()?;
        for _ in 1..CONNECT_ATTEMPTS {
            let copy = request.try_clone().expect("no body is a stream");
            match self.http.execute(copy).await {
                Err(error) if error.is_connect() && error.is_timeout() => {}
                other => return other,
            }
        }
        self.http.execute(request).await
    }

    async fn fetch<A: DeserializeOwned>(&self, request: RequestBuilder) -> Result<A, ApiError> {
        let response = self.send(request).await?;
        response.json().await.map_err(|error| {
            // An incomplete body is a broken connection, not a malformed response.
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
    Err(if is_retryable(status) { ApiError::Unavailable(detail) } else { ApiError::Refused(detail) })
}

/// Whether a request with this status may succeed later (RFC 9110; 425: RFC 8470; 429: RFC 6585).
fn is_retryable(status: StatusCode) -> bool {
    let later = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_server_error() || later.contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_temporary_failures_are_retried() {
        let passing = |code: u16| is_retryable(StatusCode::from_u16(code).unwrap());
        assert!([408, 425, 429, 500, 502, 503, 504].into_iter().all(passing));
        assert!(![400, 401, 403, 404, 405, 409, 410, 413, 422, 431].into_iter().any(passing));
    }
}
