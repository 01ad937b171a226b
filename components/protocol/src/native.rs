//! The native dialect: one JSON object a line on the chat port, or one a text frame on the WebSocket.
//!
//! `frames` is the list of all frames; what they carry is in `payload`. `docs/protocol.md` shows every frame and field;
//! `tests/protocol_document.rs` holds that page to these types.
//! Unknown fields are ignored, so both sides may learn new ones; an unknown `type` is answered with an `error`.

mod frames;
mod payload;

pub use frames::{ClientFrame, ServerFrame, parse_client_frame};
pub use payload::{
    Ack, ConversationSummary, Device, DeviceError, Durability, ErrorCode, ErrorFrame, EventFrame, Hello,
    HistoryPage, HistoryRequest, Seen, Send, Trace, TraceRequest, TraceStage, TraceStep, Welcome,
};
