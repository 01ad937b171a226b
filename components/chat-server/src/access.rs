//! Login: which name a connection may use and by what right, how many requests it may make, and the log of logins.
//!
//! The life of a login: [`port`] → [`login`], which identifies the client → [`admission`], which decides → [`greeting`].

pub(crate) mod accounts;
pub(crate) mod admission;
pub(crate) mod allowance;
pub(crate) mod greeting;
pub(crate) mod login;
pub(crate) mod login_log;
pub(crate) mod port;
pub(crate) mod registrar;
