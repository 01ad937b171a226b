//! What answers the operations, by topic.

pub(super) mod chat;
pub(super) mod control;
pub(super) mod crashes;
pub(super) mod doctor;
pub(super) mod events;
pub(super) mod logs;
pub(super) mod reload;
pub(super) mod session;
pub(super) mod status;
