//! Is this machine fit to run us? One [`Finding`] for each thing that is looked at: what was found, how bad it is, what to do.
//!
//! Nothing is changed, but for the directories, which are made where there are none, and a file that is written and removed again
//! to time the disk.

mod clock;
mod disk;
mod limits;
mod probe;
mod services;

use kit::Exit;
use serde::Serialize;

use crate::config::Loaded;
use crate::supervisor::Snapshot;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and may not for long, or not well.
    Warn,
    /// It does not work.
    Fail,
}

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The thing, in a word or two.
    pub check: &'static str,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it; empty where nothing is to be done.
    pub advice: String,
    /// The exit code that this deserves if it is the worst.
    #[serde(skip)]
    pub exit: Exit,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, found: found.into(), advice: String::new(), exit: Exit::Fine }
    }

    fn warn(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, advice: advice.into(), ..Self::ok(check, found) }
    }

    fn fail(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, exit: Exit::Failure, ..Self::warn(check, found, advice) }
    }

    fn with_exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }
}

/// Looks at everything; `running` is how the launcher is that runs on the data directory, if one does. Takes at most
/// about ten seconds, when servers do not answer. TLS must be installed.
pub async fn examine(loaded: &Loaded, running: Option<&Snapshot>) -> Vec<Finding> {
    let probes = running.map(probe::probes).unwrap_or_default();
    let running = running.map(|snapshot| snapshot.launcher_pid);
    // First, for the rest looks into them.
    let directories = disk::directories(&loaded.directories, &loaded.dotenvs);
    let (store, bot) = tokio::join!(services::store(loaded, running), services::bot(loaded));
    let (bot, clock_ahead_s) = bot;
    let mut findings = vec![clock::clock(&loaded.directories, clock_ahead_s)];
    findings.extend(directories);
    findings.push(disk::space(loaded));
    findings.push(disk::sync_time(&loaded.directories.data));
    findings.push(limits::open_files(loaded));
    findings.push(limits::backlog());
    findings.push(services::ports(loaded, running));
    findings.push(store);
    findings.extend(probes);
    findings.push(services::tls_roots());
    findings.push(bot);
    findings
}

/// The exit code of the first finding that is a failure.
#[must_use]
pub fn exit(findings: &[Finding]) -> Exit {
    findings
        .iter()
        .find(|finding| finding.verdict == Verdict::Fail)
        .map_or(Exit::Fine, |finding| finding.exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_count_for_the_exit_code() {
        let ok = Finding::ok("a", "fine");
        let warn = Finding::warn("b", "so so", "do this");
        assert_eq!(exit(&[ok.clone(), warn.clone()]), Exit::Fine);
        let fail = Finding::fail("c", "bad", "do that").with_exit(Exit::Unavailable);
        assert_eq!(exit(&[ok, warn, fail.clone(), Finding::fail("d", "", "")]), Exit::Unavailable);
        let json = serde_json::to_value(&fail).unwrap();
        assert_eq!(json["verdict"], "fail");
        assert_eq!(json.as_object().unwrap().len(), 4);
    }
}
