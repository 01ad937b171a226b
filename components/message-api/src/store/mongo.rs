//! temporary
use crate::store::{Answer, Committed, Range, StatePut, Store, Unseen};
use std::sync::Arc;
/// x
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct MongoOpenError;
impl MongoOpenError {
    pub(super) fn exit(&self) -> kit::Exit {
        kit::Exit::Unavailable
    }
}
/// x
pub struct MongoStore;
impl MongoStore {
    pub(super) async fn open(_: &str, _: Arc<dyn Committed>) -> Result<Self, MongoOpenError> {
        Err(MongoOpenError)
    }
}
use protocol::api::*;
use protocol::native::*;
use protocol::*;
impl Store for MongoStore {
    fn append(&self, _: Vec<Draft>) -> Answer<'_, Vec<Appended>> {
        unreachable!()
    }
    fn unseen<'a>(&'a self, _: &'a UserName, _: Option<&'a str>, _: usize) -> Answer<'a, Unseen> {
        unreachable!()
    }
    fn conversations<'a>(&'a self, _: &'a UserName, _: usize) -> Answer<'a, Vec<ConversationSummary>> {
        unreachable!()
    }
    fn events<'a>(&'a self, _: &'a ConversationId, _: Range, _: usize) -> Answer<'a, EventPage> {
        unreachable!()
    }
    fn move_cursors(&self, _: Vec<CursorMove>) -> Answer<'_, ()> {
        unreachable!()
    }
    fn register(&self, _: RegisterUser) -> Answer<'_, ()> {
        unreachable!()
    }
    fn users(&self) -> Answer<'_, Vec<User>> {
        unreachable!()
    }
    fn state<'a>(
        &'a self,
        _: &'a UserName,
    ) -> Answer<'a, std::collections::BTreeMap<String, serde_json::Value>> {
        unreachable!()
    }
    fn put_state(&self, _: StatePut) -> Answer<'_, ()> {
        unreachable!()
    }
    fn durability(&self) -> Durability {
        unreachable!()
    }
    fn close(&self) -> Answer<'_, ()> {
        unreachable!()
    }
}
