//! Metrics for Prometheus: counters, gauges, timers, and the exposition text.
//!
//! The crate `prometheus-client` has no summaries, takes a lock for each histogram observation, and would not make this code shorter.

mod histogram;
pub mod table;

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use histogram::Histogram;

/// A counter that several tasks increment. Each is exact; several read together may be from slightly different moments.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`.
    pub fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// The current value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The number of things that exist at present.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Increments the gauge until the returned guard is dropped.
    #[must_use]
    pub fn enter(&self) -> Entered<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Entered(self)
    }

    /// The current value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A guard that decrements the [`Gauge`] on drop.
#[derive(Debug)]
pub struct Entered<'g>(&'g Gauge);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Count and total duration of an operation.
#[derive(Debug, Default)]
pub struct Timer {
    count: Counter,
    micros: Counter,
}

impl Timer {
    /// Records one operation.
    pub fn note(&self, took: Duration) {
        self.count.add(1);
        self.micros.add(usize::try_from(took.as_micros()).unwrap_or(usize::MAX));
    }
}

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, and its name ends in `_total`.
    Counter,
    /// It can go up and down.
    Gauge,
}

/// The labels of a sample: `name="value",…`, or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(String);

impl Labels {
    /// Names consist of letters, digits and `_`; values may be anything.
    #[must_use]
    pub fn new(labels: &[(&str, &str)]) -> Self {
        let escape = |value: &str| value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        Self(labels.join(","))
    }

    fn with(&self, name: &str, value: &str) -> Self {
        let separator = if self.0.is_empty() { "" } else { "," };
        Self(format!("{}{separator}{name}=\"{value}\"", self.0))
    }
}

impl std::fmt::Display for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{{{}}}", self.0) }
    }
}

/// The response of `/metrics`, in the text format 0.0.4 of Prometheus
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/>). Names are `<prefix>_<name>`.
#[derive(Debug)]
pub struct Exposition {
    prefix: &'static str,
    text: String,
}

impl Exposition {
    /// An empty exposition. `prefix` and all names consist of letters, digits and `_`; help texts contain no line end.
    #[must_use]
    pub fn new(prefix: &'static str) -> Self {
        Self { prefix, text: String::new() }
    }

    /// Adds a counter; its name ends in `_total`.
    #[must_use]
    pub fn counter(self, name: &str, help: &str, counter: &Counter) -> Self {
        let value = counter.get();
        self.sample(name, help, "counter", value)
    }

    /// Adds a gauge.
    #[must_use]
    pub fn gauge(self, name: &str, help: &str, value: u64) -> Self {
        self.sample(name, help, "gauge", value)
    }

    /// Adds the longest time that a task blocked a worker thread within the last minute: see [`crate::stall`].
    #[must_use]
    pub fn runtime_stall(self) -> Self {
        let help = "Longest time within the last minute that a task held a worker thread.";
        let worst = crate::stall::worst().as_secs_f64();
        self.family("runtime_stall_seconds", help, Kind::Gauge, [(Labels::default(), worst)])
    }

    /// Adds a summary with count and sum; its name ends in `_seconds`.
    #[must_use]
    pub fn timer(mut self, name: &str, help: &str, timer: &Timer) -> Self {
        let (count, sum) = (timer.count.get(), Duration::from_micros(timer.micros.get()).as_secs_f64());
        self.head(name, help, "summary");
        let prefix = self.prefix;
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.text, "{prefix}_{name}_sum {sum}\n{prefix}_{name}_count {count}");
        self
    }

    /// Adds a histogram of durations, by labels if there are several; its name ends in `_seconds`.
    #[must_use]
    pub fn histogram<'h>(
        mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, &'h Histogram)>,
    ) -> Self {
        self.head(name, help, "histogram");
        let name = format!("{}_{name}", self.prefix);
        for (labels, times) in samples {
            let mut count = 0;
            for (bound, times) in times.cumulative() {
                let labels = labels.with("le", &bound);
                let _ = writeln!(self.text, "{name}_bucket{labels} {times}");
                count = times;
            }
            let sum = times.sum().as_secs_f64();
            let _ = writeln!(self.text, "{name}_sum{labels} {sum}\n{name}_count{labels} {count}");
        }
        self
    }

    /// Adds samples with different labels under one name; nothing if there are none.
    #[must_use]
    pub fn family(
        mut self,
        name: &str,
        help: &str,
        kind: Kind,
        samples: impl IntoIterator<Item = (Labels, f64)>,
    ) -> Self {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_some() {
            self.head(name, help, kind);
        }
        for (labels, value) in samples {
            let _ = writeln!(self.text, "{}_{name}{labels} {value}", self.prefix);
        }
        self
    }

    /// The complete text.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    fn sample(mut self, name: &str, help: &str, kind: &str, value: u64) -> Self {
        self.head(name, help, kind);
        let _ = writeln!(self.text, "{}_{name} {value}", self.prefix);
        self
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let prefix = self.prefix;
        let _ = writeln!(self.text, "# HELP {prefix}_{name} {help}\n# TYPE {prefix}_{name} {kind}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_prometheus_text() {
        let (counter, gauge, timer) = (Counter::default(), Gauge::default(), Timer::default());
        counter.add(3);
        let (_one, _two) = (gauge.enter(), gauge.enter());
        drop(gauge.enter());
        timer.note(Duration::from_millis(1500));
        let text = Exposition::new("it")
            .counter("done_total", "What was done.", &counter)
            .gauge("open", "What is open.", gauge.get())
            .timer("commit_seconds", "How long.", &timer)
            .finish();
        let expected = "\
# HELP it_done_total What was done.\n# TYPE it_done_total counter\nit_done_total 3\n\
# HELP it_open What is open.\n# TYPE it_open gauge\nit_open 2\n\
# HELP it_commit_seconds How long.\n# TYPE it_commit_seconds summary\nit_commit_seconds_sum 1.5\nit_commit_seconds_count 1\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_histogram_has_buckets_for_each_of_its_labels() {
        let (fast, slow) = (Histogram::new(), Histogram::new());
        fast.note(Duration::from_micros(3));
        slow.note(Duration::from_millis(20_500));
        let samples = [(Labels::default(), &fast), (Labels::new(&[("a", "b")]), &slow)];
        let text = Exposition::new("it").histogram("wait_seconds", "How long.", samples).finish();
        let some = [
            "# HELP it_wait_seconds How long.",
            "# TYPE it_wait_seconds histogram",
            "it_wait_seconds_bucket{le=\"0.00001\"} 1",
            "it_wait_seconds_bucket{le=\"+Inf\"} 1",
            "it_wait_seconds_sum 0.000003",
            "it_wait_seconds_count 1",
            "it_wait_seconds_bucket{a=\"b\",le=\"10\"} 0",
            "it_wait_seconds_bucket{a=\"b\",le=\"+Inf\"} 1",
            "it_wait_seconds_sum{a=\"b\"} 20.5",
            "it_wait_seconds_count{a=\"b\"} 1",
        ];
        let found: Vec<&str> = text.lines().filter(|line| some.contains(line)).collect();
        assert_eq!(found, some, "{text}");
        assert_eq!(text.lines().count(), 2 + 2 * (20 + 2), "{text}");
    }

    #[test]
    fn a_family_has_labels_whose_values_may_be_anything() {
        let samples = [(Labels::new(&[("a", "x\"y\\z\n"), ("b", "")]), 1.5), (Labels::default(), 2.0)];
        let text = Exposition::new("it")
            .family("size", "How big.", Kind::Gauge, samples)
            .family("none", "None.", Kind::Counter, [])
            .finish();
        let expected = "# HELP it_size How big.\n# TYPE it_size gauge\n\
                        it_size{a=\"x\\\"y\\\\z\\n\",b=\"\"} 1.5\nit_size 2\n";
        assert_eq!(text, expected);
    }
}
