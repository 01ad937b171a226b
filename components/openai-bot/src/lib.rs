//! openai-bot: a service that is a user like any other, and answers questions with a language model.
//!
//! `command` and `personality` are what may be asked beside questions, `bot` is how it all works together, `lanes` whose turn it
//! is, `history` and `recall` what the model is told of earlier questions, `model` the client of the endpoint, `reply` how an answer is given exactly once. What the endpoint sends passes `unpack`, `body`
//! with [`sse`] and `objects`, `completion` or `problem`, and is put together by `answer` without `thoughts`.

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

/// Works until `context.shutdown`. It is ready when it is online. TLS must be installed; see [`kit::context::install_tls`].
///
/// # Errors
/// When the configuration or the key is wrong, or the chat server will not have a service of this name.
pub async fn run(
    config: Config,
    upstream: Upstream,
    credentials: Credentials,
    context: kit::Context,
) -> Result<(), kit::Failure> {
    let checked = config.check()?;
    bot::serve(config, checked, upstream, credentials, context).await
}
