//! The components' logs, read as `launcher logs` reads them.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::console::app::App;
use crate::console::input::Nothing;
use crate::console::looker::expanded;
use crate::console::problem::Problem;
use crate::console::tailing::{LogLine, line_of};
use crate::log_reader::{self, Line, timestamp};
use crate::supervisor::logs::verify::{self, Verdict};

/// Lines without being asked for a number.
const DEFAULT: usize = 200;
/// Lines at most.
const MOST: usize = 5000;
/// Bytes of all lines at most; the oldest are left out.
const MOST_BYTES: usize = 4 << 20;
/// Of a longer line only so much is told.
const MAX_LINE: usize = 16 * 1024;
/// How long it is searched.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which lines.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Asked {
    /// Only of these components, groups or programs with replicas, separated by commas; all of them, and the launcher, where it is missing.
    #[serde(default)]
    component: Vec<String>,
    /// Lines at most, the last ones; 200 where it is missing, 5000 at most.
    lines: Option<u32>,
    /// Only since then: an age (`10m`, `2h`) or a time (RFC 3339).
    since: Option<String>,
    /// Only lines that contain this text, whatever the case of its letters.
    search: Option<String>,
}

/// Lines of logs.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(in crate::console) struct Lines {
    /// The oldest first.
    lines: Vec<LogLine>,
    /// Whether there are older ones that were left out.
    truncated: bool,
}

/// Whether the logs are as they were written.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::console) struct Verified {
    /// Whether none was changed.
    intact: bool,
    /// One for each log.
    logs: Vec<VerifiedLog>,
}

/// Whether a log is as it was written.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::console) struct VerifiedLog {
    /// Whose log.
    component: String,
    /// Whether it was not changed.
    intact: bool,
    /// Files that were read.
    files: usize,
    /// Lines in them.
    lines: u64,
    /// Bytes in them.
    bytes: u64,
    /// What is wrong, each with its file.
    flaws: Vec<String>,
    /// Lines that are known to be missing.
    lost_lines: u64,
}

pub(in crate::console) async fn logs(app: Arc<App>, mut asked: Asked) -> Result<Lines, Problem> {
    let snapshot = app.looker.look().await?;
    let logs = snapshot.logs.clone();
    asked.component = expanded(&snapshot, asked.component);
    let is_component = move |name: &str| snapshot.component(name).is_some();
    app.read(move || read(&logs, &asked, &is_component)).await
}

fn read(logs: &Path, asked: &Asked, is_component: &dyn Fn(&str) -> bool) -> Result<Lines, Problem> {
    let failed = |error: std::io::Error| Problem::internal("cannot read the logs", &error);
    let known = log_reader::known(logs).map_err(failed)?;
    for name in &asked.component {
        // One that has said nothing yet has no log.
        if !known.contains(name) && !is_component(name) {
            let detail = format!("no log of '{name}'; available: {}", known.join(", "));
            return Err(Problem::new(StatusCode::NOT_FOUND, detail));
        }
    }
    let is_wanted = |name: &String| asked.component.is_empty() || asked.component.contains(name);
    let names: Vec<String> = known.into_iter().filter(is_wanted).collect();
    let count = asked.lines.map_or(DEFAULT, |lines| lines as usize).min(MOST);
    let mut kept = Kept::new(&names, count);
    if asked.since.is_none() && asked.search.is_none() {
        let (lines, mut followers) = log_reader::last(&names, logs, count).map_err(failed)?;
        lines.iter().for_each(|line| kept.add(line));
        // What has no end yet is a line, too.
        for (log, follower) in followers.iter_mut().enumerate() {
            let rest = log_reader::timed(log, follower.take_partial().into_iter().collect());
            rest.iter().for_each(|line| kept.add(line));
        }
        return Ok(kept.into_lines());
    }
    let since = asked.since.as_deref().map(timestamp::since).transpose();
    let since = since.map_err(|detail| Problem::field("since", detail))?.unwrap_or_default();
    let search = asked.search.as_deref().unwrap_or_default().to_lowercase();
    let deadline = Instant::now() + PATIENCE;
    let mut is_late = false;
    log_reader::since(&names, logs, &since, |line| {
        if search.is_empty() || String::from_utf8_lossy(&line.text).to_lowercase().contains(&search) {
            kept.add(&line);
        }
        is_late = Instant::now() > deadline;
        !is_late
    })
    .map_err(failed)?;
    if is_late {
        let detail = format!(
            "the search takes longer than {} s; narrow it with 'since' or 'component'",
            PATIENCE.as_secs()
        );
        return Err(Problem::busy(detail));
    }
    Ok(kept.into_lines())
}

/// The last lines that fit.
struct Kept<'n> {
    names: &'n [String],
    count: usize,
    lines: VecDeque<LogLine>,
    bytes: usize,
    truncated: bool,
}

impl<'n> Kept<'n> {
    fn new(names: &'n [String], count: usize) -> Self {
        Self { names, count, lines: VecDeque::new(), bytes: 0, truncated: false }
    }

    fn add(&mut self, line: &Line) {
        let mut told =
            line_of(&self.names[line.log], &line.text[..line.text.len().min(MAX_LINE)], Some(&line.time));
        if line.text.len() > MAX_LINE {
            told.text.push_str(&format!("… ({} bytes in all)", line.text.len()));
        }
        self.bytes += told.text.len();
        self.lines.push_back(told);
        while self.lines.len() > self.count || self.bytes > MOST_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.text.len();
            self.truncated = true;
        }
    }

    fn into_lines(self) -> Lines {
        Lines { lines: self.lines.into(), truncated: self.truncated }
    }
}

pub(in crate::console) async fn verify(app: Arc<App>, _: Nothing) -> Result<Verified, Problem> {
    let logs = app.logs().await?;
    app.read(move || {
        let failed = |error: std::io::Error| Problem::internal("cannot read the logs", &error);
        let mut verified = Vec::new();
        for component in verify::components(&logs).map_err(failed)? {
            let verdict = verify::verify(&logs, &component).map_err(failed)?;
            verified.push(VerifiedLog::of(component, &verdict));
        }
        Ok(Verified { intact: verified.iter().all(|log| log.intact), logs: verified })
    })
    .await
}

impl VerifiedLog {
    fn of(component: String, verdict: &Verdict) -> Self {
        let flaw = |(path, what): &(std::path::PathBuf, String)| {
            format!("{}: {what}", path.file_name().unwrap_or_default().to_string_lossy())
        };
        Self {
            component,
            intact: verdict.flaws.is_empty(),
            files: verdict.files,
            lines: verdict.lines,
            bytes: verdict.bytes,
            flaws: verdict.flaws.iter().map(flaw).collect(),
            lost_lines: verdict.lost.iter().map(|lost| lost.lines).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_bytes_of_an_answer_are_left_out_from_the_oldest_on() {
        let names = ["a".to_owned()];
        let mut kept = Kept::new(&names, MOST);
        for number in 0..400 {
            let text = format!("{number} {}", "x".repeat(MAX_LINE)).into_bytes();
            kept.add(&Line { log: 0, time: Vec::new(), text });
        }
        let lines = kept.into_lines();
        let bytes: usize = lines.lines.iter().map(|line| line.text.len()).sum();
        assert!(lines.truncated && bytes <= MOST_BYTES && bytes > MOST_BYTES / 2, "{bytes}");
        assert!(lines.lines.last().unwrap().text.starts_with("399 x"));
        assert!(lines.lines[0].text.ends_with("bytes in all)"));
    }
}
