//! The terminal client by itself, without the launcher: `cargo run -p terminal --example chat -- [SERVER [NAME]]`. The tests run it too.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    kit::log::to_stderr();
    let mut arguments = std::env::args().skip(1);
    let options = terminal::Options {
        server: arguments.next(),
        name: arguments.next(),
        default_server: SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)),
    };
    let shutdown = CancellationToken::new();
    if let Err(error) = kit::shutdown::on_signals(shutdown.clone()) {
        tracing::warn!(%error, "ctrl-C ends this at once");
    }
    match terminal::run(options, shutdown).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{failure}");
            failure.exit().into()
        }
    }
}
