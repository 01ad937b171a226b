//! Checks the system's limits for processes.

use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::config::Loaded;

/// Files that a server has open besides its clients' connections.
const OTHER_FILES: u64 = 100;
/// With fewer not even the launcher can run.
const FEWEST: u64 = 256;
/// The longest backlog of connections that we ask for, as in `kit::listen`.
const BACKLOG: u64 = 4096;

/// How many files a process may have open; each connection is one. The launcher and its components raise the limit to the hard limit
/// themselves; other programs get the soft limit.
pub(super) fn open_files(loaded: &Loaded) -> Finding {
    const CHECK: &str = "open files";
    let limit = getrlimit(Resource::Nofile);
    let Some(hard) = limit.maximum else { return Finding::ok(CHECK, "no limit") };
    let connections = loaded.settings.chat_server.max_connections as u64;
    let wanted = connections.saturating_add(OTHER_FILES);
    let soft = limit.current.filter(|soft| *soft != hard);
    let yours = soft.map(|soft| format!("; programs of your own get {soft}")).unwrap_or_default();
    let found = format!("{hard} per process, for up to {connections} connections{yours}");
    let advice = format!(
        "raise it: LimitNOFILE={wanted} in the unit, or ulimit -Hn {wanted}; or lower chat-server.max-connections"
    );
    if hard < FEWEST {
        Finding::fail(CHECK, found, advice)
    } else if hard < wanted {
        Finding::warn(CHECK, found, advice)
    } else {
        Finding::ok(CHECK, found)
    }
}

/// How many connections may wait while a server restarts.
pub(super) fn backlog() -> Finding {
    const CHECK: &str = "backlog";
    const FILE: &str = "/proc/sys/net/core/somaxconn";
    let allowed = std::fs::read_to_string(FILE).ok().and_then(|text| text.trim().parse::<u64>().ok());
    match allowed {
        None => Finding::ok(CHECK, "the system does not report its listen backlog"),
        Some(allowed) if allowed < BACKLOG => {
            let found = format!("at most {allowed} connections wait while a server is restarted");
            Finding::warn(CHECK, found, format!("sysctl -w net.core.somaxconn={BACKLOG}"))
        }
        Some(allowed) => Finding::ok(
            CHECK,
            format!("up to {} connections wait while a server is restarted", allowed.min(BACKLOG)),
        ),
    }
}
