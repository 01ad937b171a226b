//! The terminal client without the launcher: `cargo run -p terminal --example chat -- [SERVER [NAME [plain|json|quiet]]]`. Tests run it,
//! too. Its history is in `$XDG_STATE_HOME`. The signal USR1 makes the chat's thread panic, USR2 another thread.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use kit::Failure;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    kit::log::to_stderr(protocol::sanitise::line);
    let mut arguments = std::env::args().skip(1);
    let (server, name, mode) = (arguments.next(), arguments.next(), arguments.next());
    let options = terminal::Options {
        server,
        name,
        token: None,
        tls: None,
        default_server: SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)),
        mode: match mode.as_deref() {
            Some("plain") => terminal::Mode::Plain,
            Some("json") => terminal::Mode::Json,
            _ => terminal::Mode::Auto,
        },
        history: std::env::var_os("XDG_STATE_HOME").map(|state| PathBuf::from(state).join("p2p-chat")),
        theme: terminal::Theme::default(),
        mouse: false,
        bell: mode.as_deref() != Some("quiet"),
    };
    let shutdown = CancellationToken::new();
    if let Err(error) = kit::shutdown::on_signals(shutdown.clone()) {
        tracing::warn!(%error, "ctrl-C ends this at once");
    }
    tokio::spawn(panic_at(SignalKind::user_defined2()));
    let ended = tokio::select! {
        ended = terminal::run(options, shutdown) => ended,
        failure = panic_at(SignalKind::user_defined1()) => Err(failure),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{failure}");
            failure.exit().into()
        }
    }
}

/// Panics like a bug.
async fn panic_at(kind: SignalKind) -> Failure {
    match signal(kind) {
        Ok(mut signal) => {
            signal.recv().await;
            panic!("this is a bug");
        }
        Err(error) => error.into(),
    }
}
