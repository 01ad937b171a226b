//! Is this machine fit to run us?

use std::sync::Arc;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use crate::console::app::App;
use crate::console::input::Nothing;
use crate::console::problem::Problem;
use crate::doctor::{Finding, Verdict, examine};

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::console) struct Diagnosis {
    /// Whether nothing fails.
    fit: bool,
    /// One for each thing that was looked at.
    findings: Vec<Finding>,
}

/// It reads and writes files, and takes a thread of its own for that.
pub(in crate::console) async fn doctor(app: Arc<App>, _: Nothing) -> Result<Diagnosis, Problem> {
    let running = app.looker.look().await?;
    let load = Arc::clone(&app.setting.load);
    app.read(move || {
        let loaded = load().map_err(|mistakes| Problem::new(StatusCode::CONFLICT, mistakes))?;
        kit::context::install_tls();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Problem::internal("cannot diagnose", &error))?;
        let findings = runtime.block_on(examine(&loaded, Some(&running)));
        Ok(Diagnosis { fit: findings.iter().all(|finding| finding.verdict != Verdict::Fail), findings })
    })
    .await
}
