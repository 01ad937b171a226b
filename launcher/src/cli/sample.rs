//! A sample state for tests of its views.

use uuid::Uuid;

use crate::supervisor::Snapshot;
use crate::supervisor::status::Load;
use crate::supervisor::status::{ComponentStatus, DependencyState, DependencyStatus, Dropped, State};

/// One component of each kind.
pub(crate) fn snapshot() -> Snapshot {
    let load = Load { processes: 1, cpu_percent: 0.31, cpu_s: 1.5, memory_bytes: 12_345_678 };
    let ready = ComponentStatus {
        pid: Some(4_194_303),
        address: Some("http://127.0.0.1:8000".to_owned()),
        ready_ms: Some(120),
        uptime_s: Some(3700),
        status_text: Some("12 clients".to_owned()),
        load: Some(load),
        ..component("message-api", State::Ready)
    };
    let crashed = ComponentStatus {
        restarts: 3,
        last_error: Some(
            "was killed by SIGKILL: the last line that it wrote was a rather long one".to_owned(),
        ),
        reason: Some("restarts in 1.2 s".to_owned()),
        next_try_ms: Some(1200),
        ..component("chat-server", State::Backoff)
    };
    let skipped = ComponentStatus {
        reason: Some("no OPENAI_API_KEY; set it in the environment or in .env".to_owned()),
        ..component("openai-bot", State::Skipped)
    };
    let waiting = ComponentStatus {
        reason: Some("waits for chat-server (backoff), mongodb".to_owned()),
        waits_for: ["chat-server", "mongodb"].map(str::to_owned).into(),
        ..component("a-very-long-name-of-a-service", State::Waiting)
    };
    Snapshot {
        run_id: Uuid::nil(),
        launcher_pid: 4711,
        started_at: "2026-11-21T07:00:00Z".to_owned(),
        stopping: false,
        logs: "/var/log/p2p-chat".into(),
        components: vec![ready, crashed, skipped, waiting],
        dependencies: vec![DependencyStatus {
            name: "mongodb".to_owned(),
            state: DependencyState::Degraded,
            since: "2026-11-21T07:00:00Z".to_owned(),
            reason: Some("refuses connections".to_owned()),
        }],
        groups: [].into(),
        awaited: Vec::new(),
        console: None,
        load: Some(Load { memory_bytes: 7_000_000, ..load }),
    }
}

/// A component without any details.
pub(crate) fn component(name: &str, state: State) -> ComponentStatus {
    ComponentStatus {
        name: name.to_owned(),
        state,
        pid: None,
        address: None,
        restarts: 0,
        ready_ms: None,
        uptime_s: None,
        last_error: None,
        reason: None,
        needs: Vec::new(),
        waits_for: Vec::new(),
        next_try_ms: None,
        status_text: None,
        log: Dropped::default(),
        required: true,
        autostart: true,
        limits: Vec::new(),
        same_crashes: 0,
        load: None,
        liveness: None,
        schedule: None,
    }
}
