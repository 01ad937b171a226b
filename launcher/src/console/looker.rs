//! Asks the supervisor, over the control socket as everybody does.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{Mutex, Semaphore};

use super::problem::Problem;
use crate::supervisor::Snapshot;
use crate::supervisor::control::{self, Request, Response};
use crate::supervisor::load::Meter;

/// What was found out is told again for so long: a flood of questions costs the supervisor nothing.
const FRESH: Duration = Duration::from_millis(250);
/// Questions at once; the control socket has places for others, too.
const QUESTIONS: usize = 4;

/// How everything is, with the one word that most want.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Status {
    /// Whether every required component is ready or finished and every dependency answers.
    healthy: bool,
    #[serde(flatten)]
    snapshot: Snapshot,
}

impl Status {
    pub(super) fn of(snapshot: Snapshot) -> Self {
        Self { healthy: snapshot.is_healthy(), snapshot }
    }
}

/// Asks, and remembers the last answer for a moment.
pub(super) struct Looker {
    data: PathBuf,
    questions: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    meter: Meter,
    last: Option<(Instant, Snapshot)>,
}

impl Looker {
    pub(super) fn new(data: PathBuf) -> Self {
        Self { data, questions: Semaphore::new(QUESTIONS), state: Mutex::default() }
    }

    /// How everything is, and what it takes.
    pub(super) async fn look(&self) -> Result<Snapshot, Problem> {
        let mut state = self.state.lock().await;
        if let Some((at, snapshot)) = &state.last
            && at.elapsed() < FRESH
        {
            return Ok(snapshot.clone());
        }
        match self.ask(&Request::Status).await? {
            Response::Status { mut snapshot } => {
                state.meter.measure(&mut snapshot);
                state.last = Some((Instant::now(), snapshot.clone()));
                Ok(snapshot)
            }
            _ => Err(unexpected()),
        }
    }

    /// What was found out last is not told again.
    pub(super) async fn forget(&self) {
        self.state.lock().await.last = None;
    }

    /// Asks something; what is refused is a conflict.
    pub(super) async fn ask(&self, request: &Request) -> Result<Response, Problem> {
        let Ok(_turn) = self.questions.acquire().await else { return Err(unexpected()) };
        match control::request(&self.data, request).await {
            Ok(Response::Refused { reason }) => Err(Problem::new(StatusCode::CONFLICT, reason)),
            Ok(answer) => Ok(answer),
            Err(error) => Err(Problem::busy(kit::failure::chain(&error))),
        }
    }
}

/// Names of components; for a group or a program with replicas those of its members.
pub(super) fn expanded(snapshot: &Snapshot, names: Vec<String>) -> Vec<String> {
    let members = |name: String| match snapshot.groups.get(&name) {
        Some(members) => members.clone(),
        None => vec![name],
    };
    names.into_iter().flat_map(members).collect()
}

pub(super) fn unexpected() -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "unexpected answer from the supervisor")
}
