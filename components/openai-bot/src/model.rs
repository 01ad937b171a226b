//! A client of the model's endpoint: one question, one answer, however long that takes within its limits.
//!
//! The life of a question: posted with `stream: true` → tried again while the endpoint says so and not a word has come → words
//! are collected as they come → the answer is whole, or broke off for a reason that is told with it. Redirects are not
//! followed, so that the key goes to the configured endpoint and nowhere else.

use std::time::{Duration, SystemTime};

use kit::Secret;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use tokio::time::{Instant, timeout_at};

use crate::Config;
use crate::completion::{self, Completion, Finish, Message, Piece};
use crate::retry::{self, Retries};
use crate::sse::Decoder;

/// What is read of an error's body, for the word that tells what is wrong.
const ERROR_BYTES: usize = 16 * 1024;
/// The body of an endpoint that does not stream: a long answer with every character escaped.
const WHOLE_BYTES: usize = 4 * 1024 * 1024;

/// Asks one endpoint for one model's answers. Cheap to share behind an `Arc`; its connections are kept.
#[derive(Debug)]
pub(crate) struct Model {
    http: reqwest::Client,
    endpoint: Url,
    authorization: Option<HeaderValue>,
    name: String,
    first_token: Duration,
    idle: Duration,
    total: Duration,
    max_bytes: usize,
}

/// What the model said.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// Why there is no more of it, when it is not whole.
    pub(crate) broke_off: Option<BrokeOff>,
}

/// Why an answer is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokeOff {
    /// The connection broke, or the endpoint gave up.
    Connection,
    /// Not a word for too long.
    Silence,
    /// The whole took too long.
    Time,
    /// It got as long as an answer may be here, or as the model may answer.
    Length,
    /// The endpoint held the rest back.
    Filtered,
}

/// Why there is no answer at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ModelError {
    #[error("reach the endpoint")]
    Unreachable,
    #[error("use the endpoint with this key: status {0}")]
    Key(u16),
    #[error("pay for an answer: the account has no credit")]
    NoCredit,
    #[error("find the model or the endpoint: status 404")]
    NotFound,
    #[error("follow the endpoint elsewhere: status {0}")]
    Redirect(u16),
    #[error("get a turn: the endpoint has too much to do")]
    Busy {
        /// When it may have less to do.
        after: Option<Duration>,
    },
    #[error("get an answer: status {status}, code {code:?}")]
    Refused { status: u16, code: Option<String> },
    #[error("get the first word in time")]
    Slow,
    #[error("understand the endpoint, which does not speak this protocol")]
    Malformed,
    #[error("get a single word: the answer is empty")]
    Empty,
    #[error("get a single word: the answer is held back")]
    Filtered,
}

/// How one try went wrong, and whether another one may go better.
struct Failed {
    error: ModelError,
    again: bool,
    after: Option<Duration>,
}

impl Failed {
    fn for_good(error: ModelError) -> Self {
        Self { error, again: false, after: None }
    }

    fn for_now(error: ModelError) -> Self {
        Self { error, again: true, after: None }
    }
}

impl Model {
    /// A client for `endpoint`.
    ///
    /// # Errors
    /// When the key holds what no header can.
    pub(crate) fn new(config: &Config, endpoint: Url, key: &Secret) -> Result<Self, BadKey> {
        Ok(Self {
            http: client(config, &endpoint),
            endpoint,
            authorization: authorization(key)?,
            name: config.model.clone(),
            first_token: config.first_token_timeout,
            idle: config.idle_timeout,
            total: config.total_timeout,
            max_bytes: config.max_reply_bytes,
        })
    }

    /// The model's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Asks, and collects the answer.
    ///
    /// # Errors
    /// When not a word came; see [`ModelError`].
    pub(crate) async fn ask(&self, messages: &[Message]) -> Result<Answer, ModelError> {
        let mut answer = Answer::default();
        let deadline = Instant::now() + self.total;
        let result = timeout_at(deadline, self.try_often(messages, &mut answer)).await;
        if answer.text.trim().is_empty() {
            let filtered = answer.broke_off == Some(BrokeOff::Filtered);
            let empty = if filtered { ModelError::Filtered } else { ModelError::Empty };
            return Err(result.unwrap_or(Err(ModelError::Slow)).err().unwrap_or(empty));
        }
        match result {
            Ok(Ok(())) => {}
            // A word has come, so whatever went wrong since broke the answer off.
            Ok(Err(_)) => answer.broke_off = Some(BrokeOff::Connection),
            Err(_) => answer.broke_off = Some(BrokeOff::Time),
        }
        Ok(answer)
    }

    async fn try_often(&self, messages: &[Message], answer: &mut Answer) -> Result<(), ModelError> {
        let mut retries = Retries::default();
        loop {
            let Err(failed) = self.try_once(messages, answer).await else { return Ok(()) };
            if !failed.again || !answer.text.is_empty() {
                return Err(failed.error);
            }
            let Some(wait) = retries.next(failed.after) else { return Err(failed.error) };
            tracing::info!(error = %failed.error, wait_ms = wait.as_millis(), "the model is asked again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn try_once(&self, messages: &[Message], answer: &mut Answer) -> Result<(), Failed> {
        let first = Instant::now() + self.first_token;
        let body = Completion { model: &self.name, messages, stream: true };
        let request = self.http.post(self.endpoint.clone()).json(&body);
        let request = match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        };
        let slow = |_| Failed::for_good(ModelError::Slow);
        let response = timeout_at(first, request.send()).await.map_err(slow)?;
        let response = response.map_err(|_| Failed::for_now(ModelError::Unreachable))?;
        if response.status() != StatusCode::OK {
            return Err(timeout_at(first, refusal(response)).await.unwrap_or_else(slow));
        }
        if is_kind(&response, "text/html") {
            // The page of a proxy or of a hotel's network.
            return Err(Failed::for_good(ModelError::Malformed));
        }
        if is_kind(&response, "application/json") {
            let whole = read_whole(response, WHOLE_BYTES);
            let whole = timeout_at(first, whole).await.map_err(slow)?;
            return self.take_whole(&whole.ok_or(Failed::for_now(ModelError::Unreachable))?, answer);
        }
        self.read_stream(response, first, answer).await
    }

    /// An endpoint that does not stream sends everything at once.
    fn take_whole(&self, body: &[u8], answer: &mut Answer) -> Result<(), Failed> {
        let malformed = || Failed::for_good(ModelError::Malformed);
        let text = std::str::from_utf8(body).map_err(|_| malformed())?;
        match completion::parse(text).map_err(|_| malformed())? {
            Piece::Words { text, finish, .. } => self.take_words(&text, finish, answer),
            Piece::Done => {}
            Piece::Failed => return Err(Failed::for_now(ModelError::Busy { after: None })),
        }
        Ok(())
    }

    async fn read_stream(
        &self,
        mut response: Response,
        first: Instant,
        answer: &mut Answer,
    ) -> Result<(), Failed> {
        let mut decoder = Decoder::default();
        // Comments that only keep the connection open are no sign of a model at work, so they move no deadline.
        let mut deadline = first;
        let mut finished = false;
        loop {
            let Ok(chunk) = timeout_at(deadline, response.chunk()).await else {
                return self.fell_silent(answer);
            };
            let Ok(Some(chunk)) = chunk else {
                // Some endpoints close after the last word without saying that it was the last.
                return if finished { Ok(()) } else { Err(Failed::for_now(ModelError::Unreachable)) };
            };
            let malformed = Failed::for_good(ModelError::Malformed);
            let Ok(events) = decoder.feed(&chunk) else { return Err(malformed) };
            for event in events {
                match completion::parse(&event).map_err(|_| Failed::for_good(ModelError::Malformed))? {
                    Piece::Done => return Ok(()),
                    Piece::Failed => return Err(Failed::for_now(ModelError::Busy { after: None })),
                    Piece::Words { text, thinking, finish } => {
                        if thinking || !text.is_empty() {
                            deadline = Instant::now() + self.idle;
                        }
                        self.take_words(&text, finish, answer);
                        finished |= finish.is_some();
                    }
                }
                if answer.broke_off.is_some() {
                    return Ok(());
                }
            }
        }
    }

    fn fell_silent(&self, answer: &mut Answer) -> Result<(), Failed> {
        if answer.text.is_empty() {
            return Err(Failed::for_good(ModelError::Slow));
        }
        answer.broke_off = Some(BrokeOff::Silence);
        Ok(())
    }

    /// Words past the longest answer are dropped, and the answer is at its end.
    fn take_words(&self, text: &str, finish: Option<Finish>, answer: &mut Answer) {
        let room = self.max_bytes - answer.text.len();
        if text.len() > room {
            let end = (0..=room).rev().find(|at| text.is_char_boundary(*at)).expect("0 is a boundary");
            answer.text.push_str(&text[..end]);
            answer.broke_off = Some(BrokeOff::Length);
            return;
        }
        answer.text.push_str(text);
        match finish {
            Some(Finish::Length) => answer.broke_off = Some(BrokeOff::Length),
            Some(Finish::Filtered) => answer.broke_off = Some(BrokeOff::Filtered),
            Some(Finish::Whole) | None => {}
        }
    }
}

/// What goes to an endpoint: over no proxy where it is on this machine, and nowhere else, wherever it may point us.
pub(crate) fn client(config: &Config, endpoint: &Url) -> reqwest::Client {
    let builder = reqwest::Client::builder()
        .connect_timeout(config.connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("p2p-chat/", env!("CARGO_PKG_VERSION")))
        .tcp_nodelay(true);
    let builder = if is_local(endpoint) { builder.no_proxy() } else { builder };
    builder.build().expect("a client can always be built once TLS is installed")
}

/// The header that shows the key.
pub(crate) fn authorization(key: &Secret) -> Result<Option<HeaderValue>, BadKey> {
    match key.expose().trim() {
        // A server at home wants none.
        "" => Ok(None),
        key => {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| BadKey)?;
            value.set_sensitive(true);
            Ok(Some(value))
        }
    }
}

/// The key cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("OPENAI_API_KEY holds characters that no key has, such as a line end in its middle")]
pub(crate) struct BadKey;

/// A proxy has no business between us and a model on this machine.
fn is_local(endpoint: &Url) -> bool {
    let host = endpoint.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_kind(response: &Response, kind: &str) -> bool {
    let header = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    header.is_some_and(|header| header.to_ascii_lowercase().starts_with(kind))
}

/// What an answer other than 200 means.
async fn refusal(response: Response) -> Failed {
    let status = response.status();
    let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let after = header.and_then(|value| retry::after(value, SystemTime::now()));
    let code = read_whole(response, ERROR_BYTES).await.and_then(|body| completion::error_code(&body));
    let error = match (status.as_u16(), code) {
        (401 | 403, _) => ModelError::Key(status.as_u16()),
        (402, _) => ModelError::NoCredit,
        (404, _) => ModelError::NotFound,
        (300..=399, _) => ModelError::Redirect(status.as_u16()),
        (429, Some(code)) if code == "insufficient_quota" => ModelError::NoCredit,
        (408 | 409 | 429 | 500..=599, _) => ModelError::Busy { after },
        (status, code) => ModelError::Refused { status, code },
    };
    let again = retry::is_worth_it(status) && error != ModelError::NoCredit;
    Failed { error, again, after }
}

/// A body of at most `most` bytes; what is longer, or breaks off, is none.
async fn read_whole(mut response: Response, most: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > most {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}
