//! How everything is.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::events;
use crate::console::app::App;
use crate::console::history::{STEP, Series};
use crate::console::input::Nothing;
use crate::console::looker::Status;
use crate::console::problem::Problem;
use crate::explanation::{Cause, causes};
use crate::log_reader::tail;
use crate::metrics::exposition;
use crate::recorder::crash;
use crate::supervisor::Snapshot;
use crate::supervisor::status::{ComponentStatus, DependencyState};

/// As many lines as `launcher why` shows.
const LINES: usize = 12;
/// Of a longer line only so many characters are told; all of it is in the log.
const MAX_LINE: usize = 500;

/// A component.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Named {
    /// The component's name.
    name: String,
}

/// Why a component is as it is.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::console) struct Explanation {
    /// How it is.
    component: ComponentStatus,
    /// What it waits for, and what that waits for, down to what really is the matter.
    causes: Vec<Reason>,
    /// The id of its newest crash report.
    crash: Option<String>,
    /// The end of its log.
    last_lines: Vec<String>,
}

/// Something that is waited for.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::console) struct Reason {
    /// A component or a dependency.
    name: String,
    /// How it is, in a word.
    state: String,
    /// Why, where that is known.
    reason: Option<String>,
}

/// What the components took over the last hour.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::console) struct Hour {
    /// Seconds that one sample stands for.
    step_s: u64,
    /// Samples by component, and of the launcher.
    components: BTreeMap<String, Series>,
    /// Restarts of each of the last 60 minutes by component, the oldest first; components without any are left out.
    restarts: BTreeMap<String, Vec<u32>>,
}

pub(in crate::console) async fn status(app: Arc<App>, _: Nothing) -> Result<Status, Problem> {
    Ok(Status::of(app.looker.look().await?))
}

pub(in crate::console) async fn metrics(app: Arc<App>, _: Nothing, _: IpAddr) -> Result<Response, Problem> {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, exposition(&app.looker.look().await?)).into_response())
}

pub(in crate::console) async fn history(app: Arc<App>, _: Nothing) -> Result<Hour, Problem> {
    let components = app.sampler.with_history(|history| history.series());
    let logs = app.logs().await?;
    let restarts = app.read(move || events::restarts(&logs)).await?;
    Ok(Hour { step_s: STEP, components, restarts })
}

pub(in crate::console) async fn explain(app: Arc<App>, named: Named) -> Result<Explanation, Problem> {
    let snapshot = app.looker.look().await?;
    let component = find(&snapshot, &named.name)?.clone();
    let causes = causes(&snapshot, &component).into_iter().map(Reason::of).collect();
    let read = move || {
        let crash = crash::newest_of(&snapshot.logs, &named.name).ok().flatten().map(|report| report.id);
        let lines = tail::last_lines(&snapshot.logs.join(format!("{}.log", named.name)), LINES);
        let last_lines = lines.unwrap_or_default().iter().map(|line| shortened(line)).collect();
        Ok((crash, last_lines))
    };
    let (crash, last_lines) = app.read(read).await?;
    Ok(Explanation { component, causes, crash, last_lines })
}

/// The component of a name.
pub(in crate::console) fn find<'a>(
    snapshot: &'a Snapshot,
    name: &str,
) -> Result<&'a ComponentStatus, Problem> {
    snapshot.component(name).ok_or_else(|| {
        let names: Vec<&str> = snapshot.components.iter().map(|component| component.name.as_str()).collect();
        let detail = format!("unknown component '{name}'; available: {}", names.join(", "));
        Problem::new(StatusCode::NOT_FOUND, detail)
    })
}

fn shortened(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    match line.char_indices().nth(MAX_LINE) {
        Some((end, _)) => format!("{}… ({} bytes in all)", &line[..end], line.len()),
        None => line.into_owned(),
    }
}

impl Reason {
    fn of(cause: Cause<'_>) -> Self {
        match cause {
            Cause::Component(it) => Self {
                name: it.name.clone(),
                state: it.state.to_string(),
                reason: it.reason.clone().or_else(|| it.last_error.clone()),
            },
            Cause::Dependency(it) => {
                let state = match it.state {
                    DependencyState::Unknown => "unknown",
                    DependencyState::Ok => "ok",
                    DependencyState::Degraded => "degraded",
                };
                Self { name: it.name.clone(), state: state.to_owned(), reason: it.reason.clone() }
            }
        }
    }
}
