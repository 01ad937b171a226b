//! Events and drafts for tests.

use protocol::{Body, Draft, Event, UserName};
use uuid::Uuid;

pub(crate) fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

pub(crate) fn draft(sender: &str, destination: &str, body: &str) -> Draft {
    Draft::chat(name(sender), &name(destination), Body::parse(body).unwrap())
}

/// The event `seq` of what alice says to bob.
pub(crate) fn event(seq: u64) -> Event {
    let draft = draft("alice", "bob", &format!("message {seq}"));
    let at = protocol::Timestamp::from_micros(i64::try_from(seq).unwrap());
    draft.into_event(Uuid::now_v7(), seq, at)
}
