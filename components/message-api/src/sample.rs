//! Events and drafts for tests, and a service on a store of their own.

use std::path::Path;
use std::sync::Arc;

use protocol::{Body, Draft, Event, UserName};
use uuid::Uuid;

use crate::StoreConfig;
use crate::budget::Budget;
use crate::feed::Feed;
use crate::retention::Rule;
use crate::service::Service;

pub(crate) fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

pub(crate) fn draft(sender: &str, destination: &str, body: &str) -> Draft {
    Draft::chat(name(sender), &name(destination), Body::parse(body).unwrap())
}

/// Event `seq` of alice's messages to bob.
pub(crate) fn event(seq: u64) -> Event {
    let draft = draft("alice", "bob", &format!("message {seq}"));
    let at = protocol::Timestamp::from_micros(i64::try_from(seq).unwrap());
    draft.into_event(Uuid::now_v7(), seq, at)
}

/// A service on a store in this directory.
pub(crate) async fn service(data: &Path, config: &StoreConfig) -> Service {
    let context = kit::Context {
        shutdown: tokio_util::sync::CancellationToken::new(),
        notifier: kit::Notifier::default(),
        service_token: kit::Secret::new(String::new()),
        data: data.to_owned(),
    };
    let feed = Arc::new(Feed::default());
    let store = crate::store::open(config, data, feed.clone(), crate::store::no_progress()).await.unwrap();
    let budget = Budget::new(&crate::Config::default(), &[]);
    Service::new(store, feed, Vec::new(), (Rule::of(config), budget), &context)
}
