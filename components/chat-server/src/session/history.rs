//! A page of a conversation: reads it, and renders it within the memory budget.

use std::time::Duration;

use protocol::ConversationId;
use protocol::limits::{PAGE_EVENTS, SERVER_FRAME_BYTES};
use transport::ApiError;
use transport::api::Range;

use super::answers::Answer;
use crate::backend::page_budget::SHORT;
use crate::dialect::Dialect;
use crate::dialect::codec::{HistoryPage, Reply};
use crate::dialect::request::HistoryRequest;
use crate::server::Server;

/// After this time the client is told to ask again.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Reads a page. It is shortened if the budget has no memory for a long one, and for a session that still has unsent output, for which
/// `may_be_long` is false.
pub(super) async fn answer(
    server: &Server,
    dialect: Dialect,
    conversation: ConversationId,
    request: HistoryRequest,
    may_be_long: bool,
) -> Answer {
    let HistoryRequest { with, before, limit } = request;
    let limit = limit.map_or(PAGE_EVENTS, |limit| PAGE_EVENTS.min(limit as usize)).max(1);
    let backend = &server.backend;
    let read = async {
        let reading = backend.pages.permit_read(limit).await;
        let read = backend.api.events(&conversation, Range::Before(before), limit);
        Ok::<_, ApiError>((backend.read_once(read).await?, reading))
    };
    let Ok(Ok((page, reading))) = tokio::time::timeout(TIMEOUT, read).await else {
        return Answer::Bytes(dialect.reply(Reply::Unavailable));
    };
    let mut permit = if may_be_long { backend.pages.reserve_bytes(SERVER_FRAME_BYTES) } else { None };
    let most = if permit.is_some() { SERVER_FRAME_BYTES } else { SHORT };
    let page = HistoryPage { with, conversation, events: page.events, more: page.more };
    let bytes = dialect.reply(Reply::History(page, most));
    drop(reading);
    if let Some(permit) = &mut permit {
        permit.shrink_to(bytes.len());
    }
    Answer::Page(bytes, permit.unwrap_or_default())
}
