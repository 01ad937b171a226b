//! Finds out who chats with which server, asks where it may, and asks again where the server refuses.

use std::time::Duration;

use kit::{Exit, Failure};
use protocol::UserName;
use protocol::native::{ErrorCode, ErrorFrame};
use tokio_util::sync::CancellationToken;
use transport::NativeOptions;

use crate::Options;
use crate::address::Address;
use crate::chat::{Ending, chat};
use crate::clean;
use crate::console::Console;
use crate::history::keeper::Keeper;
use crate::item::Item;

/// How often a taken name is tried again before it is believed: our own last session may still be ending.
const TAKEN_RETRIES: u32 = 5;
/// How long between two such attempts.
const TAKEN_PAUSE: Duration = Duration::from_millis(200);

/// Logs in and chats, under another name if need be.
pub(crate) async fn converse(
    options: Options,
    console: &mut Console,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    let directory = options.history.clone();
    let (address, mut name) = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        login = login(options, console) => match login? {
            Some(login) => login,
            None => return Ok(()),
        },
    };
    let mut retries = 0;
    loop {
        let server = address.resolve().await.map_err(|error| Failure::new(Exit::Unavailable, error))?;
        let keeper = Keeper::open(directory.clone(), name.clone(), address.to_string())?;
        let ending =
            chat(console, keeper, NativeOptions::user(server, name.clone()), address.to_string(), shutdown);
        let refused = match ending.await? {
            Ending::Left => return Ok(()),
            Ending::Rejected(refused) => refused,
        };
        if refused.code == ErrorCode::Taken && retries < TAKEN_RETRIES && !shutdown.is_cancelled() {
            retries += 1;
            tokio::time::sleep(TAKEN_PAUSE).await;
            continue;
        }
        retries = 0;
        match another_name(console, &name, &refused, shutdown).await? {
            Some(other) => name = other,
            None => return Ok(()),
        }
    }
}

/// The server and the name, from the options or from the user; `None` when the user would rather leave.
async fn login(options: Options, console: &mut Console) -> Result<Option<(Address, UserName)>, Failure> {
    let usage = |error| Failure::new(Exit::Usage, error);
    let asks = console.is_interactive();
    let name = options.name.as_deref().map(UserName::parse).transpose();
    let default = Address::from(options.default_server);
    let address = match &options.server {
        Some(server) => Address::parse(server).map_err(|error| usage(error.to_string()))?,
        // Whoever gives a name knows what they want; whoever gives nothing is asked both.
        None if asks && options.name.is_none() => match ask_server(console, default).await? {
            Some(address) => address,
            None => return Ok(None),
        },
        None => default,
    };
    match name {
        Ok(Some(name)) => Ok(Some((address, name))),
        Ok(None) if asks => Ok(ask_name(console).await?.map(|name| (address, name))),
        Ok(None) => Err(usage("who are you? Say --name NAME; nobody can be asked here".to_owned())),
        Err(error) if asks => {
            complain(console, error.to_string()).await?;
            Ok(ask_name(console).await?.map(|name| (address, name)))
        }
        Err(error) => Err(Failure::new(Exit::Failure, error)),
    }
}

async fn ask_server(console: &mut Console, default: Address) -> Result<Option<Address>, Failure> {
    loop {
        let Some(answer) = console.ask(format!("server [{default}]: ")).await else { return Ok(None) };
        if answer.is_empty() {
            return Ok(Some(default));
        }
        match Address::parse(&answer) {
            Ok(address) => return Ok(Some(address)),
            Err(error) => complain(console, error.to_string()).await?,
        }
    }
}

async fn ask_name(console: &mut Console) -> Result<Option<UserName>, Failure> {
    loop {
        let Some(answer) = console.ask("your name: ".to_owned()).await else { return Ok(None) };
        match UserName::parse(&answer) {
            Ok(name) => return Ok(Some(name)),
            Err(error) => complain(console, error.to_string()).await?,
        }
    }
}

/// The server refused a name: the next one to try, or `None` when the user would rather leave.
async fn another_name(
    console: &mut Console,
    name: &UserName,
    refused: &ErrorFrame,
    shutdown: &CancellationToken,
) -> Result<Option<UserName>, Failure> {
    let error = format!("the server refuses the name {name}: {}", clean::one_line(&refused.message));
    if !console.is_interactive() {
        return Err(Failure::new(Exit::Failure, error));
    }
    complain(console, error).await?;
    tokio::select! {
        () = shutdown.cancelled() => Ok(None),
        name = ask_name(console) => name,
    }
}

async fn complain(console: &mut Console, error: String) -> Result<(), Failure> {
    // Nobody has a name yet, and an error is shown to everybody alike.
    let nobody = UserName::parse("nobody").expect("this is a name");
    Ok(console.show(Item::Error(error), &nobody).await?)
}
