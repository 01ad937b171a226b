//! The native dialect: one JSON object per line on the chat port, or per text frame on the WebSocket.
//!
//! `frames` lists all frames, `payload` has their content. `docs/protocol.md` documents every frame and field; `tests/protocol_document.rs`
//! compares that page with these types.
//! Unknown fields are ignored, so that both sides can add fields; an unknown `type` is answered with an `error`.

mod frames;
mod payload;

pub use frames::{ClientFrame, ServerFrame, parse_client_frame};
pub use payload::{
    Ack, ConversationSummary, Device, DeviceError, Durability, ErrorCode, ErrorFrame, EventFrame, Hello,
    HistoryPage, HistoryRequest, Seen, Send, Trace, TraceRequest, TraceStage, TraceStep, Welcome,
};
