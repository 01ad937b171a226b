//! `launcher console`: a link that opens the console's page, or the token for programs.

use std::time::SystemTime;

use kit::{Exit, Failure};

use super::ask::ask;
use super::options::Where;
use super::output;
use crate::console::login;
use crate::supervisor::ConsoleAddress;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the token, for programs: 'Authorization: Bearer TOKEN'
    #[arg(long)]
    token: bool,
    /// Replace the token first; whoever has the earlier one must log in again
    #[arg(long)]
    renew: bool,
}

/// Prints the link, or the token.
pub(super) fn console(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let data = place.directories()?.data;
    let file = login::token_file(&data);
    let cannot = |error: std::io::Error| {
        let what = format!("cannot use the console's token {}: {error}", file.path().display());
        Failure::new(Exit::Failure, what)
    };
    let token = if args.renew { file.fresh() } else { file.shared() }.map_err(cannot)?;
    if args.token {
        output::line(token.expose());
        return Ok(Exit::Fine);
    }
    let address = ask(place)?.console.ok_or_else(|| {
        let what = "the launcher has no console; set launcher.console-listen, such as 127.0.0.1:9200";
        Failure::new(Exit::Failure, what)
    })?;
    match address.parse::<ConsoleAddress>() {
        Ok(ConsoleAddress::Tcp(address)) => {
            let code = login::code(&token, SystemTime::now()).map_err(cannot)?;
            let reachable = kit::listen::reachable(address);
            output::line(&format!("http://{reachable}/#login={code}"));
            output::error(&format!("opens the console once, within {} minutes", login::VALID.as_secs() / 60));
        }
        Ok(ConsoleAddress::Unix(path)) => {
            let path = data.join(path);
            let path = std::path::absolute(&path).unwrap_or(path);
            output::line(&format!("unix:{}", path.display()));
            output::error("no token is needed: curl --unix-socket PATH http://localhost/api/v1/status");
        }
        Err(error) => {
            let what = format!("the launcher's console is at '{address}', which is not {error}");
            return Err(Failure::new(Exit::Failure, what));
        }
    }
    Ok(Exit::Fine)
}
