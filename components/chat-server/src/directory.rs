//! Who is online with which sessions, who came and went, and who ever registered.

pub(crate) mod client_book;
pub(crate) mod listing;
pub(crate) mod presence;
pub(crate) mod roster;
