//! One entry of a conversation's log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Body, ClientId, ConversationId, MessageType, Metadata, Timestamp, UserName};

/// A message that has its place: entry `seq` of `conversation`. It never changes and is durable when anybody sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// A UUID version 7, unique over all conversations.
    pub id: Uuid,
    /// The log it is in.
    pub conversation: ConversationId,
    /// Its place in that log, dense from 1.
    pub seq: u64,
    /// When it was stored; grows with `seq` within a conversation, whatever the clock does.
    pub at: Timestamp,
    /// Who said it.
    pub sender: UserName,
    /// To whom.
    pub destination: UserName,
    /// What was said.
    #[serde(deserialize_with = "crate::validated::stored_body")]
    pub body: Body,
    /// What kind of message it is.
    #[serde(rename = "type", default)]
    pub kind: MessageType,
    /// What it carries beside its text.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The sender's id of it.
    pub client_id: ClientId,
    /// When its sender said it, as far as the sender told; otherwise the same as `at`.
    pub timestamp: Timestamp,
}
