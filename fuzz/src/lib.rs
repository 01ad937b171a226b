//! What the targets share: a count of how often each came past its gates.
//!
//! A parser that begins with a magic word or a length refuses whatever a fuzzer thinks of, and a target that never gets past that
//! tests nothing. So each target marks the places that matter with [`reached!`], and `fuzz/run` fails when one was not reached.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Marks a place in a target.
#[macro_export]
macro_rules! reached {
    ($place:literal) => {{
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        $crate::count(&COUNT, $place);
    }};
}

/// Counts, and writes the count into a file of this name in `$FUZZ_REACHED`, at each power of two: often enough to be read, and seldom
/// enough to cost nothing.
///
/// # Panics
/// When the file cannot be written.
pub fn count(count: &AtomicU64, place: &str) {
    let now = count.fetch_add(1, Ordering::Relaxed) + 1;
    if now.is_power_of_two()
        && let Some(directory) = std::env::var_os("FUZZ_REACHED")
    {
        std::fs::write(Path::new(&directory).join(place), now.to_string())
            .expect("the directory can be written to");
    }
}
