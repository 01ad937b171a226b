//! The data types and formats of P2P Chat: names, messages, events, and every wire format, as plain data and pure functions.
//!
//! No sockets, clocks or processes here. Every value is valid by construction: input is parsed into these types once, where it enters the
//! program.
//!
//! * [`name`], [`address`], [`body`], [`metadata`], [`message`], [`conversation`], [`event`], [`time`]: the data.
//! * [`sanitise`]: which characters may be written to a terminal or a log.
//! * [`text`] and [`book`]: the line dialects. [`native`]: JSON lines. [`web`]: the browser's frames.
//! * [`lan`]: the protocols between machines on one network, without a server.
//! * [`account`]: which names are protected.
//! * [`api`]: the bodies of the message API's requests and answers.

pub mod account;
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
