//! Programs of the old kind: one TCP connection a message, in the clear, nothing confirmed.

pub(crate) mod inlet;
pub(crate) mod outlet;
pub(crate) mod turns;
