//! A scripted model endpoint: each request executes the next script.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The script for one request.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    status: u16,
    headers: Vec<(&'static str, String)>,
    steps: VecDeque<Step>,
    forever: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Send(Bytes),
    Wait(Duration),
    Stall,
    Cut,
}

impl Script {
    fn with_kind(kind: &str) -> Self {
        let headers = vec![("content-type", kind.to_owned())];
        Self { status: 200, headers, steps: VecDeque::new(), forever: false }
    }

    /// An empty stream.
    pub(crate) fn stream() -> Self {
        Self::with_kind("text/event-stream")
    }

    /// A complete stream of these words.
    pub(crate) fn says(words: &[&str]) -> Self {
        words.iter().fold(Self::stream(), |script, word| script.word(word)).end()
    }

    /// A body of another kind.
    pub(crate) fn body(kind: &str, text: &str) -> Self {
        Self::with_kind(kind).raw(text)
    }

    /// An error.
    pub(crate) fn status(status: u16) -> Self {
        let body = json!({"error": {"message": "sk-test-key is wrong", "type": "some_error", "code": null}});
        Self::body("application/json", &body.to_string()).with_status(status)
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn word(self, word: &str) -> Self {
        self.raw(&format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": word}}]})))
    }

    pub(crate) fn end(self) -> Self {
        let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        self.raw(&format!("data: {last}\n\ndata: [DONE]\n\n"))
    }

    pub(crate) fn raw(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.steps.push_back(Step::Send(Bytes::copy_from_slice(bytes)));
        self
    }

    /// The output of another script.
    pub(crate) fn append(mut self, other: Self) -> Self {
        self.steps.extend(other.steps);
        self
    }

    pub(crate) fn wait(mut self, millis: u64) -> Self {
        self.steps.push_back(Step::Wait(Duration::from_millis(millis)));
        self
    }

    /// Sends nothing more without closing.
    pub(crate) fn stall(mut self) -> Self {
        self.steps.push_back(Step::Stall);
        self
    }

    /// Breaks the connection.
    pub(crate) fn cut(mut self) -> Self {
        self.steps.push_back(Step::Cut);
        self
    }

    /// Repeats the steps for ever.
    pub(crate) fn forever(mut self) -> Self {
        self.forever = true;
        self
    }

    fn response(self) -> Response<Body> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in &self.headers {
            response = response.header(*name, value);
        }
        let forever = self.forever;
        let steps = stream::unfold(self.steps, move |mut steps| async move {
            loop {
                let step = steps.pop_front()?;
                if forever {
                    steps.push_back(step.clone());
                }
                match step {
                    Step::Send(bytes) => return Some((Ok(bytes), steps)),
                    Step::Wait(time) => tokio::time::sleep(time).await,
                    Step::Stall => std::future::pending().await,
                    Step::Cut => return Some((Err(std::io::Error::other("cut")), VecDeque::new())),
                }
            }
        });
        response.body(Body::from_stream(steps)).unwrap()
    }
}

/// A request as received by the endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
}

impl Seen {
    /// The roles and texts sent to the model.
    pub(crate) fn messages(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let messages = self.body["messages"].as_array().unwrap();
        messages.iter().map(|message| (text(&message["role"]), text(&message["content"]))).collect()
    }
}

#[derive(Debug)]
struct Shared {
    scripts: Mutex<VecDeque<Script>>,
    seen: watch::Sender<Vec<Seen>>,
}

/// The endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _shutdown: DropGuard,
}

impl Endpoint {
    pub(crate) async fn start(scripts: impl IntoIterator<Item = Script>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let scripts = Mutex::new(scripts.into_iter().collect());
        let shared = Arc::new(Shared { scripts, seen: watch::Sender::default() });
        let router =
            Router::new().route("/v1/chat/completions", post(answer)).with_state(Arc::clone(&shared));
        let shutdown = CancellationToken::new();
        tokio::spawn(kit::http::serve(listener, router, shutdown.clone()));
        Self { address, shared, _shutdown: shutdown.drop_guard() }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Adds a script.
    pub(crate) fn add(&self, script: Script) {
        self.shared.scripts.lock().unwrap().push_back(script);
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.borrow().clone()
    }

    /// Waits for this many requests.
    pub(crate) async fn requests(&self, count: usize) -> Vec<Seen> {
        let mut seen = self.shared.seen.subscribe();
        let enough = seen.wait_for(|seen| seen.len() >= count);
        tokio::time::timeout(Duration::from_secs(10), enough).await.unwrap().unwrap().clone()
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response<Body> {
    let authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    shared.seen.send_modify(|seen| seen.push(Seen { authorization, body }));
    let script = shared.scripts.lock().unwrap().pop_front();
    std::future::ready(script.unwrap_or_else(|| Script::status(418)).response()).await
}
