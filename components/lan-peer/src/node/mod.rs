//! The shared state of all parts: one [`Node`]. [`people`] is its knowledge of peers, [`view`] what it shows of them, [`networks`] watches
//! the networks.

mod networks;
mod people;
mod state;
mod view;

pub(crate) use networks::watch_networks;
pub(crate) use people::{Owner, Route, SightingResult, Welcome};
pub(crate) use state::{Node, Place};
pub(crate) use view::tell_changes;
