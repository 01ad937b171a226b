//! The launcher: the supervisor, the command line and the catalog of components.

pub mod supervisor;
