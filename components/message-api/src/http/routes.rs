//! The route table: handlers, access and documentation.

use std::sync::{Arc, OnceLock};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use kit::http::openapi::schema;
use protocol::account::{
    AddAccount, ChangedAccounts, IssueToken, ListAccounts, RevokeToken, SetAccountState,
};
use protocol::api::{self, Call};
use protocol::limits::{BATCH_BYTES, BATCH_DRAFTS, LINE_BYTES, METADATA_BYTES, PAGE_EVENTS};

use super::input::Body;
use super::openapi;
use super::operation::Operation;
use super::problem::Refusal;
use super::route::{Access, Route};
use super::{accounts, backup, feed, guard, inbox, messages, native};
use crate::archive::Record;
use crate::service::Service;
use crate::store::STATE_KEYS;

/// A message with the largest body and metadata, every byte escaped.
const MESSAGE_BYTES: usize = 4 * LINE_BYTES;
/// A few thousand cursors.
const CURSORS_BYTES: usize = 1024 * 1024;

fn route(
    path: &'static str,
    access: Access,
    handler: MethodRouter<Arc<Service>>,
    operations: impl Into<Vec<Operation>>,
) -> Route {
    let limit = if path == api::AppendRequest::PATH {
        BATCH_BYTES
    } else if path == api::CursorMoves::PATH || path == "/messages/{user}/seen" {
        CURSORS_BYTES
    } else {
        MESSAGE_BYTES
    };
    Route {
        path,
        access,
        handler: handler.layer(DefaultBodyLimit::max(limit)).layer(from_fn_with_state(limit, guard::size)),
        operations: operations.into(),
    }
}

/// A route for a call, whose type has its path and method.
fn call<C: Call, F>(answer: fn(Arc<Service>, C) -> F, operation: Operation) -> Route
where
    F: Future<Output = Result<C::Answer, Refusal>> + Send + 'static,
{
    route(C::PATH, Access::Token, answers(answer), [operation])
}

fn answers<C: Call, F>(answer: fn(Arc<Service>, C) -> F) -> MethodRouter<Arc<Service>>
where
    F: Future<Output = Result<C::Answer, Refusal>> + Send + 'static,
{
    let handler = move |State(service), Body(call)| async move { answer(service, call).await.map(Json) };
    post(handler)
}

/// All routes except the probes and the pages.
pub(super) fn all() -> Vec<Route> {
    let mut routes = Vec::from(messages());
    routes.extend(users());
    routes.extend(accounts());
    routes.extend(logs());
    routes.extend(copies());
    routes.push(route("/openapi.json", Access::Open, get(document), []));
    routes
}

/// `GET /openapi.json`. It is constant, so it is rendered once.
async fn document() -> Response {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| openapi::document(&all()).to_string().into()).clone();
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}

fn messages() -> [Route; 5] {
    let send = Operation::new("post", "Send a message", "Stores a message for its destination. It is durable once this is answered, and is delivered at once to a recipient who is online.")
        .body(schema::<api::PostMessage>)
        .answer(schema::<api::Stored>);
    let read = Operation::new("get", "Read and take unread messages", "Hands over what the user has not read, oldest first, and marks it as seen once the client has read the whole answer. Asked again it answers an empty list. An answer that was not read to its end, or whose connection broke, comes again.")
        .query("ack", "`auto`, or `manual`: then nothing is marked as seen until `POST /messages/{user}/seen` says so, and each message has its `conversation` and `seq`.")
        .query("limit", "Messages at most; all of them where it is missing.")
        .answer(schema::<api::Inbox>);
    let seen = Operation::new("post", "Mark messages as seen", format!("For messages that were handed over with `ack=manual`: takes that answer as it is, or only `conversation` and `seq` of its messages, of which the last in each conversation is enough. At most {CURSORS_BYTES} bytes."))
        .body(schema::<api::SeenMessages>)
        .answer(schema::<api::Done>);
    let health =
        Operation::new("get", "Ask whether the server answers", "Says nothing of the store; `/readyz` does.")
            .answer(schema::<api::Health>);
    [
        route("/messages/", Access::Local, post(messages::post), [send]),
        route("/messages", Access::Local, post(messages::post), []),
        route("/messages/{user}", Access::Local, get(inbox::inbox), [read]),
        route("/messages/{user}/seen", Access::Local, post(inbox::seen), [seen]),
        route("/health", Access::Open, get(messages::health), [health]),
    ]
}

fn users() -> [Route; 7] {
    let list = Operation::new(
        "get",
        "List registered users",
        "Those who ever logged in, in order of first registration, a page at a time.",
    )
    .query("after", "The `last` of the page before.")
    .query("limit", "Users at most, 1 to 5000.")
    .answer(schema::<api::Users>);
    let register = Operation::call::<api::RegisterUser>("Register a user", "Notes that somebody logged in.");
    let known = Operation::call::<api::Names>(
        "Ask which names are registered",
        "Answers those of the names that are.",
    );
    let standing = Operation::call::<api::NameAsked>(
        "Ask whether a name can be taken",
        "Whether it is registered, and otherwise which registered name it looks like.",
    );
    let unseen = Operation::new(
        "get",
        "Page through unread events",
        "Oldest first over all conversations. Nothing is marked as seen.",
    )
    .query("after", "The `next` of the page before.")
    .query("limit", format!("Events at most, 1 to {PAGE_EVENTS}."))
    .answer(schema::<api::UnseenPage>);
    let conversations = Operation::new(
        "get",
        "List a user's conversations",
        format!("The most recent first, at most {PAGE_EVENTS}."),
    )
    .answer(schema::<api::Conversations>);
    let state = Operation::new("get", "Read what a service keeps", "All keys of one owner.")
        .answer(schema::<api::StateEntries>);
    let put_state = Operation::new(
        "put",
        "Keep a value for a service",
        format!(
            "`null` deletes the key. At most {STATE_KEYS} keys an owner, {METADATA_BYTES} bytes a value."
        ),
    )
    .body(schema::<api::StateValue>)
    .answer(schema::<api::Done>);
    let people = get(native::users).merge(answers(native::register));
    [
        route("/v1/users", Access::Token, people, [list, register]),
        call(native::known, known),
        call(native::standing, standing),
        route("/v1/users/{user}/unseen", Access::Token, get(native::unseen), [unseen]),
        route("/v1/users/{user}/conversations", Access::Token, get(native::conversations), [conversations]),
        route("/v1/state/{owner}", Access::Token, get(native::state), [state]),
        route("/v1/state/{owner}/{key}", Access::Token, put(native::put_state), [put_state]),
    ]
}

fn accounts() -> [Route; 6] {
    let add = Operation::call::<AddAccount>(
        "Register a name",
        "From then on it is used with its tokens alone, at every door.",
    );
    let issue = Operation::call::<IssueToken>(
        "Issue a token",
        "The answer is the only place where it is shown; its hash is kept.",
    );
    let revoke = Operation::call::<RevokeToken>(
        "Revoke a token",
        "Its sessions are closed within a second, on every server.",
    );
    let state = Operation::call::<SetAccountState>(
        "Suspend, resume or delete an account",
        "A deleted one keeps its name, and nobody can use it again.",
    );
    let list = Operation::call::<ListAccounts>("List accounts", "In order of their names, a page at a time.");
    let changed = Operation::call::<ChangedAccounts>(
        "Ask which accounts changed",
        "Those of the last minute, as they are now.",
    );
    [
        call(accounts::add, add),
        call(accounts::issue, issue),
        call(accounts::revoke, revoke),
        call(accounts::set_state, state),
        call(accounts::list, list),
        call(accounts::changed, changed),
    ]
}

fn copies() -> [Route; 3] {
    let backup = Operation::new("get", "Take a backup", "JSON lines: everything that is kept, while people write. A backup whose last line is missing is not whole.")
        .lines(schema::<Record>);
    let restore = Operation::call::<api::RestoreRequest>(
        "Restore a backup",
        "The store becomes what the file holds, all of it or nothing. With SQLite what was there is kept in a file beside it; with MongoDB the database must have no messages.",
    );
    let retention = Operation::call::<api::RetentionRequest>(
        "Count or delete old messages",
        "What store.retention-age and store.retention-count no longer keep: counted, or deleted, however much it is.",
    );
    [
        route("/v1/backup", Access::Token, get(backup::backup), [backup]),
        call(backup::restore, restore),
        call(backup::retention, retention),
    ]
}

fn logs() -> [Route; 4] {
    let append = Operation::call::<api::AppendRequest>(
        "Store a batch",
        format!(
            "Stores up to {BATCH_DRAFTS} drafts in order. All are durable once this is answered; a draft whose client id its sender used before yields the first result."
        ),
    );
    let feed = Operation::new("get", "Follow all events", "JSON lines without end: first where the feed begins, then every committed event, and a heartbeat every five seconds of silence.")
        .query("epoch", "The run of the feed that `after` belongs to.")
        .query("after", "Go on after this index.")
        .query("own", "The reader's id: the batches that name it as their `own.reader` are told only as their places, if the store can.")
        .lines(schema::<api::FeedFrame>);
    let events = Operation::new(
        "get",
        "Page through a conversation",
        "In order of `seq`. Without `after` and `before` the newest.",
    )
    .query("after", "Only events after this `seq`, from there on.")
    .query("before", "Only the newest events before this `seq`.")
    .query("limit", format!("Events at most, 1 to {PAGE_EVENTS}."))
    .answer(schema::<api::EventPage>);
    let cursors = Operation::call::<api::CursorMoves>(
        "Move cursors",
        "Marks conversations as seen. A cursor never moves back, and never past the end.",
    );
    [
        route(api::AppendRequest::PATH, Access::Token, post(native::append), [append]),
        route("/v1/feed", Access::Token, get(feed::feed), [feed]),
        route("/v1/conversations/{id}/events", Access::Token, get(native::events), [events]),
        call(native::cursors, cursors),
    ]
}
