//! `launcher man`: manual pages, generated from the definition of the command line.

use std::path::PathBuf;

use kit::{Exit, Failure};

use super::output;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write the pages of all commands into this directory
    directory: Option<PathBuf>,
}

/// Prints the main page, or writes all pages.
pub(super) fn man(command: clap::Command, args: &Args) -> Result<Exit, Failure> {
    if let Some(directory) = &args.directory {
        let cannot = |error| {
            let what = format!("cannot write manual pages into {}: {error}", directory.display());
            Failure::new(Exit::Failure, what)
        };
        std::fs::create_dir_all(directory).map_err(cannot)?;
        clap_mangen::generate_to(command, directory).map_err(cannot)?;
        return Ok(Exit::Fine);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    output::line(String::from_utf8_lossy(&page).trim_end());
    Ok(Exit::Fine)
}
