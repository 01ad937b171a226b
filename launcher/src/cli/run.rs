//! `launcher run`: runs one component in the foreground. The supervisor starts components with it.

use std::path::{Path, PathBuf};

use kit::context::SERVICE_TOKEN;
use kit::{Context, Exit, Failure, Notifier, Secret};
use tokio_util::sync::CancellationToken;

use super::component_name::ComponentName;
use super::options::{Where, Without};
use super::token;
use crate::catalog::{self, EFFECTIVE_CONFIG, Runtime};
use crate::config::{Directories, OPENAI_API_KEY, Settings};
use crate::preflight::directories;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component's name, such as chat-server
    #[arg(value_parser = ComponentName, hide_possible_values = true)]
    component: String,
}

/// Runs a component until INT, TERM, or the end of its launcher.
pub(super) fn run(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let component = catalog::component(&args.component).ok_or_else(|| unknown(&args.component))?;
    kit::listen::inherit();
    // On the main thread: the parent-death signal depends on the thread, which must not end.
    let shutdown = CancellationToken::new();
    kit::lifeline::hold(&shutdown);
    kit::log::to_stderr(protocol::sanitise::line);
    kit::context::install_tls();
    kit::listen::raise_file_limit();
    let (settings, key, data) = surroundings(place)?;
    let context = Context {
        shutdown: shutdown.clone(),
        notifier: Notifier::from_environment(),
        service_token: service_token(&data)?,
        data,
    };
    let runtime = runtime(component.runtime)?;
    kit::stall::watch(runtime.handle())?;
    let result = runtime.block_on(async {
        kit::shutdown::on_signals(shutdown)?;
        tokio::spawn(context.notifier.clone().feed_watchdog());
        component.run(settings, key, context)?.await
    });
    match result {
        Ok(()) => Ok(Exit::Fine),
        // Standard error is a log then, so the error is one line with its time.
        Err(failure) if is_supervised() => {
            tracing::error!("{failure}");
            Ok(failure.exit())
        }
        Err(failure) => Err(Failure::new(failure.exit(), format!("{} failed: {failure}", component.name))),
    }
}

fn is_supervised() -> bool {
    std::env::var_os(kit::lifeline::LAUNCHER_PID).is_some()
}

fn unknown(name: &str) -> Failure {
    let names: Vec<&str> = catalog::names().collect();
    Failure::new(Exit::Usage, format!("unknown component '{name}'; available: {}", names.join(", ")))
}

/// The settings that the launcher passes, or else those of the configuration.
fn surroundings(place: &Where) -> Result<(Settings, Option<Secret>, PathBuf), Failure> {
    if let Ok(text) = std::env::var(EFFECTIVE_CONFIG) {
        let settings = serde_json::from_str(&text).map_err(|error| {
            Failure::new(Exit::Config, format!("{EFFECTIVE_CONFIG} is malformed: {error}"))
        })?;
        let key = std::env::var(OPENAI_API_KEY).ok().filter(|key| !key.is_empty()).map(Secret::new);
        // The launcher always passes it; determining the others may require a home directory, which a service may not have.
        let data = place.data.clone().map_or_else(|| place.directories().map(|found| found.data), Ok)?;
        return Ok((settings, key, data));
    }
    let loaded = place.load(&Without::default())?;
    let Directories { data, .. } = &loaded.directories;
    let only_data = Directories { data: data.clone(), logs: data.clone() };
    directories::prepare(&only_data).map_err(|mut errors| Failure::from(errors.remove(0)))?;
    Ok((loaded.settings, loaded.api_key, loaded.directories.data))
}

fn service_token(data: &Path) -> Result<Secret, Failure> {
    match std::env::var(SERVICE_TOKEN) {
        Ok(token) if !token.is_empty() => Ok(Secret::new(token)),
        _ => token::shared(data),
    }
}

fn runtime(kind: Runtime) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = match kind {
        Runtime::Threads => tokio::runtime::Builder::new_multi_thread(),
        Runtime::OneThread => tokio::runtime::Builder::new_current_thread(),
    };
    builder.enable_all().event_interval(kit::stall::EVENT_INTERVAL).build()
}
