//! Who may be whom and do what: which name a connection gets and by what right, how much it may ask for, and what is noted of that.
//!
//! The life of a login: [`door`] → [`login`], which asks who is there → [`admission`], which decides → [`greeting`].

pub(crate) mod admission;
pub(crate) mod allowance;
pub(crate) mod door;
pub(crate) mod greeting;
pub(crate) mod journal;
pub(crate) mod login;
pub(crate) mod registrar;
