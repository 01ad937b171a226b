//! The console: control of a running launcher over HTTP, and a page for it. Served where `launcher.console-listen` says.
//!
//! * [`server`] listens, and from the first connection on serves on a thread of its own. It asks the supervisor over the control socket, as every operator does.
//! * `table` is the one list of operations: their routes, their parameters and the OpenAPI document are made of it; `api` answers them.
//! * `guard` lets in who has the token and no page of another origin; `login` makes links that open the page.
//! * `stream` tells subscribers what happens; `sampler` looks at the components while anybody listens, and `history` keeps an hour of it.
//!
//! With nobody connected it does nothing at all; until somebody was, it is only a socket.

mod api;
mod app;
mod assets;
mod chat;
mod guard;
mod history;
mod input;
pub(crate) mod login;
mod looker;
mod openapi;
mod operation;
mod problem;
mod router;
mod sampler;
mod server;
mod setting;
mod stream;
mod table;
mod tailing;

pub(crate) use server::ConsoleServer;
pub(crate) use setting::Setting;
