//! Components are started, stopped and restarted.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::find;
use crate::console::app::App;
use crate::console::input::Nothing;
use crate::console::looker::unexpected;
use crate::console::problem::Problem;
use crate::supervisor::Snapshot;
use crate::supervisor::control::{self, Request, Response};
use crate::supervisor::status::{ComponentStatus, State};

/// Stands for every component that is part of this run.
const ALL: &str = "all";

/// Which components.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Names {
    /// Their names, groups, programs with replicas, or `all`.
    components: Vec<String>,
}

/// What was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::console) struct Accepted {
    /// For these it is under way.
    accepted: Vec<String>,
    /// For these it cannot be done.
    refused: Vec<Refused>,
}

/// A component for which something cannot be done.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::console) struct Refused {
    /// Its name.
    component: String,
    /// Why.
    reason: String,
}

pub(in crate::console) async fn start(app: Arc<App>, names: Names) -> Result<Accepted, Problem> {
    each(&app, names, ComponentStatus::is_started_with_all, |component| Request::Start { component }).await
}

pub(in crate::console) async fn stop(app: Arc<App>, names: Names) -> Result<Accepted, Problem> {
    each(&app, names, is_part, |component| Request::Stop { component }).await
}

pub(in crate::console) async fn restart(app: Arc<App>, names: Names) -> Result<Accepted, Problem> {
    each(&app, names, ComponentStatus::is_started_with_all, |component| Request::Restart { component }).await
}

pub(in crate::console) async fn down(app: Arc<App>, _: Nothing) -> Result<Accepted, Problem> {
    let snapshot = app.looker.look().await?;
    match app.looker.ask(&Request::Down).await? {
        Response::Accepted => {
            let accepted = chosen(&snapshot, &[ALL.to_owned()], is_part)?;
            Ok(Accepted { accepted, refused: Vec::new() })
        }
        _ => Err(unexpected()),
    }
}

/// What fails for one does not keep the others from it; where it fails for all, it is a conflict.
async fn each(
    app: &App,
    names: Names,
    is_in_all: fn(&ComponentStatus) -> bool,
    request: fn(String) -> Request,
) -> Result<Accepted, Problem> {
    let chosen = chosen(&app.looker.look().await?, &names.components, is_in_all)?;
    let mut answer = Accepted { accepted: Vec::new(), refused: Vec::new() };
    for component in chosen {
        match control::request(&app.setting.data, &request(component.clone())).await {
            Ok(Response::Accepted) => answer.accepted.push(component),
            Ok(Response::Refused { reason }) => answer.refused.push(Refused { component, reason }),
            Ok(_) => return Err(unexpected()),
            Err(error) => return Err(Problem::busy(kit::failure::chain(&error))),
        }
    }
    app.looker.forget().await;
    match answer.refused.first() {
        Some(refused) if answer.accepted.is_empty() => {
            Err(Problem::new(StatusCode::CONFLICT, format!("{}: {}", refused.component, refused.reason)))
        }
        _ => Ok(answer),
    }
}

/// Each once and in start order; a group or a program with replicas stands for its members. A name that there is not is a mistake before
/// anything is asked for. `all` leaves out what is no part of this run.
fn chosen(
    snapshot: &Snapshot,
    names: &[String],
    is_in_all: fn(&ComponentStatus) -> bool,
) -> Result<Vec<String>, Problem> {
    if names.is_empty() {
        return Err(Problem::field("components", "name at least one component, or 'all'"));
    }
    let mut named = BTreeSet::new();
    for name in names.iter().filter(|name| *name != ALL) {
        let members = snapshot.members(name);
        if members.is_empty() {
            find(snapshot, name)?;
        }
        named.extend(members.into_iter().map(|member| member.name.as_str()));
    }
    let has_all = names.iter().any(|name| name == ALL);
    let is_chosen = |one: &&ComponentStatus| named.contains(one.name.as_str()) || has_all && is_in_all(one);
    Ok(snapshot.components.iter().filter(is_chosen).map(|component| component.name.clone()).collect())
}

fn is_part(component: &ComponentStatus) -> bool {
    component.state != State::Skipped
}
