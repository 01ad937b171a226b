//! A client of the model's endpoint: one question, one answer, within time limits.
//!
//! The life of a question: posted with `stream: true` → retried if the endpoint permits it and no text has arrived → text is collected as
//! it arrives → the answer is complete, or incomplete with a reason. Redirects are not followed, so that the key is sent only to the
//! configured endpoint.

use std::time::{Duration, SystemTime};

use kit::Secret;
use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Response, StatusCode, Url};
use tokio::time::{Instant, timeout_at};

use crate::Config;
use crate::answer::{Answer, BrokeOff, Collector};
use crate::body::{BodyReader, NotAnAnswer, Part};
use crate::completion::{self, Chunk, Completion, Message};
use crate::problem::Problem;
use crate::retry::{self, Retries};
use crate::unpack::Unpacker;

/// Most bytes read of an error response.
const ERROR_BYTES: usize = 16 * 1024;
/// How long to wait for the end of the response after the answer is complete. Some endpoints never end it.
const AFTER_THE_END: Duration = Duration::from_secs(3);

/// A client for one model at one endpoint. Cheap to share behind an `Arc`; connections are pooled.
#[derive(Debug)]
pub(crate) struct Model {
    http: reqwest::Client,
    endpoint: Url,
    authorization: Option<HeaderValue>,
    key: Secret,
    name: String,
    first_token: Duration,
    idle: Duration,
    total: Duration,
    max_bytes: usize,
}

/// Why there is no answer.
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
        /// When to retry.
        after: Option<Duration>,
    },
    #[error("fit the conversation into the model's context")]
    TooLong,
    #[error("get an answer: status {status}, code {code:?}")]
    Refused {
        status: u16,
        code: Option<String>,
        /// The endpoint's text, or empty.
        says: String,
    },
    #[error("get the first word in time")]
    Slow,
    #[error("understand the endpoint, which does not speak this protocol")]
    Malformed,
    #[error("get a single word: the answer is empty")]
    Empty,
    #[error("get a single word: the model wants to use a tool")]
    Tools,
    #[error("get a single word: the answer is held back")]
    Filtered,
}

/// Why an attempt failed, and whether to retry.
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
    /// When the key contains characters that are invalid in a header.
    pub(crate) fn new(config: &Config, endpoint: Url, key: &Secret) -> Result<Self, BadKey> {
        Ok(Self {
            http: client(config, &endpoint),
            endpoint,
            authorization: authorization(key)?,
            key: key.clone(),
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

    /// Sends the request and collects the answer.
    ///
    /// # Errors
    /// When no text arrived; see [`ModelError`].
    pub(crate) async fn ask(&self, messages: &[Message]) -> Result<Answer, ModelError> {
        let deadline = Instant::now() + self.total;
        let mut collector = Collector::new(self.max_bytes);
        let result = timeout_at(deadline, self.ask_with_retries(messages, &mut collector)).await;
        let tools = collector.tools;
        let mut answer = collector.finish();
        if answer.text.trim().is_empty() {
            let error = match answer.broke_off {
                Some(BrokeOff::Filtered) => ModelError::Filtered,
                // The conversation fills the context and leaves no room for an answer.
                Some(BrokeOff::Length) => ModelError::TooLong,
                _ if tools => ModelError::Tools,
                _ => ModelError::Empty,
            };
            return Err(result.unwrap_or(Err(ModelError::Slow)).err().unwrap_or(error));
        }
        let broke_off = match result {
            Ok(Ok(())) => None,
            // Some text has arrived, so later errors make the answer incomplete.
            Ok(Err(ModelError::Refused { says, .. })) => Some(BrokeOff::Endpoint(says)),
            Ok(Err(_)) => Some(BrokeOff::Connection),
            Err(_) => Some(BrokeOff::Time),
        };
        answer.broke_off = broke_off.or(answer.broke_off);
        // The model might repeat the key.
        answer.text = self.without_key(answer.text);
        Ok(answer)
    }

    async fn ask_with_retries(
        &self,
        messages: &[Message],
        collector: &mut Collector,
    ) -> Result<(), ModelError> {
        let mut retries = Retries::default();
        loop {
            let Err(failed) = self.try_once(messages, collector).await else { return Ok(()) };
            if !failed.again || !collector.is_empty() {
                return Err(failed.error);
            }
            let Some(wait) = retries.next(failed.after) else { return Err(failed.error) };
            tracing::info!(error = %failed.error, wait_ms = wait.as_millis(), "retrying the model");
            tokio::time::sleep(wait).await;
            *collector = Collector::new(self.max_bytes);
        }
    }

    async fn try_once(&self, messages: &[Message], collector: &mut Collector) -> Result<(), Failed> {
        let first = Instant::now() + self.first_token;
        let body = Completion { model: &self.name, messages, stream: true };
        // A compressed stream would arrive later and in larger pieces.
        let request = self.http.post(self.endpoint.clone()).json(&body).header(ACCEPT_ENCODING, "identity");
        let request = match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        };
        let slow = |_| Failed::for_good(ModelError::Slow);
        let response = timeout_at(first, request.send()).await.map_err(slow)?;
        let response = response.map_err(|_| Failed::for_now(ModelError::Unreachable))?;
        if !response.status().is_success() {
            return Err(timeout_at(first, self.refusal(response)).await.unwrap_or_else(slow));
        }
        self.read(response, first, collector).await
    }

    async fn read(
        &self,
        mut response: Response,
        first: Instant,
        collector: &mut Collector,
    ) -> Result<(), Failed> {
        let mut unpacker = Unpacker::new(header(response.headers(), &CONTENT_ENCODING));
        let mut reading = Reading { model: self, body: BodyReader::default(), collector, understood: false };
        // Keep-alive comments do not show that the model is working, so they extend no deadline.
        let mut deadline = first;
        loop {
            let Ok(chunk) = timeout_at(deadline, response.chunk()).await else {
                return reading.fell_silent();
            };
            let Ok(Some(chunk)) = chunk else { return reading.end(chunk.is_ok()) };
            let mut state = State::Waits;
            unpacker.feed(&chunk, |bytes| {
                state = state.max(reading.take_bytes(bytes)?);
                Ok::<_, Failed>(())
            })?;
            let is_complete = reading.collector.is_complete();
            let patience = Instant::now() + if is_complete { AFTER_THE_END } else { self.idle };
            match state {
                State::Complete => return Ok(()),
                State::AtWork => deadline = patience,
                State::Waits if is_complete => deadline = deadline.min(patience),
                State::Waits => {}
            }
        }
    }

    /// Interprets an error response.
    async fn refusal(&self, response: Response) -> Failed {
        let status = response.status();
        let after = header(response.headers(), &RETRY_AFTER);
        let after = after.and_then(|value| retry::after(value, SystemTime::now()));
        let encoding = header(response.headers(), &CONTENT_ENCODING).map(str::to_owned);
        let problem = Problem::of_body(&read_error(response, encoding.as_deref()).await);
        let error = match status.as_u16() {
            _ if problem.is_too_long(status) => ModelError::TooLong,
            401 | 403 => ModelError::Key(status.as_u16()),
            402 => ModelError::NoCredit,
            404 => ModelError::NotFound,
            300..=399 => ModelError::Redirect(status.as_u16()),
            429 if problem.is_no_credit() => ModelError::NoCredit,
            408 | 409 | 429 | 500..=599 => ModelError::Busy { after },
            _ => self.refused(status, &problem),
        };
        let again =
            retry::is_retryable(status) && !matches!(error, ModelError::NoCredit | ModelError::TooLong);
        Failed { error, again, after }
    }

    fn refused(&self, status: StatusCode, problem: &Problem) -> ModelError {
        // The endpoint's text may repeat the key, or its beginning.
        let says = self.without_key(problem.says.clone());
        let words = says.split(' ').map(|word| if word.contains("sk-") { "***" } else { word });
        let says = words.collect::<Vec<_>>().join(" ");
        ModelError::Refused { status: status.as_u16(), code: problem.plain_code(), says }
    }

    fn without_key(&self, text: String) -> String {
        let key = self.key.expose().trim();
        if key.len() < kit::secret::SHORTEST || !text.contains(key) { text } else { text.replace(key, "***") }
    }
}

/// The progress of an answer, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// No sign yet that the model is working.
    Waits,
    AtWork,
    Complete,
}

/// A response being read.
struct Reading<'a> {
    model: &'a Model,
    body: BodyReader,
    collector: &'a mut Collector,
    /// Whether any part of an answer was recognised.
    understood: bool,
}

impl Reading<'_> {
    fn take_bytes(&mut self, bytes: &[u8]) -> Result<State, Failed> {
        let parts = self.body.feed(bytes)?;
        self.take_parts(parts)
    }

    fn take_parts(&mut self, parts: Vec<Part>) -> Result<State, Failed> {
        let mut state = State::Waits;
        for part in parts {
            state = state.max(self.take_part(part)?);
            if state == State::Complete {
                break;
            }
        }
        Ok(state)
    }

    fn take_part(&mut self, part: Part) -> Result<State, Failed> {
        let object = match part {
            Part::Done => {
                self.understood = true;
                return Ok(State::Complete);
            }
            Part::Error(data) => return Err(self.failed(&Problem::of_body(data.as_bytes()))),
            Part::Object(object) => object,
        };
        let chunk = completion::parse(&object).map_err(|_| Failed::for_good(ModelError::Malformed))?;
        let (choices, tokens) = match chunk {
            Chunk::Problem(problem) => return Err(self.failed(&problem)),
            Chunk::Unknown => return Ok(State::Waits),
            Chunk::Words { choices, tokens } => (choices, tokens),
        };
        self.understood = true;
        if let Some(tokens) = tokens {
            self.collector.costs(tokens);
        }
        let mut at_work = false;
        for words in choices {
            at_work |= self.collector.take(words);
        }
        Ok(match self.collector.broke_off() {
            Some(_) => State::Complete,
            None if at_work => State::AtWork,
            None => State::Waits,
        })
    }

    /// An error after the start of an answer is final: a retry would cost the same again.
    fn failed(&self, problem: &Problem) -> Failed {
        let error = match StatusCode::OK {
            _ if problem.is_no_credit() => ModelError::NoCredit,
            status if problem.is_too_long(status) => ModelError::TooLong,
            status => self.model.refused(status, problem),
        };
        Failed::for_good(error)
    }

    /// The body has ended, cleanly or not. Many endpoints close after the last text without an end mark.
    fn end(mut self, cleanly: bool) -> Result<(), Failed> {
        if self.collector.finished {
            return Ok(());
        }
        let cut_off = Failed::for_now(ModelError::Unreachable);
        if !cleanly {
            return Err(cut_off);
        }
        let Ok(parts) = self.body.finish() else { return Err(cut_off) };
        self.take_parts(parts)?;
        match self.collector {
            collector if !collector.is_empty() || collector.finished || collector.tools => Ok(()),
            _ if self.understood || self.body.is_empty() => Err(cut_off),
            _ => Err(Failed::for_good(ModelError::Malformed)),
        }
    }

    fn fell_silent(self) -> Result<(), Failed> {
        if self.collector.finished {
            return Ok(());
        }
        if self.collector.is_empty() {
            return Err(Failed::for_good(ModelError::Slow));
        }
        self.collector.break_off(BrokeOff::Silence);
        Ok(())
    }
}

impl From<NotAnAnswer> for Failed {
    /// A broken body may be complete the next time; anything else is the page of a proxy or a captive portal.
    fn from(_: NotAnAnswer) -> Self {
        Self::for_good(ModelError::Malformed)
    }
}

impl From<std::io::Error> for Failed {
    fn from(_: std::io::Error) -> Self {
        Self::for_good(ModelError::Malformed)
    }
}

/// The HTTP client: without a proxy for endpoints on this machine, and without redirects.
pub(crate) fn client(config: &Config, endpoint: &Url) -> reqwest::Client {
    let is_local = transport::http::is_local(endpoint);
    transport::http::trusting_the_system(|builder| {
        let builder = builder
            .connect_timeout(config.connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("p2p-chat/", env!("CARGO_PKG_VERSION")))
            .tcp_nodelay(true);
        if is_local { builder.no_proxy() } else { builder }
    })
}

/// The header with the key.
pub(crate) fn authorization(key: &Secret) -> Result<Option<HeaderValue>, BadKey> {
    match key.expose().trim() {
        // Self-hosted servers need none.
        "" => Ok(None),
        key => {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| BadKey)?;
            value.set_sensitive(true);
            Ok(Some(value))
        }
    }
}

/// The key cannot be sent in a header.
#[derive(Debug, thiserror::Error)]
#[error("OPENAI_API_KEY holds characters that no key has, such as a line end in its middle")]
pub(crate) struct BadKey;

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The start of an error response's body.
async fn read_error(mut response: Response, encoding: Option<&str>) -> Vec<u8> {
    let mut unpacker = Unpacker::new(encoding);
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let unpacked = unpacker.feed(&chunk, |bytes| {
            let room = ERROR_BYTES.saturating_sub(body.len());
            body.extend_from_slice(&bytes[..bytes.len().min(room)]);
            std::io::Result::Ok(())
        });
        if unpacked.is_err() || body.len() >= ERROR_BYTES {
            break;
        }
    }
    body
}
