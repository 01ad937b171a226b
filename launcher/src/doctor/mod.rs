//! Checks whether this machine can run us. One [`Finding`] per check: what was found, how serious it is, what to do.
//!
//! Nothing is changed, except that missing directories are created, and a file is written and removed to time the disk.

mod certificate;
mod clock;
mod disk;
mod finding;
mod limits;
mod probe;
mod processes;
mod services;

use kit::Exit;

pub use finding::{Finding, Verdict};

use crate::config::Loaded;
use crate::supervisor::Snapshot;

/// Runs all checks; `running` is the state of the launcher running on the data directory, if there is one. Takes at most about ten seconds,
/// if servers do not answer. TLS must be installed.
pub async fn examine(loaded: &Loaded, running: Option<&Snapshot>) -> Vec<Finding> {
    let probes = running.map(probe::probes).unwrap_or_default();
    let running = running.map(|snapshot| snapshot.launcher_pid);
    // First, because other checks use them.
    let directories = disk::directories(&loaded.directories, &loaded.secret_files());
    let (store, bot) = tokio::join!(services::store(loaded, running), services::bot(loaded));
    let (bot, clock_ahead_s) = bot;
    let mut findings = vec![clock::clock(&loaded.directories, clock_ahead_s)];
    findings.extend(directories);
    findings.push(disk::space(loaded));
    findings.push(disk::sync_time(&loaded.directories.data));
    findings.push(limits::open_files(loaded));
    findings.push(limits::backlog());
    findings.push(processes::tracking(&loaded.directories.data, running.is_some()));
    findings.push(processes::limited_by(loaded));
    findings.push(services::ports(loaded, running));
    findings.push(store);
    findings.extend(probes);
    findings.extend(certificate::certificate(loaded));
    findings.extend(certificate::plain_ports(loaded));
    findings.push(services::tls_roots());
    findings.push(bot);
    findings
}

/// The exit code of the first failure.
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
