//! How long a task has held a worker thread of the runtime without giving it back.
//!
//! A thread outside the runtime looks at every worker's own counters: a worker makes progress when it parks, wakes up, or comes round
//! to its maintenance, which it does every few polls ([`EVENT_INTERVAL`]). The time in which a worker is awake and does none of that is
//! a stall. A heartbeat task would not do: other workers steal it from the one that is stuck.
//!
//! Time that the process's threads spent waiting for a processor does not count, so that a loaded machine does not look like a task
//! that spins. What is reported is a lower bound: up to two samples are missing from it. Leaves out the thread in `Runtime::block_on`
//! of a runtime with several workers, which is not one of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeMetrics};

/// Polls between two looks of a worker at its timers and sockets. With tokio's 61, sixty short polls in a row would look like a long one.
pub const EVENT_INTERVAL: u32 = 16;
/// Between two samples while a worker is awake: ten of them make the 100 ms that no task may exceed.
const AWAKE: Duration = Duration::from_millis(10);
/// …and while all are parked, so that an idle process stays idle.
const PARKED: Duration = Duration::from_millis(50);
/// The reported worst case is that of the last minute, in slices of this length.
const SLICE: Duration = Duration::from_secs(10);
const SLICES: usize = 6;

static WATCH: OnceLock<Watch> = OnceLock::new();

/// Watches this process's runtime from now on; what it finds is [`worst`].
///
/// # Errors
/// When no thread can be started.
pub fn watch(runtime: &Handle) -> std::io::Result<()> {
    let watch = Watch::start(runtime)?;
    // A second runtime of one process is not watched.
    let _ = WATCH.set(watch);
    Ok(())
}

/// The longest stall of the last minute; zero where nothing is watched.
#[must_use]
pub fn worst() -> Duration {
    WATCH.get().map(Watch::worst).unwrap_or_default()
}

/// Watches one runtime.
#[derive(Debug, Clone)]
pub struct Watch(Arc<Mutex<Window>>);

impl Watch {
    /// Watches `runtime` for as long as this or a clone of it exists.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(runtime: &Handle) -> std::io::Result<Self> {
        let watch = Self(Arc::new(Mutex::new(Window::new(Instant::now()))));
        let (window, metrics) = (Arc::downgrade(&watch.0), runtime.metrics());
        std::thread::Builder::new().name("stall-watch".to_owned()).spawn(move || {
            let mut workers = vec![Worker::default(); metrics.num_workers()];
            while let Some(window) = window.upgrade() {
                let pause = sample(&metrics, &mut workers, &window);
                drop(window);
                std::thread::sleep(pause);
            }
        })?;
        Ok(watch)
    }

    /// The longest stall of the last minute.
    #[must_use]
    pub fn worst(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).worst(Instant::now())
    }
}

/// Looks at every worker once; says when to look again.
fn sample(metrics: &RuntimeMetrics, workers: &mut [Worker], window: &Mutex<Window>) -> Duration {
    let now = Instant::now();
    let mut pause = PARKED;
    for (index, worker) in workers.iter_mut().enumerate() {
        let seen = Seen {
            parks: metrics.worker_park_unpark_count(index),
            busy: metrics.worker_total_busy_duration(index),
        };
        if !seen.is_parked() {
            pause = AWAKE;
        }
        if let Some(stall) = worker.step(seen, now, processor_waits) {
            window.lock().unwrap_or_else(PoisonError::into_inner).add(stall, now);
        }
    }
    pause
}

/// A worker's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    /// How often it parked and woke up, both counted.
    parks: u64,
    /// Moves at each maintenance.
    busy: Duration,
}

impl Seen {
    /// Whether it has nothing to do.
    fn is_parked(self) -> bool {
        self.parks % 2 == 1
    }
}

/// How long each thread of this process has waited for a processor, by thread id.
type Waits = HashMap<u32, Duration>;

/// What is known of one worker.
#[derive(Debug, Clone, Default)]
struct Worker {
    seen: Seen,
    /// It has made no progress since then.
    held: Option<(Instant, Waits)>,
}

impl Worker {
    /// The counters were looked at; answers how long the stall is, where there is one.
    fn step(&mut self, seen: Seen, now: Instant, waits: impl FnOnce() -> Waits) -> Option<Duration> {
        if seen != self.seen || seen.is_parked() {
            (self.seen, self.held) = (seen, None);
            return None;
        }
        let Some((since, before)) = &self.held else {
            self.held = Some((now, waits()));
            return None;
        };
        // Which thread the worker is cannot be asked; the one that waited longest is assumed. What a new thread waited, it waited since.
        let earlier = |thread: &u32| before.get(thread).copied().unwrap_or_default();
        let waited = |(thread, now): (u32, Duration)| now.saturating_sub(earlier(&thread));
        let waited = waits().into_iter().map(waited).max().unwrap_or_default();
        Some((now - *since).saturating_sub(waited))
    }
}

/// `schedstat` of each thread: nanoseconds on a processor, nanoseconds of waiting for one, time slices
/// (`Documentation/scheduler/sched-stats.rst` of Linux). Empty elsewhere.
fn processor_waits() -> Waits {
    let waited = |thread: std::fs::DirEntry| {
        let id = thread.file_name().to_str()?.parse().ok()?;
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        let waited = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some((id, Duration::from_nanos(waited)))
    };
    std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten().filter_map(waited).collect()
}

/// The worst of each of the last slices of time, oldest first.
#[derive(Debug)]
struct Window {
    slices: VecDeque<Duration>,
    began: Instant,
}

impl Window {
    fn new(now: Instant) -> Self {
        Self { slices: VecDeque::from([Duration::ZERO]), began: now }
    }

    fn add(&mut self, stall: Duration, now: Instant) {
        self.advance(now);
        if let Some(slice) = self.slices.back_mut() {
            *slice = stall.max(*slice);
        }
    }

    fn worst(&mut self, now: Instant) -> Duration {
        self.advance(now);
        self.slices.iter().max().copied().unwrap_or_default()
    }

    fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.began).as_secs() / SLICE.as_secs();
        for _ in 0..passed.min(SLICES as u64) {
            self.slices.push_back(Duration::ZERO);
            if self.slices.len() > SLICES {
                self.slices.pop_front();
            }
        }
        self.began += SLICE * u32::try_from(passed).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn no_waits() -> Waits {
        Waits::new()
    }

    #[test]
    fn a_worker_that_is_awake_and_makes_no_progress_is_stalled() {
        let (mut worker, start) = (Worker::default(), Instant::now());
        let awake = Seen { parks: 2, busy: Duration::ZERO };
        assert_eq!(worker.step(awake, start, no_waits), None);
        assert_eq!(worker.step(awake, start + 10 * MS, no_waits), None);
        assert_eq!(worker.step(awake, start + 150 * MS, no_waits), Some(140 * MS));
        let progress = Seen { busy: MS, ..awake };
        assert_eq!(worker.step(progress, start + 160 * MS, no_waits), None);
        assert_eq!(worker.step(Seen { parks: 3, ..progress }, start + 170 * MS, no_waits), None);
        assert_eq!(
            worker.step(Seen { parks: 3, ..progress }, start + 900 * MS, no_waits),
            None,
            "it is parked"
        );
    }

    #[test]
    fn waiting_for_a_processor_is_not_a_stall() {
        let (mut worker, start) = (Worker::default(), Instant::now());
        let waits = |waited: Duration| move || Waits::from([(1, waited), (2, MS)]);
        let awake = Seen { parks: 2, busy: Duration::ZERO };
        worker.step(awake, start, waits(MS));
        worker.step(awake, start, waits(MS));
        assert_eq!(worker.step(awake, start + 200 * MS, waits(121 * MS)), Some(80 * MS));
    }

    #[test]
    fn a_worker_that_never_parked_is_watched_too() {
        let (mut worker, start) = (Worker::default(), Instant::now());
        let first = Seen { parks: 0, busy: Duration::ZERO };
        worker.step(first, start, no_waits);
        assert_eq!(worker.step(first, start + 150 * MS, no_waits), Some(150 * MS), "its first task spins");
        let busy = Seen { busy: MS, ..first };
        assert_eq!(worker.step(busy, start + 160 * MS, no_waits), None);
        worker.step(busy, start + 170 * MS, no_waits);
        assert_eq!(worker.step(busy, start + 300 * MS, no_waits), Some(130 * MS), "a later one spins");
        let (mut worker, waits) = (Worker::default(), || Waits::from([(7, 140 * MS)]));
        worker.step(first, start, no_waits);
        assert_eq!(worker.step(first, start + 150 * MS, waits), Some(10 * MS), "its thread waited to begin");
    }

    #[test]
    fn the_worst_of_the_last_minute_is_told() {
        let start = Instant::now();
        let mut window = Window::new(start);
        window.add(300 * MS, start);
        window.add(100 * MS, start + 2 * SLICE);
        assert_eq!(window.worst(start + 5 * SLICE), 300 * MS);
        assert_eq!(window.worst(start + 6 * SLICE), 100 * MS);
        assert_eq!(window.worst(start + 600 * SLICE), Duration::ZERO);
    }

    #[test]
    fn a_task_that_spins_is_seen_and_one_that_yields_is_not() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let watch = Watch::start(runtime.handle()).unwrap();
        runtime.block_on(async {
            let busy = tokio::spawn(async {
                let until = Instant::now() + 300 * MS;
                while Instant::now() < until {
                    tokio::task::yield_now().await;
                }
            });
            busy.await.unwrap();
            assert!(watch.worst() < 100 * MS, "{:?}", watch.worst());
            let spin = tokio::spawn({
                let watch = watch.clone();
                async move {
                    let until = Instant::now() + Duration::from_secs(20);
                    while watch.worst() < 100 * MS && Instant::now() < until {
                        std::hint::spin_loop();
                    }
                }
            });
            spin.await.unwrap();
        });
        assert!(watch.worst() >= 100 * MS, "{:?}", watch.worst());
    }
}
