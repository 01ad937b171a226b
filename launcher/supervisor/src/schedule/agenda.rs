//! What is due when, on a machine whose clock may jump. Pure: it is told both clocks.
//!
//! As in Vixie cron (`cron(8)`):
//!
//! * Put forward by at most three hours, what has fixed hours and minutes and lay between runs at once, and only once; so does whatever was
//!   missed while we ourselves stood still, or the machine was suspended. What has a `*` in one of the two goes by the new time.
//! * Put back by at most three hours, what has fixed hours and minutes does not run again.
//! * A larger jump is a correction: all go by the new time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::search::CHANGE;
use super::timetable::Schedule;

/// A clock that differs from the other one by less, in seconds, was not changed.
const JUMP: i64 = 60;

/// The clock is looked at no less often than this: a sleep is measured by another one than that which jumps.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// What runs by the clock.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    jobs: BTreeMap<String, Job>,
    /// Both clocks at the last look: the wall clock in seconds since 1970, and the time since the machine was started.
    seen: Option<(i64, Duration)>,
}

#[derive(Debug)]
struct Job {
    schedule: Schedule,
    /// All until then has run, or does not count.
    done: i64,
    next: Option<i64>,
}

impl Job {
    fn new(schedule: Schedule, done: i64) -> Self {
        let next = schedule.next(done);
        Self { schedule, done, next }
    }

    fn go_on_from(&mut self, done: i64) {
        self.done = done;
        self.next = self.schedule.next(done);
    }
}

impl Agenda {
    /// These run from now on, and no others. What has the schedule that it had goes on as it was.
    pub(crate) fn set(&mut self, schedules: impl Iterator<Item = (String, Schedule)>, wall: i64) {
        let mut old = std::mem::take(&mut self.jobs);
        let mut kept =
            |name: &str, schedule: &Schedule| old.remove(name).filter(|job| job.schedule == *schedule);
        self.jobs = schedules
            .map(|(name, schedule)| {
                let job = kept(&name, &schedule).unwrap_or_else(|| Job::new(schedule, wall));
                (name, job)
            })
            .collect();
    }

    /// The names of what is due. Each only once, however many of its times lie behind us. `now` also counts time in which the machine was
    /// suspended: that is no jump.
    pub(crate) fn due(&mut self, wall: i64, now: Duration) -> Vec<String> {
        let jump = self.seen.map_or(0, |(old, then)| {
            let passed = i64::try_from(now.saturating_sub(then).as_secs()).unwrap_or(i64::MAX);
            wall.saturating_sub(old).saturating_sub(passed)
        });
        self.seen = Some((wall, now));
        let mut due = Vec::new();
        for (name, job) in &mut self.jobs {
            if jump.abs() > CHANGE {
                job.go_on_from(wall);
            } else if jump.abs() >= JUMP && !job.schedule.is_fixed() {
                // The minute that has begun counts.
                job.go_on_from(wall - wall.rem_euclid(60) - 1);
            }
            if job.next.is_some_and(|next| next <= wall) {
                due.push(name.clone());
                job.go_on_from(wall.max(job.done));
            }
        }
        due
    }

    /// How long it may be slept; none where nothing runs by the clock. The wall clock is in milliseconds here.
    pub(crate) fn sleep(&self, wall_ms: i64) -> Option<Duration> {
        let next = self.jobs.values().filter_map(|job| job.next).min()?;
        let left = u64::try_from(next.saturating_mul(1000).saturating_sub(wall_ms)).unwrap_or(0);
        Some(Duration::from_millis(left).min(LONGEST_SLEEP))
    }

    /// When it runs next, in seconds since 1970.
    pub(crate) fn next(&self, name: &str) -> Option<i64> {
        self.jobs.get(name)?.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    /// An agenda with a job at 3:00 and one each ten minutes, both clocks at midnight.
    struct World {
        agenda: Agenda,
        wall: i64,
        now: Duration,
    }

    impl World {
        fn new() -> Self {
            let job = |name: &str, text: &str| (name.to_owned(), Schedule::parse(text, Some("UTC")).unwrap());
            let mut agenda = Agenda::default();
            agenda.set([job("fixed", "0 3 * * *"), job("wild", "*/10 * * * *")].into_iter(), 0);
            let mut world = Self { agenda, wall: 0, now: Duration::from_secs(1000) };
            assert!(world.look().is_empty());
            world
        }

        fn look(&mut self) -> Vec<String> {
            self.agenda.due(self.wall, self.now)
        }

        /// Time passes, looked at as often as the agenda wants; how often each has run.
        fn pass(&mut self, seconds: i64) -> (usize, usize) {
            let end = self.now + Duration::from_secs(seconds.unsigned_abs());
            let (mut fixed, mut wild) = (0, 0);
            while self.now < end {
                let sleep = self.agenda.sleep(self.wall * 1000).unwrap().max(Duration::from_secs(1));
                let sleep = sleep.min(end - self.now);
                self.now += sleep;
                self.wall += i64::try_from(sleep.as_secs()).unwrap();
                for name in self.look() {
                    if name == "fixed" { fixed += 1 } else { wild += 1 }
                }
            }
            (fixed, wild)
        }
    }

    #[test]
    fn each_runs_at_its_time() {
        let mut world = World::new();
        assert_eq!(world.pass(24 * HOUR), (1, 144));
        assert_eq!(world.agenda.next("fixed"), Some(27 * HOUR));
    }

    #[test]
    fn a_fixed_time_that_the_clock_jumps_over_runs_at_once_and_only_once() {
        let mut world = World::new();
        world.pass(2 * HOUR + 100);
        world.wall += 2 * HOUR;
        assert_eq!(world.look(), ["fixed"]);
        assert_eq!(world.pass(HOUR), (0, 6));
        let mut world = World::new();
        world.wall += 5 * HOUR;
        assert!(world.look().is_empty(), "a correction");
    }

    #[test]
    fn a_clock_that_is_put_back_repeats_only_what_runs_again_and_again() {
        let mut world = World::new();
        assert_eq!(world.pass(3 * HOUR + 100), (1, 18));
        world.wall -= HOUR;
        assert_eq!(world.pass(HOUR + 400), (0, 6));
        world.wall -= 4 * HOUR;
        assert_eq!(world.pass(4 * HOUR).0, 1, "a correction");
    }

    #[test]
    fn what_was_missed_while_we_stood_still_runs_once() {
        let mut world = World::new();
        world.wall += 30 * HOUR;
        world.now += Duration::from_secs(30 * 3600);
        assert_eq!(world.look(), ["fixed", "wild"]);
        assert!(world.look().is_empty());
    }

    #[test]
    fn a_schedule_that_stays_is_not_begun_anew() {
        let mut world = World::new();
        let job = |name: &str, text: &str| (name.to_owned(), Schedule::parse(text, Some("UTC")).unwrap());
        world.wall = 3 * HOUR;
        world.now += Duration::from_secs(3 * 3600);
        world.agenda.set([job("fixed", "0 3 * * *"), job("wild", "*/20 * * * *")].into_iter(), world.wall);
        assert_eq!(world.look(), ["fixed"]);
        assert_eq!(world.agenda.next("wild"), Some(3 * HOUR + 1200));
    }
}
