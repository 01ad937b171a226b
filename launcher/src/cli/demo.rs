//! `launcher demo`: a throw-away chat with people in it, on free ports and in a directory that is deleted at the end.
//!
//! It is `launcher up` with a configuration of its own; the people ([`people`]) are one of its components.

pub(super) mod people;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use kit::{Exit, Failure};

use super::code::Code;
use super::options::{Switches, Where, With};
use super::{output, up};

/// The servers, each of which gets a free port.
const SERVERS: [&str; 4] =
    ["message-api.listen", "chat-server.listen", "chat-server.book-listen", "web-adapter.listen"];

/// Its flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Your name, to which the people write
    #[arg(long, default_value = people::VISITOR)]
    name: String,
}

/// Runs until ctrl-C.
pub(super) fn demo(args: &Args) -> Result<Code, Failure> {
    let directory = Directory::make()?;
    let [api, chat, book, page] = free_addresses()?;
    let config = directory.0.join("launcher.toml");
    std::fs::write(&config, with_people(chat, &args.name)?)?;
    output::line(&format!(
        "A chat to try out. In a moment people write to you:\n\n  \
         in the browser        http://{page}   log in as {name}\n  \
         in another terminal   launcher chat --server {chat} --name {name}\n\n\
         Write back to them. Ctrl-C ends it and deletes everything.\n",
        name = args.name
    ));
    let addresses = SERVERS.iter().zip([api, chat, book, page]);
    let addresses = addresses.map(|(key, address)| format!("{key}={address}"));
    let place = Where {
        config: Some(config),
        data: Some(directory.0.join("data")),
        logs: Some(directory.0.join("logs")),
        // Whatever store this machine's environment names is not for a demonstration.
        set: addresses.chain(["store.url=sqlite:chat.db".to_owned()]).collect(),
    };
    up::up(place, Switches::default(), With::default())
}

/// The configuration that adds the people.
fn with_people(chat: SocketAddr, visitor: &str) -> Result<String, Failure> {
    let program = std::env::current_exe()?;
    let command = [program.display().to_string(), "people".to_owned(), chat.to_string(), visitor.to_owned()];
    let command = toml::Value::from(command.to_vec());
    Ok(format!(
        "[components.people]\ncommand = {command}\nneeds = [\"chat-server\"]\nrestart = \"never\"\nrequired = false\n"
    ))
}

fn free_addresses() -> Result<[SocketAddr; 4], Failure> {
    // All are held until all are known.
    let held: Vec<TcpListener> =
        SERVERS.iter().map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let mut free = [SocketAddr::from(([127, 0, 0, 1], 0)); 4];
    for (address, listener) in free.iter_mut().zip(&held) {
        *address = listener.local_addr()?;
    }
    Ok(free)
}

/// A directory that is deleted with everything in it when this is dropped.
struct Directory(PathBuf);

impl Directory {
    fn make() -> Result<Self, Failure> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let path = std::env::temp_dir().join(format!("p2p-chat-demo-{}", &id[..8]));
        kit::files::make_directory(&path).map_err(|error| {
            Failure::new(Exit::Failure, format!("cannot create {}: {error}", path.display()))
        })?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            output::error(&format!("cannot delete {}: {error}", self.0.display()));
        }
    }
}
