//! The words and formats of P2P Chat: names, messages, events, and every wire format, as plain data and pure functions.
//!
//! Nothing here knows about sockets, clocks or processes. A value that exists is valid: bytes from outside are parsed
//! once, at the border, into these types.
//!
//! * [`name`], [`address`], [`body`], [`metadata`], [`message`], [`conversation`], [`event`], [`time`]: the data.
//! * [`sanitise`]: what of all this may be shown on a terminal or in a log.
//! * [`text`] and [`book`]: the line dialects. [`native`]: JSON lines. [`web`]: the browser's frames.
//! * [`lan`]: what machines on one network say to each other without a server.
//! * [`api`]: the bodies of the message API's requests and answers.

pub mod address;
pub mod api;
pub mod body;
pub mod book;
pub mod conversation;
pub mod draft;
pub mod event;
pub mod lan;
pub mod limits;
pub mod message;
pub mod metadata;
pub mod name;
pub mod native;
pub mod sanitise;
pub mod text;
pub mod time;
pub mod web;

mod validated;

pub use address::{Address, RoomName};
pub use body::Body;
pub use conversation::ConversationId;
pub use draft::Draft;
pub use event::Event;
pub use message::{ClientId, MessageType};
pub use metadata::Metadata;
pub use name::{NewName, Reserved, UserName};
pub use time::Timestamp;
