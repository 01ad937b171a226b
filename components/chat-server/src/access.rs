//! Who may be whom: which name a connection gets, by what right, and what is noted of that.

pub(crate) mod journal;
pub(crate) mod login;
pub(crate) mod registrar;
