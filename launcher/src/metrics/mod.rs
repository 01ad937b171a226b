//! The launcher's metrics for Prometheus, derived from its status. [`server`] serves them over HTTP if configured; `launcher metrics`
//! prints them.

pub mod server;

use kit::metrics::{Exposition, Kind, Labels};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::supervisor::Snapshot;
use crate::supervisor::status::{ComponentStatus, DependencyState, State};

/// A metric of each component: its name, help, kind and value; no value if it is not known.
type Column = (&'static str, &'static str, Kind, fn(&ComponentStatus) -> Option<f64>);

#[expect(clippy::cast_precision_loss, reason = "what Prometheus keeps is an f64; exact up to 2^53")]
const COLUMNS: [Column; 15] = [
    ("component_ready", "1 while it serves.", Kind::Gauge, |it| Some(flag(it.state == State::Ready))),
    ("component_required", "1 where the whole is unhealthy while it is.", Kind::Gauge, |it| {
        Some(flag(it.required))
    }),
    ("component_restarts_total", "Starts after an end of its own.", Kind::Counter, |it| {
        Some(it.restarts.into())
    }),
    ("component_same_crashes", "Equal crashes in a row.", Kind::Gauge, |it| Some(it.same_crashes.into())),
    ("component_start_seconds", "From its last start until it served.", Kind::Gauge, |it| {
        it.ready_ms.map(|ms| ms as f64 / 1e3)
    }),
    ("component_uptime_seconds", "How long it has served.", Kind::Gauge, |it| {
        it.uptime_s.map(|seconds| seconds as f64)
    }),
    ("component_next_try_seconds", "Until it is started again.", Kind::Gauge, |it| {
        it.next_try_ms.map(|ms| ms as f64 / 1e3)
    }),
    ("component_processes", "Its processes.", Kind::Gauge, |it| it.load.map(|load| load.processes.into())),
    ("component_cpu_seconds_total", "Processor time of its present processes.", Kind::Counter, |it| {
        it.load.map(|load| load.cpu_s)
    }),
    ("component_memory_bytes", "Its share of memory.", Kind::Gauge, |it| {
        it.load.map(|load| load.memory_bytes as f64)
    }),
    ("component_probe_up", "1 where its last liveness probe passed.", Kind::Gauge, |it| {
        it.liveness.as_ref().map(|probe| flag(probe.error.is_none()))
    }),
    ("component_probe_seconds", "How long its last liveness probe took.", Kind::Gauge, |it| {
        it.liveness.as_ref().map(|probe| probe.took_ms as f64 / 1e3)
    }),
    ("component_probe_failures_total", "Liveness probes that failed.", Kind::Counter, |it| {
        it.liveness.as_ref().map(|probe| probe.failures as f64)
    }),
    ("component_log_dropped_lines_total", "Lines that its log lacks.", Kind::Counter, |it| {
        Some(it.log.dropped_lines as f64)
    }),
    ("component_log_dropped_bytes_total", "Bytes of those lines.", Kind::Counter, |it| {
        Some(it.log.dropped_bytes as f64)
    }),
];

/// Every state that a component may be in.
const STATES: [State; 12] = [
    State::Waiting,
    State::Starting,
    State::Ready,
    State::Unready,
    State::Stopping,
    State::Backoff,
    State::Running,
    State::Scheduled,
    State::Finished,
    State::Stopped,
    State::Failed,
    State::Skipped,
];

/// The metrics in the Prometheus text format.
#[must_use]
pub fn exposition(snapshot: &Snapshot) -> String {
    let text = whole(Exposition::new("launcher"), snapshot);
    let text = COLUMNS.iter().fold(text, |text, (name, help, kind, value)| {
        let one = |it: &ComponentStatus| Some((Labels::new(&[("component", &it.name)]), value(it)?));
        text.family(name, help, *kind, snapshot.components.iter().filter_map(one))
    });
    let states = snapshot.components.iter().flat_map(|it| {
        STATES.map(|state| {
            let labels = Labels::new(&[("component", &it.name), ("state", &state.to_string())]);
            (labels, flag(it.state == state))
        })
    });
    let text = text.family("component_state", "1 for the state that it is in.", Kind::Gauge, states);
    let dependencies = snapshot.dependencies.iter();
    let up = dependencies
        .map(|it| (Labels::new(&[("dependency", &it.name)]), flag(it.state == DependencyState::Ok)));
    text.family("dependency_up", "1 while it answers.", Kind::Gauge, up).finish()
}

#[expect(clippy::cast_precision_loss, reason = "what Prometheus keeps is an f64; exact up to 2^53")]
fn whole(text: Exposition, snapshot: &Snapshot) -> Exposition {
    let version = Labels::new(&[("version", env!("CARGO_PKG_VERSION"))]);
    let started = OffsetDateTime::parse(&snapshot.started_at, &Rfc3339).ok();
    let started = started.map(|at| at.unix_timestamp() as f64);
    let one = |value: Option<f64>| value.map(|value| (Labels::default(), value));
    let load = snapshot.load;
    text.family("build_info", "1, with the version.", Kind::Gauge, [(version, 1.0)])
        .family(
            "healthy",
            "1 while all that is required is well.",
            Kind::Gauge,
            one(Some(flag(snapshot.is_healthy()))),
        )
        .family(
            "stopping",
            "1 once everything is being stopped.",
            Kind::Gauge,
            one(Some(flag(snapshot.stopping))),
        )
        .family("start_time_seconds", "When it was started, in Unix time.", Kind::Gauge, one(started))
        .family("cpu_seconds_total", "Its processor time.", Kind::Counter, one(load.map(|load| load.cpu_s)))
        .family(
            "memory_bytes",
            "Its share of memory.",
            Kind::Gauge,
            one(load.map(|load| load.memory_bytes as f64)),
        )
}

fn flag(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use kit::metrics::table;

    use super::*;
    use crate::cli::sample;
    use crate::supervisor::status::LivenessStatus;

    #[test]
    fn every_metric_is_documented() {
        let mut snapshot = sample::snapshot();
        let probed = LivenessStatus {
            remark: None,
            error: None,
            took_ms: 2,
            age_s: 1,
            failures_in_a_row: 0,
            failures: 0,
        };
        snapshot.components[0].liveness = Some(probed);
        let document = include_str!("../../../docs/metrics.md");
        assert_eq!(table::rows(&exposition(&snapshot)), table::documented(document, "launcher"));
    }

    #[test]
    fn it_tells_of_the_whole_of_each_component_and_of_dependencies() {
        let text = exposition(&sample::snapshot());
        for line in [
            "launcher_healthy 0",
            "launcher_start_time_seconds 1795244400",
            "launcher_memory_bytes 7000000",
            "# TYPE launcher_component_restarts_total counter",
            "launcher_component_restarts_total{component=\"chat-server\"} 3",
            "launcher_component_next_try_seconds{component=\"chat-server\"} 1.2",
            "launcher_component_memory_bytes{component=\"message-api\"} 12345678",
            "launcher_component_state{component=\"message-api\",state=\"ready\"} 1",
            "launcher_component_state{component=\"message-api\",state=\"failed\"} 0",
            "launcher_dependency_up{dependency=\"mongodb\"} 0",
        ] {
            assert!(text.lines().any(|other| other == line), "'{line}' is not in:\n{text}");
        }
        assert!(!text.contains("launcher_component_memory_bytes{component=\"openai-bot\"}"), "{text}");
    }
}
