//! What happened: `events.jsonl`, read from its end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::console::app::App;
use crate::console::looker::expanded;
use crate::console::problem::Problem;
use crate::log_reader::timestamp;
use crate::recorder::event_log::FILE;
use crate::supervisor::logs::names::{self, Form, RotatedFile};
use crate::supervisor::logs::verify::open;

/// Events without being asked for a number.
const DEFAULT: usize = 100;
/// Events at most.
const MOST: usize = 2000;
/// Of each file no more than its end is read.
const MAX_FILE: u64 = 16 << 20;
/// Files put aside that are looked at.
const ASIDES: usize = 8;
/// Minutes in which restarts are counted.
const MINUTES: usize = 60;

/// Which events.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Asked {
    /// Only of these components, groups or programs with replicas, separated by commas; all of them where it is missing.
    #[serde(default)]
    component: Vec<String>,
    /// Only since then: an age (`10m`, `2h`) or a time (RFC 3339).
    since: Option<String>,
    /// Events at most, the last ones; 100 where it is missing, 2000 at most.
    limit: Option<u32>,
}

/// What happened.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::console) struct Events {
    /// Lines of `events.jsonl`, the oldest first.
    events: Vec<Value>,
}

pub(in crate::console) async fn events(app: Arc<App>, asked: Asked) -> Result<Events, Problem> {
    let snapshot = app.looker.look().await?;
    let (logs, components) = (snapshot.logs.clone(), expanded(&snapshot, asked.component));
    let is_wanted = move |event: &Value| {
        components.is_empty() || components.iter().any(|one| event["component"] == **one)
    };
    let since = asked.since.as_deref().map(timestamp::since).transpose();
    let since = since.map_err(|detail| Problem::field("since", detail))?.unwrap_or_default();
    let limit = asked.limit.map_or(DEFAULT, |limit| limit as usize).min(MOST);
    app.read(move || {
        let mut events = Vec::new();
        backwards(&logs, &since, |event| {
            if is_wanted(&event) {
                events.push(event);
            }
            events.len() < limit
        })?;
        events.reverse();
        Ok(Events { events })
    })
    .await
}

/// The restarts of each minute of the last hour, by component.
pub(super) fn restarts(logs: &Path) -> Result<BTreeMap<String, Vec<u32>>, Problem> {
    let now = OffsetDateTime::now_utc();
    let since = timestamp::since("1h").unwrap_or_default();
    let mut restarts: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    backwards(logs, &since, |event| {
        if event["event"] == "transition"
            && event["to"] == "backoff"
            && let Some(component) = event["component"].as_str()
            && let Some(at) = event["at"].as_str().and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok())
            && let Ok(ago) = usize::try_from((now - at).whole_minutes())
            && ago < MINUTES
        {
            restarts.entry(component.to_owned()).or_insert_with(|| vec![0; MINUTES])[MINUTES - 1 - ago] += 1;
        }
        true
    })?;
    Ok(restarts)
}

/// Gives each event since a time to `each`, the newest first, until that has enough.
fn backwards(logs: &Path, since: &str, mut each: impl FnMut(Value) -> bool) -> Result<(), Problem> {
    let cannot_read = |error| Problem::internal("cannot read the events", &error);
    let mut rotated = names::list(logs).map_err(cannot_read)?;
    rotated.retain(|file| file.component == FILE && file.form != Form::Unfinished);
    rotated.sort_by_key(|file| std::cmp::Reverse(file.sequence));
    rotated.dedup_by_key(|file| file.sequence);
    let current = logs.join(FILE);
    // Earlier versions rotated to `events.1.jsonl`; those files are older than all others.
    let earlier = (1..=ASIDES).map(|number| current.with_extension(format!("{number}.jsonl")));
    let all = std::iter::once(end_of(&current))
        .chain(rotated.iter().take(ASIDES).map(end_of_rotated))
        .chain(earlier.map(|path| end_of(&path)));
    for read in all {
        let text = match read {
            // Just rotated, or removed by the limits.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read.map_err(cannot_read)?,
        };
        for line in text.rsplit(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            // One that is being written, or cut at its beginning.
            let Ok(event) = serde_json::from_slice::<Value>(line) else { continue };
            if event["at"].as_str().is_none_or(|at| at < since) || !each(event) {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn end_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_FILE)))?;
    let mut text = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut text)?;
    Ok(text)
}

/// The same of a file that may be compressed, which can only be read from its beginning.
fn end_of_rotated(file: &RotatedFile) -> io::Result<Vec<u8>> {
    if file.form == Form::Plain && file.path.exists() {
        return end_of(&file.path);
    }
    let mut lines = BufReader::new(open(&file.path, file.form)?);
    let (mut text, most) = (Vec::new(), usize::try_from(MAX_FILE).unwrap_or(usize::MAX));
    while lines.by_ref().take(MAX_FILE).read_until(b'\n', &mut text)? > 0 {
        if text.len() > 2 * most {
            text.drain(..text.len() - most);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(logs: &Path, since: &str, limit: usize) -> Vec<u64> {
        let mut found = Vec::new();
        let each = |event: Value| {
            found.push(event["n"].as_u64().unwrap());
            found.len() < limit
        };
        backwards(logs, since, each).unwrap();
        found
    }

    #[test]
    fn the_newest_come_first_over_files_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, range: std::ops::Range<u64>| {
            let line = |n| format!("{{\"event\":\"x\",\"at\":\"2026-11-20T23:21:{n:02}.000Z\",\"n\":{n}}}\n");
            std::fs::write(directory.path().join(name), range.map(line).collect::<String>()).unwrap();
        };
        assert_eq!(events(directory.path(), "", 9), [0_u64; 0]);
        write("events.jsonl", 5..8);
        write("events.20261121T120307Z.000002.jsonl", 3..5);
        write("events.20261121T120306Z.000001.jsonl", 1..3);
        assert_eq!(events(directory.path(), "", 99), [7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(events(directory.path(), "", 4), [7, 6, 5, 4]);
        assert_eq!(events(directory.path(), "2026-11-20T23:21:04", 99), [7, 6, 5, 4]);
        write("events.1.jsonl", 1..3);
        write("events.20261121T120306Z.000001.jsonl", 3..4);
        write("events.20261121T120307Z.000002.jsonl", 4..5);
        assert_eq!(events(directory.path(), "", 99), [7, 6, 5, 4, 3, 2, 1], "also those of earlier versions");
        std::fs::write(directory.path().join("events.jsonl"), "half a li").unwrap();
        assert_eq!(events(directory.path(), "", 2), [4, 3]);
    }
}
