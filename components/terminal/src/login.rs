//! Determines the user and the server, asks for them if possible, and asks again if the server rejects the name.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kit::{Exit, Failure, Secret};
use protocol::UserName;
use protocol::native::{ErrorCode, ErrorFrame};
use tokio_util::sync::CancellationToken;
use transport::{NativeOptions, TlsClient};

use crate::address::Address;
use crate::chat::{Ending, chat};
use crate::clean;
use crate::console::{Console, is_terminal};
use crate::history::keeper::Keeper;
use crate::history::open::make_private;
use crate::item::Item;
use crate::options::{Mode, Options, Theme, no_name};
use crate::screen::Full;
use crate::trust;

/// Retries of a name that is in use: our own last session may still be ending.
const TAKEN_RETRIES: u32 = 5;
/// Delay between these retries.
const TAKEN_PAUSE: Duration = Duration::from_millis(200);

/// The available user interfaces.
struct Desk {
    mode: Mode,
    /// Whether the full screen is used.
    full: bool,
    theme: Theme,
    mouse: bool,
    bell: bool,
    history: Option<PathBuf>,
    token: Option<Secret>,
    /// The line interface, for questions and, without the full screen, for everything.
    lines: Option<Console>,
}

impl Desk {
    fn new(options: &Options) -> Self {
        let term = std::env::var("TERM").unwrap_or_default();
        let simple = matches!(term.as_str(), "" | "dumb" | "emacs" | "cons25");
        Self {
            mode: options.mode,
            full: options.mode == Mode::Auto && is_terminal() && !simple,
            theme: options.theme,
            mouse: options.mouse,
            bell: options.bell,
            history: options.history.clone(),
            token: options.token.clone(),
            lines: None,
        }
    }

    fn asks(&self) -> bool {
        self.mode != Mode::Json && is_terminal()
    }

    fn lines(&mut self) -> Result<&mut Console, Failure> {
        let lines = match self.lines.take() {
            Some(lines) => lines,
            None => {
                let typed_lines = self.history.as_ref().and_then(|directory| typed_lines(directory));
                Console::lines(self.mode, typed_lines)?
            }
        };
        Ok(self.lines.insert(lines))
    }

    /// The user interface for the chat.
    fn console(&mut self, me: &UserName, server: &Address) -> Result<Console, Failure> {
        if self.full {
            self.lines = None;
            let mut full = Full::open(self.theme, self.bell, me.clone(), server.to_string())?;
            if self.mouse {
                full.use_mouse(true)?;
            }
            return Ok(Console::Full(Box::new(full)));
        }
        self.lines()?;
        Ok(self.lines.take().expect("it was put there a line ago"))
    }

    /// Returns a console after a chat.
    fn put_back(&mut self, console: Console) {
        match console {
            Console::Lines(_) => self.lines = Some(console),
            // Restores the terminal on drop.
            Console::Full(_) => {}
        }
    }
}

/// The line editor's history file, in a private directory.
fn typed_lines(directory: &Path) -> Option<PathBuf> {
    let file = directory.join("chat-history");
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    let is_private = made.and_then(|()| match std::fs::File::open(&file) {
        Ok(file) => make_private(&file),
        // The editor creates it with private permissions.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    });
    match is_private {
        Ok(()) => Some(file),
        Err(error) => {
            tracing::debug!(%error, "typed lines are not remembered");
            None
        }
    }
}

/// Logs in and chats, with another name if necessary.
pub(crate) async fn converse(options: Options, shutdown: &CancellationToken) -> Result<(), Failure> {
    let mut desk = Desk::new(&options);
    let known_servers = options.tls.clone();
    let (address, mut name) = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        login = login(options, &mut desk) => match login? {
            Some(login) => login,
            None => return Ok(()),
        },
    };
    let tls = match known_servers {
        None => None,
        Some(file) => {
            let met = shutdown.run_until_cancelled(trust::meet(&address, file)).await;
            let Some((client, notice)) = met.transpose()? else { return Ok(()) };
            notice.into_iter().for_each(|notice| say(&notice));
            Some(client)
        }
    };
    loop {
        let mut console = desk.console(&name, &address)?;
        let server = Server { address: &address, tls: tls.as_ref() };
        let ending = keep_connecting(&mut console, &desk, server, &name, shutdown).await;
        desk.put_back(console);
        let refused = match ending? {
            Ending::Left(farewell) => {
                farewell.into_iter().for_each(|farewell| say(&farewell));
                return Ok(());
            }
            Ending::Rejected(refused) => refused,
        };
        match another_name(&mut desk, &name, &refused, shutdown).await? {
            Some(other) => name = other,
            None => return Ok(()),
        }
    }
}

/// The server, and how connections to it are encrypted.
#[derive(Clone, Copy)]
struct Server<'s> {
    address: &'s Address,
    tls: Option<&'s TlsClient>,
}

/// Chats; retries if the name is in use.
async fn keep_connecting(
    console: &mut Console,
    desk: &Desk,
    Server { address, tls }: Server<'_>,
    name: &UserName,
    shutdown: &CancellationToken,
) -> Result<Ending, Failure> {
    let mut retries = 0;
    loop {
        let keeper = Keeper::open(desk.history.clone(), name.clone(), address.to_string())?;
        let tls = tls.cloned();
        let token = desk.token.clone();
        let options = NativeOptions { tls, token, ..NativeOptions::user(address.endpoint(), name.clone()) };
        let ending = chat(console, keeper, options, address.to_string(), shutdown).await?;
        match &ending {
            Ending::Rejected(refused)
                if refused.code == ErrorCode::Taken
                    && retries < TAKEN_RETRIES
                    && !shutdown.is_cancelled() =>
            {
                retries += 1;
                tokio::time::sleep(TAKEN_PAUSE).await;
            }
            Ending::Rejected(_) | Ending::Left(_) => return Ok(ending),
        }
    }
}

/// Prints the final text after the terminal is restored.
fn say(farewell: &str) {
    use std::io::Write;
    // A closed standard error is not a failure.
    let _ = writeln!(std::io::stderr(), "{farewell}");
}

/// The server and the name, from the options or the user; `None` if the user leaves.
async fn login(options: Options, desk: &mut Desk) -> Result<Option<(Address, UserName)>, Failure> {
    let usage = |error: String| Failure::new(Exit::Usage, error);
    let (asks, is_tls) = (desk.asks(), options.tls.is_some());
    let name = options.name.as_deref().map(UserName::parse).transpose();
    let default = Address::from(options.default_server);
    let address = match &options.server {
        Some(server) => Address::parse(server, is_tls).map_err(|error| usage(error.to_string()))?,
        // With a name given, the default server is used; without any, both are asked for.
        None if asks && options.name.is_none() => match ask_server(desk.lines()?, default, is_tls).await? {
            Some(address) => address,
            None => return Ok(None),
        },
        None => default,
    };
    match name {
        Ok(Some(name)) => Ok(Some((address, name))),
        Ok(None) if asks => Ok(ask_name(desk.lines()?).await?.map(|name| (address, name))),
        Ok(None) => Err(usage("no name given; set one with --name NAME".to_owned())),
        Err(error) if asks => {
            complain(desk.lines()?, error.to_string()).await?;
            Ok(ask_name(desk.lines()?).await?.map(|name| (address, name)))
        }
        Err(error) => Err(no_name(&options.name.unwrap_or_default(), &error)),
    }
}

async fn ask_server(
    console: &mut Console,
    default: Address,
    is_tls: bool,
) -> Result<Option<Address>, Failure> {
    loop {
        let Some(answer) = console.ask(format!("server [{default}]: ")).await else { return Ok(None) };
        if answer.is_empty() {
            return Ok(Some(default));
        }
        match Address::parse(&answer, is_tls) {
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

/// The server rejected a name: returns the next one to try, or `None` if the user leaves.
async fn another_name(
    desk: &mut Desk,
    name: &UserName,
    refused: &ErrorFrame,
    shutdown: &CancellationToken,
) -> Result<Option<UserName>, Failure> {
    let error = format!("the server rejected the name {name}: {}", clean::one_line(&refused.message));
    if !desk.asks() {
        return Err(Failure::new(Exit::Failure, error));
    }
    let console = desk.lines()?;
    complain(console, error).await?;
    tokio::select! {
        () = shutdown.cancelled() => Ok(None),
        name = ask_name(console) => name,
    }
}

async fn complain(console: &mut Console, error: String) -> Result<(), Failure> {
    // There is no user name yet, and errors do not depend on it.
    let nobody = UserName::parse("nobody").expect("this is a name");
    console.show(Item::Error(error), &nobody).await
}
