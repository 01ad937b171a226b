//! The real terminal: taken at the beginning, given back at the end, also after a panic and while we are suspended.
//!
//! What is drawn is written by a thread of its own: a terminal that stalls never holds up the connection's upkeep. While it writes
//! nothing more is drawn, so what is not written yet is bounded by one picture.

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

/// Keys that were pressed and not dealt with yet. Overflow rule: the terminal waits.
const KEYS: usize = 64;
/// How often the thread that waits for keys looks whether it is still wanted.
const GLANCE: Duration = Duration::from_millis(200);
/// The bell rings no more often than this, however much comes.
const RING: Duration = Duration::from_secs(1);
/// How long the end waits for the last picture.
const FLUSH: Duration = Duration::from_millis(500);
/// Puts the window's title aside, and back (xterm's window operations 22 and 23).
const PUSH_TITLE: &str = "\u{1b}[22;2t";
const POP_TITLE: &str = "\u{1b}[23;2t";

/// Whether the terminal is taken: there is one, and a panic anywhere gives it back, once, before it is reported.
static TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();
/// Tells the chat of a panic beside it.
static PANIC: Notify = Notify::const_new();

/// The terminal, taken.
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

/// The bell: whether it is wanted, and when it rang last.
#[derive(Debug)]
struct Bell {
    wanted: bool,
    rang: Option<Instant>,
}

impl Bell {
    /// Whether it rings now that there is a reason.
    fn rings(&mut self) -> bool {
        let rings = self.wanted && self.rang.is_none_or(|rang| rang.elapsed() >= RING);
        if rings {
            self.rang = Some(Instant::now());
        }
        rings
    }
}

/// What a terminal does.
#[derive(Debug)]
pub(crate) enum Next {
    /// A key was pressed; `None` when there will be no more.
    Key(Option<std::io::Result<Event>>),
    /// The last picture is written.
    Written,
    /// The terminal was given back, because of a panic.
    Lost,
}

/// Gives the terminal back when it is dropped.
#[derive(Debug)]
struct Guard {
    over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(reader) = self.reader.take() {
            // It ends within a `GLANCE`; whoever reads the terminal next is not robbed of a key.
            let _ = reader.join();
        }
        give_back();
    }
}

fn take(mut out: impl Write) -> std::io::Result<()> {
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
    // A sign at the end of a row that the terminal finds wider than we do must not go on in the next one.
    execute!(out, EnterAlternateScreen, DisableLineWrap, EnableBracketedPaste, EnableFocusChange)
}

/// A terminal that is gone needs no care. Given back twice, it would forget what was written in between.
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
    /// Takes the terminal; its bell is rung if that is wanted.
    pub(crate) fn take(bell: bool) -> std::io::Result<Self> {
        let pictures = Pictures::start()?;
        take(std::io::stdout())?;
        let mut guard = Guard { over: Arc::default(), reader: None };
        let terminal = Terminal::new(Steady::new(pictures.clone()))?;
        let (sender, keys) = mpsc::channel(KEYS);
        let bell = Bell { wanted: bell, rang: None };
        let over = Arc::clone(&guard.over);
        let thread = std::thread::Builder::new().name("keys".to_owned());
        guard.reader = Some(thread.spawn(move || read_keys(&sender, &over))?);
        Ok(Self { terminal, pictures, keys, title: String::new(), mouse: false, bell, _guard: guard })
    }

    /// The next key, or, if there is something to draw, the moment in which that can be done. Cancel-safe.
    pub(crate) async fn next(&mut self, draws: bool) -> Next {
        tokio::select! {
            key = self.keys.recv() => Next::Key(key),
            () = self.pictures.written(), if draws => Next::Written,
            () = PANIC.notified() => Next::Lost,
        }
    }

    /// Draws what is new, if the last picture is written. Whether it did.
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

    /// The next picture is drawn from nothing.
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

    /// Gives the terminal back and stops until the shell lets us go on.
    pub(crate) async fn suspend(&mut self) -> std::io::Result<()> {
        self.finish().await;
        give_back();
        // The whole job, as the terminal would do it: whoever started us stops with us.
        rustix::process::kill_current_process_group(Signal::TSTP)?;
        self.resume()
    }

    /// Takes the terminal again.
    pub(crate) fn resume(&mut self) -> std::io::Result<()> {
        take(std::io::stdout())?;
        self.title.clear();
        self.use_mouse(self.mouse)?;
        self.redraw()
    }

    /// Waits a moment for the last picture.
    pub(crate) async fn finish(&self) {
        // A terminal that stalls is not waited for.
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
        // Nobody takes keys any more while the chat ends.
        if sender.try_send(event).is_err_and(|error| {
            over.load(Ordering::SeqCst) || sender.blocking_send(error.into_inner()).is_err()
        }) || is_last
        {
            return;
        }
    }
}

/// Where pictures are written: gathered until they are whole, then handed to the thread.
#[derive(Debug, Clone)]
struct Pictures {
    gathered: Vec<u8>,
    thread: std::sync::mpsc::Sender<Vec<u8>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Handed over and not written.
    under_way: AtomicUsize,
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
                        // A terminal that is gone shows nothing; the keys say so, too.
                        let _ = out.write_all(&picture).and_then(|()| out.flush());
                    }
                    shared.under_way.fetch_sub(1, Ordering::SeqCst);
                    shared.written.notify_waiters();
                }
            }
        })?;
        Ok(Self { gathered: Vec::new(), thread, shared })
    }

    fn is_written(&self) -> bool {
        self.shared.under_way.load(Ordering::SeqCst) == 0
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
        self.shared.under_way.fetch_add(1, Ordering::SeqCst);
        let gone = |_| std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        self.thread.send(std::mem::take(&mut self.gathered)).map_err(gone)
    }
}
