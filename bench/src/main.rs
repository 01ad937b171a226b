//! The benchmark: this system and its neighbours, in one run on one machine. Not shipped.
//!
//! [`stamp`] numbers messages, [`ledger`] counts what became of them, [`schedule`] and [`latency`] say when and how long, [`codec`] speaks
//! the protocols, [`load`] makes the load, [`system`] starts what is measured, [`scenario`] says what is measured, [`table`] prints it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a developer's terminal")]
#![allow(
    unreachable_pub,
    reason = "a program has no other public side; `pub` says what a module offers to the others"
)]

mod codec;
mod connection;
mod latency;
mod ledger;
mod load;
mod options;
mod problem;
mod scenario;
mod schedule;
mod socket;
mod stamp;
mod system;
mod table;

use std::process::ExitCode;

use clap::Parser;

use problem::{Error, Result};

fn main() -> ExitCode {
    let options = options::Options::parse();
    // One thread drives all connections, for the measured systems need the other cores.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let run = runtime.map_err(Error::from).and_then(|runtime| runtime.block_on(until_interrupted(&options)));
    match run {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// An interrupted run ends what it has started.
async fn until_interrupted(options: &options::Options) -> Result<bool> {
    tokio::select! {
        run = scenario::run(options) => run,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            Err("interrupted".into())
        }
    }
}
