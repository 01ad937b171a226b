//! Reports the latest liveness probes of the running launcher.

use super::Finding;
use crate::supervisor::Snapshot;
use crate::supervisor::status::{ComponentStatus, LivenessStatus};

/// One finding per component with a probe.
pub(super) fn probes(snapshot: &Snapshot) -> Vec<Finding> {
    snapshot.components.iter().filter_map(|it| Some(finding(it, it.liveness.as_ref()?))).collect()
}

fn finding(component: &ComponentStatus, probe: &LivenessStatus) -> Finding {
    const CHECK: &str = "probe";
    let (name, took, age) = (&component.name, probe.took_ms, probe.age_s);
    match (&probe.error, &probe.remark) {
        (Some(error), _) => {
            let row = probe.failures_in_a_row;
            let found = format!("{name}: {error} (failures in a row: {row}, the last {age} s ago)");
            Finding::fail(CHECK, found, format!("see 'launcher logs {name}'; it is restarted automatically"))
        }
        (None, Some(remark)) => {
            let advice = "it answers, so it is not restarted; see the store, and 'launcher status'";
            Finding::warn(CHECK, format!("{name}: {remark} ({age} s ago)"), advice)
        }
        (None, None) => Finding::ok(CHECK, format!("{name} answered in {took} ms, {age} s ago")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;
    use crate::doctor::Verdict;

    #[test]
    fn each_answer_is_a_finding_and_who_was_not_asked_is_none() {
        let mut snapshot = sample::snapshot();
        assert_eq!(probes(&snapshot), []);
        let passed = LivenessStatus {
            remark: None,
            error: None,
            took_ms: 4,
            age_s: 12,
            failures_in_a_row: 0,
            failures: 0,
        };
        let refused = LivenessStatus { remark: Some("not stored".to_owned()), ..passed.clone() };
        let silent =
            LivenessStatus { error: Some("is silent".to_owned()), failures_in_a_row: 2, ..passed.clone() };
        for (component, probe) in snapshot.components.iter_mut().zip([passed, refused, silent]) {
            component.liveness = Some(probe);
        }
        let found = probes(&snapshot);
        let verdicts: Vec<Verdict> = found.iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Warn, Verdict::Fail]);
        assert_eq!(found[0].found, "message-api answered in 4 ms, 12 s ago");
        assert!(found[2].found.contains("is silent (failures in a row: 2"), "{found:?}");
    }
}
