//! The one list of operations, but for that of the document itself.

use axum::http::StatusCode;
use schemars::JsonSchema;

use super::api::{chat, control, crashes, doctor, events, logs, reload, session, status};
use super::operation::Operation;
use super::stream;

/// The metrics' text.
#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "it says in the document what the answer is")]
struct Text(String);

/// All operations, in the order in which they are documented.
pub(super) fn all() -> Vec<Operation> {
    looks().into_iter().chain(changes()).collect()
}

fn looks() -> Vec<Operation> {
    vec![
        Operation::show("/session", session::session)
            .says("Show what this console is", "The version, the data directory, and whether changes are allowed."),
        Operation::show("/status", status::status)
            .says("Show the state of all components", "As `launcher status --json`, with what their processes take."),
        Operation::show("/components/{name}", status::explain)
            .says("Explain a component's state", "As `launcher why`: what it waits for, its newest crash report, the end of its log."),
        Operation::show("/history", status::history)
            .says("Show the load of the last hour", "Sampled every ten seconds while a page follows the stream, and not otherwise; with the restarts of each minute from the events."),
        Operation::show("/events", events::events)
            .says("List what happened", "The last lines of `events.jsonl`, oldest first."),
        Operation::show("/crashes", crashes::list)
            .says("List crash reports", "Oldest first, without their log lines."),
        Operation::show("/crashes/{id}", crashes::one)
            .says("Show a crash report", "By its id, or the newest of a component by its name."),
        Operation::show("/logs", logs::logs)
            .says("Show log lines", "The last lines of all logs or some, merged by time, rotated files included."),
        Operation::show("/logs/verify", logs::verify)
            .says("Verify the logs against their checksums", "As `launcher logs --verify`."),
        Operation::show("/doctor", doctor::doctor)
            .says("Diagnose this machine", "As `launcher doctor --json`; takes up to about ten seconds."),
        Operation::raw::<_, Text, _>("/metrics", "text/plain; version=0.0.4", status::metrics)
            .says("Show the launcher's metrics", "As `launcher metrics`: text for Prometheus."),
        Operation::raw::<_, stream::Message, _>("/stream", "text/event-stream", stream::stream)
            .says("Follow what happens", "Server-sent events: state, events and log lines. A client that reads too slowly is told `lagged` and disconnected."),
        Operation::show("/reload", reload::plan)
            .says("Show what a reload would change", "As `launcher reload --plan`."),
        Operation::show("/users", chat::users)
            .says("List the users who have ever logged in", "As `launcher users --json`, in order of first login, a page of at most 5000 at a time."),
        Operation::show("/trace/{message}", chat::trace)
            .says("Trace a message from acceptance to delivery", "As `launcher trace --json`."),
        Operation::show("/retention", chat::expired)
            .says("Count expired messages", "As `launcher retention`. Where messages are kept forever it is refused with 409."),
    ]
}

fn changes() -> Vec<Operation> {
    let accepted = StatusCode::ACCEPTED;
    vec![
        Operation::change("/reload", StatusCode::OK, reload::apply)
            .says("Apply the changed configuration", "As `launcher reload`; `yes` agrees to what needs consent."),
        Operation::change("/start", accepted, control::start)
            .says("Start components", "Each by its name, or `all`. The answer comes at once; the state tells how it goes."),
        Operation::change("/stop", accepted, control::stop)
            .says("Stop components and keep them stopped", "As for start."),
        Operation::change("/restart", accepted, control::restart)
            .says("Restart components", "As for start."),
        Operation::change("/retention", StatusCode::OK, chat::delete)
            .says("Delete expired messages", "As `launcher retention --yes`."),
        Operation::change("/backup", StatusCode::OK, chat::backup)
            .says("Back up all messages to a file", "As `launcher backup`, into a new file on the launcher's machine. The answer comes when the file was verified; a client that leaves before ends it."),
        Operation::change("/down", accepted, control::down)
            .says("Stop the launcher and all components", "As `launcher down`: the console ends, too."),
        Operation::change("/login", StatusCode::OK, session::login)
            .says("Exchange a login link for the token", "For the page: a link of `launcher console` holds a code that is valid for five minutes, and once.")
            .open(),
    ]
}
