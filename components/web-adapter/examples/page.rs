//! Serves only the page, for its development: `cargo run -p web-adapter --example page -- LISTEN CHAT_SERVER`.

use std::error::Error;
use std::net::SocketAddr;

use kit::{Context, Notifier, Secret};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut address =
        |default: &str| arguments.next().unwrap_or_else(|| default.to_owned()).parse::<SocketAddr>();
    let config = web_adapter::Config { listen: address("127.0.0.1:8080")?, ..web_adapter::Config::default() };
    let chat = address("127.0.0.1:5000")?;
    let shutdown = CancellationToken::new();
    kit::shutdown::on_signals(shutdown.clone())?;
    let context = Context {
        shutdown,
        notifier: Notifier::default(),
        service_token: Secret::random()?,
        data: std::env::temp_dir(),
    };
    web_adapter::run(config, chat, context).await.map_err(|failure| failure.to_string().into())
}
