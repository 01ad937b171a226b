//! A line whose meaning depends on who is registered: looked up, and done.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use protocol::UserName;
use tokio::time::Instant;

use super::answers::Answer;
use super::unsure::Unsure;
use crate::delivery::lane::Lane;
use crate::dialect::Dialect;
use crate::dialect::request::Outgoing;
use crate::dialect::speech::Resolved;
use crate::outcome::{Outcome, Said};
use crate::server::Server;

/// Whoever types hears within a second that the store is away, whether it is looked up or written to.
const ANSWER_WITHIN: Duration = Duration::from_millis(950);

/// Looks up whom a line is for, and stores what it says.
pub(super) async fn answer(
    server: &Server,
    dialect: Dialect,
    sender: &UserName,
    line: &str,
    unsure: &Unsure,
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
    // Who has only just logged in may not be in the book yet.
    let is_known = |name: &UserName| known.contains(name) || server.hub.is_online(name);
    match lookup.resolve(sender, line, &is_known) {
        Resolved::Say(outgoing) => {
            let Outgoing { to, draft, .. } = *outgoing;
            let draft = unsure.recognise(draft);
            let said = Said::new(to, &draft);
            let lane = Lane::default();
            let stored = async { server.appender.submit(draft, &lane).await.await };
            let outcome = tokio::time::timeout_at(deadline, stored).await;
            Answer::Outcome(said, outcome.ok().and_then(Result::ok).unwrap_or(Outcome::Later))
        }
        Resolved::Mistake(answer) => Answer::Bytes(answer),
    }
}
