//! What is to be done about what happened.

use protocol::native::{Ack, ClientFrame, ConversationSummary, ErrorFrame, HistoryPage, Send};
use protocol::{ClientId, ConversationId, Event, UserName};
use uuid::Uuid;

use crate::item::Item;
use crate::typed::Act;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Show this.
    Show(Item),
    /// Keep what the user says now, and send it. [`Model::said`] is told.
    Say(Send),
    /// Keep what the server tells. [`Model::kept`] is told what is news.
    Keep(Event),
    /// Keep a page of the past, and show it if it was asked for.
    Past(HistoryPage),
    /// Show so many of the last messages with somebody that are kept.
    Recall(UserName, u32),
    /// Show what is kept that holds this text.
    Search(String),
    /// Keep that a message is stored. [`Model::stored`] is told.
    Settle(Ack),
    /// Keep that a message was refused, for this reason. [`Model::refused`] is told.
    Refuse(ClientId, String),
    /// Show what an earlier session kept and did not come to show.
    Unseen,
    /// Keep what the server knows of the conversations, and the name of its log.
    Greet(Vec<ConversationSummary>, Option<Uuid>),
    /// Keep, and tell the server, how far a conversation was shown.
    Seen(ConversationId, u64),
    /// Keep how far a conversation was shown elsewhere.
    SeenElsewhere(ConversationId, u64),
    /// Ask the server this.
    Ask(ClientFrame),
    /// Show the list of conversations as it is now.
    Refill,
    /// Do what the user wants on the screen.
    Do(Act),
    /// The user wants to leave.
    Leave,
    /// The server will not have this name.
    Rejected(Box<ErrorFrame>),
}
