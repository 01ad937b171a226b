//! `launcher man`: manual pages, generated from the definition of the command line.

use std::io;
use std::path::{Path, PathBuf};

use kit::{Exit, Failure};

use super::output;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write the pages of all commands into this directory
    directory: Option<PathBuf>,
}

/// The program's other name, and the page that stands for it.
const ALIAS: (&str, &str) = ("p2p-chat.1", ".so man1/launcher.1\n");

/// Prints the main page, or writes all pages.
pub(super) fn man(command: clap::Command, args: &Args) -> Result<Exit, Failure> {
    if let Some(directory) = &args.directory {
        write_all(command, directory).map_err(|error| {
            let what = format!("cannot write manual pages into {}: {error}", directory.display());
            Failure::new(Exit::Failure, what)
        })?;
        return Ok(Exit::Fine);
    }
    output::line(page(command)?.trim_end());
    Ok(Exit::Fine)
}

fn write_all(command: clap::Command, directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    std::fs::write(directory.join(ALIAS.0), ALIAS.1)?;
    write_with_subcommands(command, directory)
}

fn write_with_subcommands(command: clap::Command, directory: &Path) -> io::Result<()> {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        write_with_subcommands(sub.clone(), directory)?;
    }
    let name = format!("{}.1", command.get_display_name().unwrap_or_else(|| command.get_name()));
    std::fs::write(directory.join(name), page(command)?)
}

/// A page whose examples keep their lines and columns.
fn page(command: clap::Command) -> io::Result<String> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    let page = String::from_utf8_lossy(&page);
    let Some((before, extra)) = page.split_once(".SH EXTRA\n") else { return Ok(page.into_owned()) };
    let (extra, after) = extra.split_once(".SH ").unwrap_or((extra, "VERSION\n"));
    let extra =
        extra.replacen("Examples:\n", "", 1).replace("\nExit codes:\n", "\n.fi\n.SH EXIT STATUS\n.nf\n");
    Ok(format!("{before}.SH EXAMPLES\n.nf\n{extra}.fi\n.SH {after}"))
}
