//! The legacy protocol: one TCP connection per message, unencrypted, without acknowledgements.

pub(crate) mod receiver;
pub(crate) mod send_locks;
pub(crate) mod sender;
