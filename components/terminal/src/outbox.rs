//! Sends waiting messages of the history in order, and collects the answers.

use protocol::ClientId;
use protocol::native::Ack;
use tokio::task::JoinSet;
use transport::{NativeClient, SendError};

use crate::history::keeper::{HistoryError, Keeper};

/// Most messages in flight. Overflow rule: the others wait in the history.
const IN_FLIGHT: usize = 256;

/// Sends messages from the history to the server.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// The row of the last submitted message.
    after: i64,
    /// Whether the history may have more messages to submit.
    more: bool,
    answers: JoinSet<(ClientId, Result<Ack, SendError>)>,
}

impl Outbox {
    /// A message was added to the history.
    pub(crate) fn filled(&mut self) {
        self.more = true;
    }

    /// Submits as many messages as there is room for.
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
            // The client has ended; the message waits for the next one.
            let Ok(answer) = client.submit(message.send).await else { return Ok(()) };
            self.answers.spawn(async move { (id, answer.await.unwrap_or(Err(SendError::Ended))) });
        }
        Ok(())
    }

    /// The next answers; `None` while nothing is in flight. Cancel-safe.
    pub(crate) async fn answers(&mut self) -> Option<Vec<(ClientId, Result<Ack, SendError>)>> {
        let mut answers = vec![self.answers.join_next().await?];
        while let Some(answer) = self.answers.try_join_next() {
            answers.push(answer);
        }
        let answer = |answer: Result<_, _>| answer.expect("a task that waits for an answer does not panic");
        Some(answers.into_iter().map(answer).collect())
    }
}
