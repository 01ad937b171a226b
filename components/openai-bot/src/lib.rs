//! openai-bot: a service, which is a user like any other, that answers questions with a language model.
//!
//! `bot` runs the service, `command` and `personality` are the commands, `lanes` the users' queues, `history` and `recall` the model's
//! context, `model` the client of the endpoint, and `reply` sends each answer exactly once. Responses pass `unpack`, `body` with [`sse`]
//! and `objects`, then `completion` or `problem`, and are assembled by `answer` without `thoughts`.

pub mod config;
pub mod sse;

mod answer;
mod body;
mod bot;
mod command;
mod completion;
mod contact;
mod history;
mod lanes;
mod model;
mod objects;
mod parts;
mod personality;
mod problem;
mod profiles;
mod recall;
mod reply;
mod retry;
mod thoughts;
mod unpack;
mod words;

pub use config::{Config, Credentials, Upstream};
pub use contact::{Contact, ContactError, contact};

/// Runs until `context.shutdown`. Ready once online. TLS must be installed; see [`kit::context::install_tls`].
///
/// # Errors
/// When the configuration or the key is invalid, or the chat server rejects the service.
#[must_use]
pub fn run(
    config: Config,
    upstream: Upstream,
    credentials: Credentials,
    context: kit::Context,
) -> kit::Running {
    Box::pin(async move {
        let checked = config.check()?;
        bot::serve(config, checked, upstream, credentials, context).await
    })
}
