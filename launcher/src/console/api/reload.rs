//! The configuration is applied, or it is said what that would do.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::console::app::App;
use crate::console::input::Nothing;
use crate::console::looker::unexpected;
use crate::console::problem::Problem;
use crate::supervisor::control::{ReloadSummary, Request, Response};

/// How it is applied.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Apply {
    /// Agrees to what needs consent: another store, an empty or missing configuration file.
    #[serde(default)]
    yes: bool,
}

pub(in crate::console) async fn plan(app: Arc<App>, _: Nothing) -> Result<ReloadSummary, Problem> {
    ask(&app, Request::Reload { plan_only: true, yes: false }).await
}

pub(in crate::console) async fn apply(app: Arc<App>, apply: Apply) -> Result<ReloadSummary, Problem> {
    ask(&app, Request::Reload { plan_only: false, yes: apply.yes }).await
}

async fn ask(app: &App, request: Request) -> Result<ReloadSummary, Problem> {
    match app.looker.ask(&request).await? {
        Response::Reload { summary } => Ok(summary),
        _ => Err(unexpected()),
    }
}
