//! Lines whose meaning depends on who is registered.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use protocol::UserName;
use tokio::time::Instant;

use super::answers::Answer;
use super::in_doubt::InDoubt;
use crate::delivery::retry_fence::RetryFence;
use crate::dialect::Dialect;
use crate::dialect::codec::Resolved;
use crate::dialect::request::NewMessage;
use crate::outcome::{Outcome, SentMessage};
use crate::server::Server;

/// A person learns within a second that the store is unavailable, whether for the lookup or for the message.
const ANSWER_WITHIN: Duration = Duration::from_millis(950);

/// Looks up the recipient of a line, and stores its message.
pub(super) async fn answer(
    server: &Server,
    dialect: Dialect,
    sender: &UserName,
    line: &str,
    in_doubt: &InDoubt,
) -> Answer {
    let Some(lookup) = dialect.lookup() else { return Answer::Bytes(Bytes::new()) };
    let deadline = Instant::now() + ANSWER_WITHIN;
    let names = lookup.candidates(line);
    let known = if names.is_empty() {
        HashSet::new()
    } else {
        let look_up = server.backend.read_once(server.backend.api.known(names));
        match tokio::time::timeout_at(deadline, look_up).await {
            Ok(Ok(known)) => known.into_iter().collect(),
            Ok(Err(_)) | Err(_) => return Answer::Bytes(lookup.unresolved()),
        }
    };
    // A user who has just logged in may not be registered yet.
    let is_known = |name: &UserName| known.contains(name) || server.hub.is_online(name);
    match lookup.resolve(sender, line, &is_known) {
        Resolved::Message(outgoing) => {
            let NewMessage { to, draft, .. } = *outgoing;
            let draft = in_doubt.recognise(draft);
            let sent = SentMessage::new(to, &draft);
            let stored = async { server.appender.submit(draft, &RetryFence::NONE).await.await };
            let outcome = tokio::time::timeout_at(deadline, stored).await;
            Answer::Outcome(sent, outcome.ok().and_then(Result::ok).unwrap_or(Outcome::Unknown))
        }
        Resolved::Invalid(answer) => Answer::Bytes(answer),
    }
}
