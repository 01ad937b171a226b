//! Hands what waits in the history to the connection, in the order it was said, and gathers the answers.

use protocol::ClientId;
use protocol::native::Ack;
use tokio::task::JoinSet;
use transport::{NativeClient, SendError};

use crate::history::keeper::{HistoryError, Keeper};

/// Messages that the connection has and the server has not answered. Overflow rule: the others wait in the history.
const IN_FLIGHT: usize = 256;

/// The way from the history to the server.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// The row of the last message handed over.
    after: i64,
    /// The history may hold more than was handed over.
    more: bool,
    answers: JoinSet<(ClientId, Result<Ack, SendError>)>,
}

impl Outbox {
    /// Something was said.
    pub(crate) fn filled(&mut self) {
        self.more = true;
    }

    /// Hands over what there is room for.
    pub(crate) async fn pump(&mut self, keeper: &Keeper, client: &NativeClient) -> Result<(), HistoryError> {
        let room = IN_FLIGHT.saturating_sub(self.answers.len());
        if !self.more || room == 0 {
            return Ok(());
        }
        let after = self.after;
        let waiting = keeper.ask(move |history| history.waiting(after, room)).await?;
        self.more = waiting.len() == room;
        for message in waiting {
            self.after = message.row;
            let id = message.send.client_id.clone();
            // A client that ended sends nothing more; the message waits for the next one.
            let Ok(answer) = client.submit(message.send).await else { return Ok(()) };
            self.answers.spawn(async move { (id, answer.await.unwrap_or(Err(SendError::Ended))) });
        }
        Ok(())
    }

    /// The next answers; `None` while nothing is on its way. Cancel-safe.
    pub(crate) async fn answers(&mut self) -> Option<Vec<(ClientId, Result<Ack, SendError>)>> {
        let mut answers = vec![self.answers.join_next().await?];
        while let Some(answer) = self.answers.try_join_next() {
            answers.push(answer);
        }
        let answer = |answer: Result<_, _>| answer.expect("a task that waits for an answer does not panic");
        Some(answers.into_iter().map(answer).collect())
    }
}
