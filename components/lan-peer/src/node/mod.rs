//! What all parts share: one [`Node`]. [`people`] is what it knows of the others, [`view`] what it shows of them, [`networks`] keeps the list
//! of networks.

mod networks;
mod people;
mod state;
mod view;

pub(crate) use networks::watch_networks;
pub(crate) use people::{Heard, Owner, Route, Welcome};
pub(crate) use state::{Node, Place};
pub(crate) use view::tell_changes;
