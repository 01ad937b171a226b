//! Who hears what is written to `events.jsonl`.

use std::sync::Arc;

use tokio::sync::broadcast;

/// Lines that one who listens may be behind; after that they are told how many they missed.
const UNHEARD: usize = 256;

/// Who hears each line as it is written, without its end. With nobody listening it costs nothing.
pub(crate) type Audience = broadcast::Sender<Arc<str>>;

/// An audience of nobody yet.
pub(crate) fn audience() -> Audience {
    broadcast::Sender::new(UNHEARD)
}
