//! A page of a conversation: read, and said in no more bytes than there is room for.

use std::time::Duration;

use protocol::ConversationId;
use protocol::limits::{PAGE_EVENTS, SERVER_FRAME_BYTES};
use transport::ApiError;
use transport::api::Range;

use super::answers::Answer;
use crate::backend::room::SHORT;
use crate::dialect::Dialect;
use crate::dialect::request::HistoryRequest;
use crate::dialect::speech::{HistoryPage, Reply};
use crate::server::Server;

/// A page that is not there by then is asked for again by the client.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Reads a page. It is cut short where there is no room for a long one, and for a session that has yet to take what it was sent before,
/// for which `may_be_long` is false.
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
        let reading = backend.room.to_read(limit).await;
        let read = backend.api.events(&conversation, Range::Before(before), limit);
        Ok::<_, ApiError>((backend.read_once(read).await?, reading))
    };
    let Ok(Ok((page, reading))) = tokio::time::timeout(TIMEOUT, read).await else {
        return Answer::Bytes(dialect.reply(Reply::AskAgain));
    };
    let mut kept = if may_be_long { backend.room.to_keep_bytes(SERVER_FRAME_BYTES) } else { None };
    let most = if kept.is_some() { SERVER_FRAME_BYTES } else { SHORT };
    let page = HistoryPage { with, conversation, events: page.events, more: page.more };
    let bytes = dialect.reply(Reply::History(page, most));
    drop(reading);
    if let Some(kept) = &mut kept {
        kept.shrink_to(bytes.len());
    }
    Answer::Page(bytes, kept.unwrap_or_default())
}
