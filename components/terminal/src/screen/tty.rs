//! The real terminal: set up at the start, and restored at the end, after a panic and during a suspension.
//!
//! Frames are written by a separate thread, so that a stalled terminal never blocks the connection. No further frame is drawn meanwhile, so
//! at most one frame waits.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossterm::cursor::Show;
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste, EnableFocusChange,
    EnableMouseCapture, Event,
};
use crossterm::terminal::{
    DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::Terminal;
use rustix::process::Signal;
use tokio::sync::{Notify, mpsc};

use super::state::Screen;
use super::steady::Steady;

/// Most unprocessed keys. Overflow rule: the terminal waits.
const KEYS: usize = 64;
/// How often the thread that reads keys checks whether to stop.
const GLANCE: Duration = Duration::from_millis(200);
/// Shortest interval between bells.
const RING: Duration = Duration::from_secs(1);
/// Time limit for writing the last frame at the end.
const FLUSH: Duration = Duration::from_millis(500);
/// Saves and restores the window title (xterm's window operations 22 and 23).
const PUSH_TITLE: &str = "\u{1b}[22;2t";
const POP_TITLE: &str = "\u{1b}[23;2t";

/// Whether the terminal is set up. There is only one, and a panic in any thread restores it, once, before it is reported.
static TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();
/// Notifies the chat of a panic in another thread.
static PANIC: Notify = Notify::const_new();

/// The terminal, set up for the full screen.
#[derive(Debug)]
pub(crate) struct Tty {
    terminal: Terminal<Steady<Pictures>>,
    pictures: Pictures,
    keys: mpsc::Receiver<std::io::Result<Event>>,
    title: String,
    mouse: bool,
    bell: Bell,
    _guard: Guard,
}

/// The bell: whether it is enabled, and when it rang last.
#[derive(Debug)]
struct Bell {
    wanted: bool,
    rang: Option<Instant>,
}

impl Bell {
    /// Whether to ring now.
    fn rings(&mut self) -> bool {
        let rings = self.wanted && self.rang.is_none_or(|rang| rang.elapsed() >= RING);
        if rings {
            self.rang = Some(Instant::now());
        }
        rings
    }
}

/// An event of the terminal.
#[derive(Debug)]
pub(crate) enum Next {
    /// A key was pressed; `None` at the end of input.
    Key(Option<std::io::Result<Event>>),
    /// The last frame is written.
    Written,
    /// The terminal was restored because of a panic.
    Lost,
}

/// Restores the terminal on drop.
#[derive(Debug)]
struct Guard {
    over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(reader) = self.reader.take() {
            // The thread ends within a `GLANCE`; joined so that it takes no key from the terminal's next reader.
            let _ = reader.join();
        }
        give_back();
    }
}

fn set_up(mut out: impl Write) -> std::io::Result<()> {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
            PANIC.notify_one();
        }));
    });
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    out.write_all(PUSH_TITLE.as_bytes())?;
    // A symbol at the end of a row that is wider on the terminal must not wrap.
    execute!(out, EnterAlternateScreen, DisableLineWrap, EnableBracketedPaste, EnableFocusChange)
}

/// Restores the terminal, ignoring errors. Only once, because a second time would discard what was written in between.
fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = std::io::stdout();
    let _ = queue!(
        out,
        DisableMouseCapture,
        DisableFocusChange,
        DisableBracketedPaste,
        EnableLineWrap,
        LeaveAlternateScreen,
        Show
    );
    let _ = out.write_all(POP_TITLE.as_bytes());
    let _ = out.flush();
    let _ = disable_raw_mode();
}

impl Tty {
    /// Sets up the terminal; `bell` enables its bell.
    pub(crate) fn take(bell: bool) -> std::io::Result<Self> {
        let pictures = Pictures::start()?;
        set_up(std::io::stdout())?;
        let mut guard = Guard { over: Arc::default(), reader: None };
        let terminal = Terminal::new(Steady::new(pictures.clone()))?;
        let (sender, keys) = mpsc::channel(KEYS);
        let bell = Bell { wanted: bell, rang: None };
        let over = Arc::clone(&guard.over);
        let thread = std::thread::Builder::new().name("keys".to_owned());
        guard.reader = Some(thread.spawn(move || read_keys(&sender, &over))?);
        Ok(Self { terminal, pictures, keys, title: String::new(), mouse: false, bell, _guard: guard })
    }

    /// Waits for the next key or, if there are changes, until they can be drawn. Cancel-safe.
    pub(crate) async fn next(&mut self, draws: bool) -> Next {
        tokio::select! {
            key = self.keys.recv() => Next::Key(key),
            () = self.pictures.written(), if draws => Next::Written,
            () = PANIC.notified() => Next::Lost,
        }
    }

    /// Draws changes if the last frame is written. Returns whether it did.
    pub(crate) fn draw(&mut self, screen: &mut Screen) -> std::io::Result<bool> {
        if !TAKEN.load(Ordering::SeqCst) {
            return Err(std::io::Error::other("a part of the program failed; see the error above"));
        }
        if !self.pictures.is_written() {
            return Ok(false);
        }
        let title = screen.title();
        if title != self.title {
            queue!(self.pictures, crossterm::terminal::SetTitle(&title))?;
            self.title = title;
        }
        if screen.take_bell() && self.bell.rings() {
            self.pictures.write_all(b"\x07")?;
        }
        self.pictures.flush()?;
        self.terminal.draw(|frame| screen.draw(frame))?;
        Ok(true)
    }

    /// Draws the next frame completely.
    pub(crate) fn redraw(&mut self) -> std::io::Result<()> {
        self.terminal.clear()
    }

    /// Uses the mouse, or leaves it to the terminal.
    pub(crate) fn use_mouse(&mut self, used: bool) -> std::io::Result<()> {
        self.mouse = used;
        if used {
            execute!(self.pictures, EnableMouseCapture)
        } else {
            execute!(self.pictures, DisableMouseCapture)
        }
    }

    /// Restores the terminal and stops until the shell continues this process.
    pub(crate) async fn suspend(&mut self) -> std::io::Result<()> {
        self.finish().await;
        give_back();
        // The complete job, as the terminal would do it, including the parent.
        rustix::process::kill_current_process_group(Signal::TSTP)?;
        self.resume()
    }

    /// Sets up the terminal again.
    pub(crate) fn resume(&mut self) -> std::io::Result<()> {
        set_up(std::io::stdout())?;
        self.title.clear();
        self.use_mouse(self.mouse)?;
        self.redraw()
    }

    /// Waits briefly for the last frame.
    pub(crate) async fn finish(&self) {
        // Does not wait for a stalled terminal.
        let _ = tokio::time::timeout(FLUSH, self.pictures.written()).await;
    }
}

fn read_keys(sender: &mpsc::Sender<std::io::Result<Event>>, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        let event = match crossterm::event::poll(GLANCE) {
            Ok(false) => continue,
            Ok(true) => crossterm::event::read(),
            Err(error) => Err(error),
        };
        let is_last = event.is_err();
        // Keys are no longer received while the chat ends.
        if sender.try_send(event).is_err_and(|error| {
            over.load(Ordering::SeqCst) || sender.blocking_send(error.into_inner()).is_err()
        }) || is_last
        {
            return;
        }
    }
}

/// Buffers a frame until it is complete, then passes it to the thread.
#[derive(Debug, Clone)]
struct Pictures {
    gathered: Vec<u8>,
    thread: std::sync::mpsc::Sender<Vec<u8>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Frames passed to the thread and not written.
    in_flight: AtomicUsize,
    written: Notify,
}

impl Pictures {
    fn start() -> std::io::Result<Self> {
        let (thread, queue) = std::sync::mpsc::channel::<Vec<u8>>();
        let shared = Arc::<Shared>::default();
        std::thread::Builder::new().name("pictures".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                let mut out = std::io::stdout();
                for picture in queue {
                    if TAKEN.load(Ordering::SeqCst) {
                        // Errors of a closed terminal are ignored; reading keys reports them, too.
                        let _ = out.write_all(&picture).and_then(|()| out.flush());
                    }
                    shared.in_flight.fetch_sub(1, Ordering::SeqCst);
                    shared.written.notify_waiters();
                }
            }
        })?;
        Ok(Self { gathered: Vec::new(), thread, shared })
    }

    fn is_written(&self) -> bool {
        self.shared.in_flight.load(Ordering::SeqCst) == 0
    }

    async fn written(&self) {
        loop {
            let notified = self.shared.written.notified();
            if self.is_written() {
                return;
            }
            notified.await;
        }
    }
}

impl Write for Pictures {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        self.shared.in_flight.fetch_add(1, Ordering::SeqCst);
        let gone = |_| std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        self.thread.send(std::mem::take(&mut self.gathered)).map_err(gone)
    }
}
