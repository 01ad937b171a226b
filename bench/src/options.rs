//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures P2P Chat, and what else is installed here, on this machine's loopback and disk, and prints one table.
///
/// Every message is numbered. The exit code is not zero if P2P Chat lost, doubled or reordered one. The launcher
/// beside this program is measured, and under `cargo run` built first; mosquitto, nats-server, ngircd and ejabberd are measured where they are installed, and named where
/// they are not (`bench/setup.sh` installs Debian's packages).
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Options {
    /// What is measured; everything but `stored` if nothing is named.
    pub scenarios: Vec<Scenario>,

    /// Only these systems.
    #[arg(long, value_delimiter = ',')]
    pub systems: Vec<SystemName>,

    /// How many senders there are, each with a receiver.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5000))]
    pub senders: u32,

    /// Messages under way for each sender in a closed loop; each number is a run.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32], value_parser = clap::value_parser!(u32).range(1..=64))]
    pub windows: Vec<u32>,

    /// How many seconds each run is measured, after a warm-up of a quarter of that.
    #[arg(long, default_value_t = 4.0, value_parser = seconds)]
    pub seconds: f64,

    /// Rounds in `cost`; each measures every system with every window.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,

    /// Messages a second offered in an open loop; half of what our text dialect relayed at most if not given.
    #[arg(long)]
    pub rate: Option<f64>,

    /// Connections in `idle`.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=25_000))]
    pub connections: u32,

    /// Messages that wait for one receiver in `backlog`.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub waiting: u32,

    /// Messages that are stored first in `stored`. Ten million take about four minutes and five gigabytes.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u32).range(1000..=100_000_000))]
    pub stored: u32,

    /// The launcher to measure.
    #[arg(long)]
    pub launcher: Option<PathBuf>,

    /// Where the servers' files go, each in a temporary directory: the disk that is measured. Beside this program if not given.
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Bare SQLite group commits and bare fsyncs: the ceiling with storage.
    Bare,
    /// From the start of the launcher to everything ready, and the memory of the components.
    Start,
    /// Processor time per relayed message, of our components and of other servers, in rounds in turns.
    Cost,
    /// Messages to receivers who are there: at most (closed loop), and at a given rate (open loop).
    Relay,
    /// Messages to receivers who are away, acknowledged; then everything is fetched and checked.
    Store,
    /// One receiver comes back to very many messages.
    Backlog,
    /// One sender to many receivers.
    FanOut,
    /// Very many connections that do nothing: memory of each in the chat server.
    Idle,
    /// One reader that stops reading, and the others.
    SlowReader,
    /// One message at a time, beside one fsync.
    Alone,
    /// Messages acknowledged a second with very many stored, beside none. Takes minutes: only when named.
    Stored,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SystemName {
    /// P2P Chat in the text dialect.
    Text,
    /// P2P Chat in the native dialect.
    Native,
    /// P2P Chat in the text dialect, with TLS; in `cost` and `idle`, and only when named.
    TextTls,
    /// P2P Chat in the native dialect, with TLS; in `cost` and `idle`, and only when named.
    NativeTls,
    /// P2P Chat through the web adapter.
    WebSocket,
    /// MQTT, QoS 1, persistent sessions.
    Mosquitto,
    /// NATS core.
    Nats,
    /// IRC.
    Ngircd,
    /// XMPP.
    Ejabberd,
}

impl SystemName {
    /// Whether its clients speak TLS.
    #[must_use]
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::TextTls | Self::NativeTls)
    }
}

impl Options {
    /// The scenarios that are to run.
    #[must_use]
    pub fn chosen(&self) -> Vec<Scenario> {
        if !self.scenarios.is_empty() {
            return self.scenarios.clone();
        }
        Scenario::value_variants().iter().copied().filter(|scenario| *scenario != Scenario::Stored).collect()
    }

    /// How long a run is measured.
    #[must_use]
    pub fn measured(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// How long a run goes before that.
    #[must_use]
    pub fn warm_up(&self) -> Duration {
        self.measured() / 4
    }

    /// Whether a system is to be measured.
    #[must_use]
    pub fn wants(&self, system: SystemName) -> bool {
        self.systems.is_empty() && !system.is_encrypted() || self.systems.contains(&system)
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=60.0).contains(&seconds) => Ok(seconds),
        Ok(_) | Err(_) => Err("a number from 0.1 to 60".to_owned()),
    }
}
