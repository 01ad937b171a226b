//! Measures how long tasks block the runtime's worker threads.
//!
//! A thread outside the runtime samples every worker's counters. A worker makes progress when it parks, wakes up, or runs its maintenance,
//! which it does every few polls ([`EVENT_INTERVAL`]). The time during which a worker is awake and does none of these is a stall. A
//! heartbeat task would not detect it: other workers would steal it from the stuck one.
//!
//! Time that threads spent waiting for a processor does not count, so that a loaded machine does not look like a spinning task. The result
//! is a lower bound, short by up to two samples. The thread in `Runtime::block_on` of a multi-threaded runtime is not a worker and is not
//! measured.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeMetrics};

/// Polls between two checks of a worker's timers and sockets. With tokio's default of 61, sixty short polls in a row would look like a long
/// one.
pub const EVENT_INTERVAL: u32 = 16;
/// Sampling interval while a worker is awake: a tenth of the 100 ms that no task may exceed.
const AWAKE: Duration = Duration::from_millis(10);
/// Sampling interval while all are parked, longer so that an idle process stays idle.
const PARKED: Duration = Duration::from_millis(50);
/// The reported worst case is that of the last minute, in slices of this length.
const SLICE: Duration = Duration::from_secs(10);
const SLICES: usize = 6;

static WATCH: OnceLock<Watch> = OnceLock::new();

/// Starts watching this process's runtime; [`worst`] returns the result.
///
/// # Errors
/// When the thread cannot be started.
pub fn watch(runtime: &Handle) -> std::io::Result<()> {
    let watch = Watch::start(runtime)?;
    // A second runtime in one process is not watched.
    let _ = WATCH.set(watch);
    Ok(())
}

/// The longest stall of the last minute; zero if nothing is watched.
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
    /// When the thread cannot be started.
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

/// Samples every worker once and returns the time until the next sample.
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
    /// The number of parks and wake-ups together.
    parks: u64,
    /// Changes at each maintenance.
    busy: Duration,
}

impl Seen {
    /// Whether it is idle.
    fn is_parked(self) -> bool {
        self.parks % 2 == 1
    }
}

/// How long each thread of this process has waited for a processor, by thread id.
type Waits = HashMap<u32, Duration>;

/// The state of one worker between samples.
#[derive(Debug, Clone, Default)]
struct Worker {
    seen: Seen,
    /// The time since which it has made no progress.
    held: Option<(Instant, Waits)>,
}

impl Worker {
    /// Processes a sample; returns the length of the stall, if there is one.
    fn step(&mut self, seen: Seen, now: Instant, waits: impl FnOnce() -> Waits) -> Option<Duration> {
        if seen != self.seen || seen.is_parked() {
            (self.seen, self.held) = (seen, None);
            return None;
        }
        let Some((since, before)) = &self.held else {
            self.held = Some((now, waits()));
            return None;
        };
        // The worker's thread is unknown, so the thread that waited longest is assumed. A new thread's waiting counts completely.
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
