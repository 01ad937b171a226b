//! The effects of the model.

use protocol::native::{Ack, ClientFrame, ConversationSummary, ErrorFrame, HistoryPage, Send};
use protocol::{ClientId, ConversationId, Event, UserName};
use uuid::Uuid;

use crate::item::Item;
use crate::typed::Act;

/// An effect to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Show an item.
    Show(Item),
    /// Save a message of the user and send it. Then call [`Model::saved`].
    Say(Send),
    /// Save an event from the server. Then call [`Model::kept`] with what is new.
    Keep(Event),
    /// Save a page of history, and show it if it was requested.
    Past(HistoryPage),
    /// Show the last saved messages with a user.
    Recall(UserName, u32),
    /// Show saved messages that contain this text.
    Search(String),
    /// Save that a message is stored. Then call [`Model::stored`].
    Settle(Ack),
    /// Save that a message was rejected. Then call [`Model::refused`].
    Refuse(ClientId, String),
    /// Show messages that an earlier session saved but did not show.
    Unseen,
    /// Save the server's state of the conversations and the id of its log.
    Greet(Vec<ConversationSummary>, Option<Uuid>),
    /// Save, and report to the server, how far a conversation was shown.
    Seen(ConversationId, u64),
    /// Save how far a conversation was shown on another device.
    SeenElsewhere(ConversationId, u64),
    /// Send this request to the server.
    Ask(ClientFrame),
    /// Update the list of conversations.
    Refill,
    /// Execute an action of the full screen.
    Do(Act),
    /// The user wants to leave.
    Leave,
    /// The server rejected this name.
    Rejected(Box<ErrorFrame>),
}
