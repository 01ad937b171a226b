//! Listens, and serves on a thread of its own from the first connection on: until then it costs a socket and a task.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use kit::http::{Listener, Server};
use kit::places::Places;
use kit::{Exit, Failure};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio_util::sync::CancellationToken;

use super::app::App;
use super::login::token_file;
use super::router;
use super::setting::Setting;
use crate::supervisor::{ConsoleAddress, ConsoleSpec, ShortPath};

/// Connections at once; the one that has been silent longest makes room for a new one.
const CONNECTIONS: usize = 256;
/// Connections of one address at once; this machine's do not count.
const PER_ADDRESS: usize = 32;
/// Subscribers of the stream at once. Overflow rule: further ones are refused with 503.
const SUBSCRIBERS: usize = 32;
/// Subscribers from one address at once; this machine's do not count.
const SUBSCRIBERS_PER_ADDRESS: usize = 8;
/// Threads for reading files; they end when there is nothing to read.
const BLOCKING: usize = 4;

/// Pause after there could be no thread for the server.
const PAUSE: Duration = Duration::from_secs(1);

/// The thread that serves, once there is one.
type Thread = Arc<Mutex<Option<JoinHandle<()>>>>;

/// The server; dropped, it ends.
pub(crate) struct ConsoleServer {
    end: CancellationToken,
    thread: Thread,
    read_only: Arc<AtomicBool>,
    /// A Unix socket's path and inode.
    socket: Option<(PathBuf, u64)>,
}

impl ConsoleServer {
    /// Listens from now on. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the token cannot be made.
    pub(crate) fn start(spec: &ConsoleSpec, setting: Setting) -> Result<Self, Failure> {
        let token = match &spec.listen {
            ConsoleAddress::Tcp(address) => Some(token(&setting.data, *address)?),
            ConsoleAddress::Unix(_) => None,
        };
        let (listener, socket) = listen(&spec.listen, &setting.data)?;
        let readiness = listener.readiness()?;
        let end = CancellationToken::new();
        let read_only = Arc::new(AtomicBool::new(spec.read_only));
        let (ended, only_shows) = (end.clone(), Arc::clone(&read_only));
        let serve = move || {
            let places = Places::new(SUBSCRIBERS, SUBSCRIBERS_PER_ADDRESS);
            let app = Arc::new(App::new(setting, only_shows, token, places, ended.clone()));
            let server = Server::new(router::router(app)).with_places(Places::new(CONNECTIONS, PER_ADDRESS));
            if let Err(error) = run(server, listener, ended) {
                tracing::error!(%error, "cannot serve the console");
            }
        };
        let thread = Thread::default();
        tokio::spawn(serve_from_first_connection(readiness, end.clone(), Arc::clone(&thread), serve));
        tracing::info!(address = %spec.listen, read_only = spec.read_only, "serving the console");
        Ok(Self { end, thread, read_only, socket })
    }

    /// Whether it only shows, from now on.
    pub(crate) fn set_read_only(&self, read_only: bool) {
        self.read_only.store(read_only, Ordering::Relaxed);
    }
}

impl Drop for ConsoleServer {
    fn drop(&mut self) {
        self.end.cancel();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic in there has been said already, and concerns nobody else.
            let _ = thread.join();
        }
        // What lies there now may be a later launcher's.
        if let Some((path, inode)) = &self.socket
            && inode_of(path).is_ok_and(|there| there == *inode)
        {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Waits for the first connection, and starts the thread that serves.
async fn serve_from_first_connection(
    readiness: AsyncFd<OwnedFd>,
    end: CancellationToken,
    thread: Thread,
    serve: impl FnOnce() + Send + 'static,
) {
    tokio::select! {
        () = end.cancelled() => return,
        // It fails only when the runtime is ending.
        ready = readiness.readable() => if ready.is_err() { return },
    }
    // Shared, so that it is still there if a thread cannot be started.
    let serve = Arc::new(Mutex::new(Some(serve)));
    while !start_thread(&thread, &end, &serve) {
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether a thread was started, or is not needed any more.
fn start_thread(
    thread: &Thread,
    end: &CancellationToken,
    serve: &Arc<Mutex<Option<impl FnOnce() + Send + 'static>>>,
) -> bool {
    // Locked until the thread is in its place: who drops the server ends it first, and then waits for what is here.
    let mut thread = thread.lock().unwrap_or_else(PoisonError::into_inner);
    if end.is_cancelled() {
        return true;
    }
    let serve = Arc::clone(serve);
    let work = move || {
        let serve = serve.lock().unwrap_or_else(PoisonError::into_inner).take();
        serve.into_iter().for_each(|serve| serve());
    };
    match std::thread::Builder::new().name("console-http".to_owned()).spawn(work) {
        Ok(started) => {
            *thread = Some(started);
            true
        }
        Err(error) => {
            tracing::error!(%error, "cannot start a thread for the console; trying again");
            false
        }
    }
}

/// The token's file, with a token in it.
fn token(data: &Path, address: SocketAddr) -> Result<crate::token_file::TokenFile, Failure> {
    let file = token_file(data);
    file.shared().map_err(|error| {
        let what = format!("cannot use the console's token {}: {error}", file.path().display());
        Failure::new(Exit::Failure, what)
    })?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "the console is unencrypted: whoever can read the network sees its token; prefer 127.0.0.1 and ssh -L");
    }
    Ok(file)
}

/// A listening socket, before there is a runtime for it.
enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Bound {
    /// A descriptor that is readable while a connection waits.
    #[expect(
        deprecated,
        reason = "its successor is unsafe for the sake of types that do not own their descriptor; this one does"
    )]
    fn readiness(&self) -> io::Result<AsyncFd<OwnedFd>> {
        let descriptor = match self {
            Self::Tcp(listener) => listener.try_clone()?.into(),
            Self::Unix(listener) => listener.try_clone()?.into(),
        };
        AsyncFd::with_interest(descriptor, Interest::READABLE)
    }
}

fn run(server: Server, listener: Bound, end: CancellationToken) -> io::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(BLOCKING).build()?;
    runtime.block_on(async {
        let listener: Listener = match listener {
            Bound::Tcp(listener) => tokio::net::TcpListener::from_std(listener)?.into(),
            Bound::Unix(listener) => tokio::net::UnixListener::from_std(listener)?.into(),
        };
        server.run(listener, end).await;
        io::Result::Ok(())
    })?;
    // Nobody waits for a disk that stands still.
    runtime.shutdown_background();
    Ok(())
}

/// The socket, and where it lies if it does so in the file system.
fn listen(address: &ConsoleAddress, data: &Path) -> Result<(Bound, Option<(PathBuf, u64)>), Failure> {
    match address {
        ConsoleAddress::Tcp(address) => {
            let listener = kit::listen::open(*address)?;
            listener.set_nonblocking(true)?;
            Ok((Bound::Tcp(listener), None))
        }
        ConsoleAddress::Unix(path) => {
            let path = data.join(path);
            let listener = bind(&path).map_err(|error| {
                let what =
                    format!("cannot listen on {}: {error}; see launcher.console-listen", path.display());
                Failure::new(Exit::Failure, what)
            })?;
            listener.set_nonblocking(true)?;
            let inode = inode_of(&path)?;
            Ok((Bound::Unix(listener), Some((path, inode))))
        }
    }
}

/// A socket that only its owner may open: it comes to its place when it has its mode. One that nobody listens at was left by an earlier
/// launcher; anything else that is there stays.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidInput)?;
    if let Ok(there) = std::fs::symlink_metadata(path) {
        if !there.file_type().is_socket() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "another file is there"));
        }
        if UnixStream::connect(ShortPath::to(directory, name)?.path()).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another program listens there"));
        }
    }
    let hidden = format!(".{name}.{}", std::process::id());
    let made = directory.join(&hidden);
    let _ = std::fs::remove_file(&made);
    let listener = UnixListener::bind(ShortPath::to(directory, &hidden)?.path())?;
    let placed = std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o600))
        .and_then(|()| std::fs::rename(&made, path));
    if placed.is_err() {
        let _ = std::fs::remove_file(&made);
    }
    placed.map(|()| listener)
}

fn inode_of(path: &Path) -> io::Result<u64> {
    Ok(std::fs::symlink_metadata(path)?.ino())
}
