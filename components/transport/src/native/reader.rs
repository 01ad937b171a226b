//! The reading half of a connection: frames from bytes.

use protocol::limits::SERVER_FRAME_BYTES;
use protocol::native::ServerFrame;

use super::state::{End, lost};
use crate::lines::{Line, Lines};
use crate::tls::Input;

/// What the server sends.
pub(super) struct Reader(Lines<Input>);

impl Reader {
    pub(super) fn new(half: Input) -> Self {
        Self(Lines::new(half, SERVER_FRAME_BYTES))
    }

    /// The next frame. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<ServerFrame, End> {
        loop {
            match self.0.next().await? {
                None => return Err(lost("the server closed the connection")),
                Some(Line::TooLong) => return Err(lost("the server sent a frame that is too long")),
                // Anything before the first brace is the prompt for interactive users.
                Some(Line::Text(line)) => match line.find('{').map(|at| serde_json::from_str(&line[at..])) {
                    Some(Ok(frame)) => return Ok(frame),
                    // A newer server may send unknown frames.
                    Some(Err(error)) => {
                        tracing::debug!(%error, "a frame that is not understood is ignored")
                    }
                    None => return Err(lost("no chat server answers there; is it the right port?")),
                },
            }
        }
    }
}
