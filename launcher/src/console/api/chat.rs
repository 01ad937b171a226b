//! What the servers of the chat know or do for the operator: users, traces, backups, expired messages.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::http::StatusCode;
use protocol::api::{BackupTotals, Retention, RetentionRequest, Users};
use protocol::native::Trace;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backup::{self, BackupError};
use crate::console::app::App;
use crate::console::chat::failed;
use crate::console::input::Nothing;
use crate::console::problem::Problem;

/// Where backups lie in the data directory. It can be a symbolic link to another disk.
const BACKUPS: &str = "backups";
/// The longest name of a backup, in bytes.
const MAX_NAME: usize = 100;

/// Which users.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Page {
    /// The `last` of the page before; the first page where it is missing.
    after: Option<u64>,
}

/// Which message.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Message {
    /// The message's id, or its sender's `client_id`.
    message: String,
}

/// Which backup.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Backup {
    /// The name of a new file in `backups` in the data directory: letters, digits, `.`, `-` and `_`, at most 100 characters.
    name: String,
}

/// A backup that was taken.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::console) struct Taken {
    /// The file, on the launcher's machine.
    file: String,
    /// Its size.
    bytes: u64,
    /// What it holds.
    totals: BackupTotals,
}

/// What is done with expired messages.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Delete {
    /// Deletes them, whatever their number, trusting the system clock.
    yes: bool,
}

pub(in crate::console) async fn users(app: Arc<App>, page: Page) -> Result<Users, Problem> {
    let running = app.looker.look().await?;
    app.chat.ask(&running, async |api| api.users(page.after.unwrap_or(0)).await).await
}

pub(in crate::console) async fn trace(app: Arc<App>, asked: Message) -> Result<Trace, Problem> {
    let running = app.looker.look().await?;
    app.chat.trace(&running, &asked.message).await
}

pub(in crate::console) async fn expired(app: Arc<App>, _: Nothing) -> Result<Retention, Problem> {
    retention(&app, false).await
}

pub(in crate::console) async fn delete(app: Arc<App>, asked: Delete) -> Result<Retention, Problem> {
    if !asked.yes {
        return Err(Problem::field("yes", "true deletes them; GET counts them"));
    }
    retention(&app, true).await
}

async fn retention(app: &App, confirmed: bool) -> Result<Retention, Problem> {
    let running = app.looker.look().await?;
    app.chat.ask(&running, async |api| api.call(&RetentionRequest { confirmed }).await).await
}

/// It is taken while the client waits: one that leaves ends it, and nothing of it stays.
pub(in crate::console) async fn backup(app: Arc<App>, asked: Backup) -> Result<Taken, Problem> {
    if !is_name(&asked.name) {
        let rule = "name a file: 1 to 100 letters, digits, '.', '-' and '_', not beginning with '.'";
        return Err(Problem::field("name", rule));
    }
    let running = app.looker.look().await?;
    let client = app.chat.client(&running)?;
    let Some(_place) = app.chat.backup_place() else {
        return Err(Problem::new(StatusCode::CONFLICT, "another backup is being taken"));
    };
    let file = directory(&app.setting.data)?.join(&asked.name);
    let taken = backup::take(&client, &file).await.map_err(|error| refused(&error))?;
    let file = file.display().to_string();
    tracing::info!(file, taken.bytes, "the console: a backup was taken");
    Ok(Taken { file, bytes: taken.bytes, totals: taken.totals })
}

/// Nothing that leads out of the directory, or hides in it.
fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=MAX_NAME).contains(&name.len()) && !name.starts_with('.') && name.chars().all(is_plain)
}

fn directory(data: &Path) -> Result<PathBuf, Problem> {
    let directory = data.join(BACKUPS);
    let made = kit::files::make_directory(&directory);
    made.map_err(|error| Problem::internal(&format!("cannot create {}", directory.display()), &error))?;
    Ok(directory)
}

fn refused(error: &BackupError) -> Problem {
    match error {
        BackupError::Api(error) => failed(error),
        BackupError::Exists(_) => Problem::new(StatusCode::CONFLICT, error.to_string()),
        BackupError::Write { cause, .. } if cause.kind() == std::io::ErrorKind::StorageFull => {
            Problem::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string())
        }
        BackupError::Write { .. } | BackupError::Incomplete(_) => {
            Problem::internal("no backup was taken", error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backups_name_leads_nowhere_else() {
        assert!(["a", "2026-11-30.jsonl", &"x".repeat(100)].iter().all(|name| is_name(name)));
        assert!(
            !["", ".", "..", ".a", "a/b", "../a", "a b", "ä", &"x".repeat(101)]
                .iter()
                .any(|name| is_name(name))
        );
    }
}
