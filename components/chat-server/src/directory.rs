//! The online directory: who is online in which sessions, presence changes, and the registered users.

pub(crate) mod client_book;
pub(crate) mod online_names;
pub(crate) mod presence;
pub(crate) mod protected_names;
pub(crate) mod roster;
