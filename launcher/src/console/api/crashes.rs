//! Crash reports.

use std::sync::Arc;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::console::app::App;
use crate::console::looker::expanded;
use crate::console::problem::Problem;
use crate::recorder::crash::{self, Report};
use crate::supervisor::status::State;

/// Of a longer last line only so many characters are told.
const MAX_LINE: usize = 200;

/// Which reports.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Asked {
    /// Only of these components, groups or programs with replicas, separated by commas; all of them where it is missing.
    #[serde(default)]
    component: Vec<String>,
}

/// A report.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Id {
    /// The report's id or its beginning, or a component for its newest report.
    id: String,
}

/// The reports asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::console) struct Crashes {
    /// The oldest first.
    crashes: Vec<Crash>,
}

/// A crash in short.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::console) struct Crash {
    /// By which the whole report is asked for.
    id: String,
    /// Which component.
    component: String,
    /// When, RFC 3339.
    at: String,
    /// Why it ended, in words.
    reason: String,
    /// The state that followed.
    next: State,
    /// How many times in a row it had ended in just this way.
    same_in_a_row: u32,
    /// The last line that it wrote.
    last_line: Option<String>,
}

pub(in crate::console) async fn list(app: Arc<App>, asked: Asked) -> Result<Crashes, Problem> {
    let snapshot = app.looker.look().await?;
    let components = expanded(&snapshot, asked.component);
    app.read(move || {
        let mut reports = crash::all(&snapshot.logs)
            .map_err(|error| Problem::internal("cannot read the reports", &error))?;
        reports.retain(|report| components.is_empty() || components.contains(&report.component));
        Ok(Crashes { crashes: reports.into_iter().map(Crash::of).collect() })
    })
    .await
}

pub(in crate::console) async fn one(app: Arc<App>, asked: Id) -> Result<Report, Problem> {
    let logs = app.logs().await?;
    app.read(move || {
        let found = crash::find(&logs, &asked.id)
            .map_err(|error| Problem::internal("cannot read the reports", &error))?;
        found.ok_or_else(|| {
            let detail = format!("no crash report starts with '{}'", asked.id);
            Problem::new(StatusCode::NOT_FOUND, detail)
        })
    })
    .await
}

impl Crash {
    fn of(report: Report) -> Self {
        let last = report.last_lines.iter().rev().find(|line| !line.trim().is_empty());
        Self {
            last_line: last.map(|line| line.chars().take(MAX_LINE).collect()),
            id: report.id,
            component: report.component,
            at: report.at,
            reason: report.reason,
            next: report.next,
            same_in_a_row: report.same_in_a_row,
        }
    }
}
