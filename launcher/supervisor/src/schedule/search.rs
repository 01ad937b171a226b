//! The next time that fits a schedule's fields, in a zone whose clocks are put forward and back.
//!
//! As in Vixie cron (`cron(8)`), with changes of at most three hours:
//!
//! * What has fixed hours and minutes runs once. Where its time does not exist because clocks were put forward, it runs at the moment of the
//!   change; where it exists twice because they were put back, it runs the first time.
//! * What has a `*` in one of the two goes by what clocks show: it runs in a repeated hour again, and in a skipped one not at all.

use tz::TimeZone;

use super::fields::{Fields, Fit};

const MINUTE: i64 = 60;
/// Clocks are changed at such times.
const QUARTER: i64 = 15 * MINUTE;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The largest change that is not a correction.
pub(super) const CHANGE: i64 = 3 * HOUR;

/// Further than between two 29 February around 2100.
const HORIZON: i64 = 9 * 366 * DAY;

/// The first whole minute after a time that fits; none within nine years.
pub(super) fn next(fields: &Fields, zone: &TimeZone, after: i64) -> Option<i64> {
    let mut at = (after.div_euclid(MINUTE) + 1) * MINUTE;
    while at < after + HORIZON {
        let local = at + offset(zone, at);
        if !fields.is_wild && was_skipped(fields, zone, at) {
            return Some(at);
        }
        at += match fields.fit(local) {
            Fit::Exactly if fields.is_wild || !is_repeated(zone, at) => return Some(at),
            Fit::Exactly | Fit::OtherMinute => MINUTE,
            Fit::OtherHour => QUARTER - local.rem_euclid(QUARTER),
            // What lies around midnight is gone through in small steps: the day may end early or late.
            Fit::OtherDay => match DAY - local.rem_euclid(DAY) {
                left if left > CHANGE => left - CHANGE,
                _ => QUARTER - local.rem_euclid(QUARTER),
            },
        };
    }
    None
}

/// Whether clocks were put forward at this moment, over a time that fits.
fn was_skipped(fields: &Fields, zone: &TimeZone, at: i64) -> bool {
    let before = at + offset(zone, at - 1);
    let forward = at + offset(zone, at) - before;
    (1..=CHANGE).contains(&forward)
        && (0..forward / MINUTE).any(|minute| fields.fit(before + minute * MINUTE) == Fit::Exactly)
}

/// Whether clocks have shown the same a while ago already.
fn is_repeated(zone: &TimeZone, at: i64) -> bool {
    let now = offset(zone, at);
    (1..=CHANGE / QUARTER)
        .map(|quarters| quarters * QUARTER)
        .any(|back| offset(zone, at - back) == now + back)
}

/// Of local time to UTC, in seconds. A zone that says nothing of a time counts as UTC.
fn offset(zone: &TimeZone, at: i64) -> i64 {
    zone.find_local_time_type(at).map_or(0, |kind| i64::from(kind.ut_offset()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    use super::*;
    use crate::machine::testing::cases;

    /// Central Europe: 2026 forward on 29 March at 2:00, back on 25 October at 3:00.
    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
    /// Half an hour: 2026 back on 5 April at 2:00, forward on 4 October at 2:00.
    const LORD_HOWE: &str = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0";

    fn unix(text: &str) -> i64 {
        OffsetDateTime::parse(text, &Rfc3339).unwrap().unix_timestamp()
    }

    /// The next times after one, in UTC.
    fn times(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let (fields, zone) = (Fields::parse(expression).unwrap(), TimeZone::from_posix_tz(zone).unwrap());
        let mut at = unix(after);
        let mut found = Vec::new();
        while found.len() < count {
            at = next(&fields, &zone, at).unwrap();
            let text = OffsetDateTime::from_unix_timestamp(at).unwrap().format(&Rfc3339).unwrap();
            found.push(text[5..16].to_owned());
        }
        found
    }

    #[test]
    fn plain_times_follow_each_other() {
        let found = times("30 3 * * mon-fri", "UTC0", "2026-11-27T00:00:00Z", 3);
        assert_eq!(found, ["11-27T03:30", "11-30T03:30", "12-01T03:30"]);
        assert_eq!(times("0 0 29 2 *", "UTC0", "2026-11-27T00:00:00Z", 1), ["02-29T00:00"]);
        assert_eq!(times("59 23 31 12 *", "UTC0", "2026-12-31T23:58:59Z", 1), ["12-31T23:59"]);
    }

    #[test]
    fn a_fixed_time_that_does_not_exist_runs_at_the_change_and_once() {
        let found = times("0,30 2 * * *", BERLIN, "2026-03-28T00:00:00Z", 4);
        assert_eq!(found, ["03-28T01:00", "03-28T01:30", "03-29T01:00", "03-30T00:00"]);
        let found = times("15 2 * * *", LORD_HOWE, "2026-10-03T00:00:00Z", 2);
        assert_eq!(found, ["10-03T15:30", "10-04T15:15"]);
    }

    #[test]
    fn a_fixed_time_that_exists_twice_runs_the_first_time() {
        let found = times("30 2 * * *", BERLIN, "2026-10-24T12:00:00Z", 2);
        assert_eq!(found, ["10-25T00:30", "10-26T01:30"]);
    }

    #[test]
    fn what_runs_again_and_again_goes_by_what_clocks_show() {
        let found = times("30 * * * *", BERLIN, "2026-03-28T23:45:00Z", 3);
        assert_eq!(found, ["03-29T00:30", "03-29T01:30", "03-29T02:30"]);
        let found = times("*/30 2 * * *", BERLIN, "2026-10-24T12:00:00Z", 5);
        assert_eq!(found, ["10-25T00:00", "10-25T00:30", "10-25T01:00", "10-25T01:30", "10-26T01:00"]);
        let found = times("*/30 2 * * *", BERLIN, "2026-03-28T12:00:00Z", 1);
        assert_eq!(found, ["03-30T00:00"], "the hour does not exist");
    }

    /// By trying every minute.
    fn slowly(fields: &Fields, zone: &TimeZone, after: i64, limit: i64) -> Option<i64> {
        let first = (after.div_euclid(MINUTE) + 1) * MINUTE;
        (first..first + limit).step_by(60).find(|at| {
            let fits = fields.fit(at + offset(zone, *at)) == Fit::Exactly;
            let fixed = !fields.is_wild;
            fits && !(fixed && is_repeated(zone, *at)) || fixed && was_skipped(fields, zone, *at)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: cases(60, 3_000), ..ProptestConfig::default() })]

        #[test]
        fn no_step_is_too_long(
            minute in prop_oneof![Just("*".to_owned()), Just("*/7".to_owned()), (0..60u32).prop_map(|m| m.to_string())],
            hour in prop_oneof![Just("*".to_owned()), Just("0-3".to_owned()), (0..24u32).prop_map(|h| h.to_string())],
            day in prop_oneof![3 => Just("*".to_owned()), 1 => (1..32u32).prop_map(|d| d.to_string())],
            weekday in prop_oneof![2 => Just("*"), 1 => Just("sun"), 1 => Just("sat")],
            zone in prop_oneof![Just(BERLIN), Just(LORD_HOWE), Just("NZST-12NZDT,M9.5.0,M4.1.0/3"), Just("UTC0")],
            // From some days before a change on: spring and autumn of 2026, north and south.
            day_of_year in prop_oneof![Just(85i64), Just(92), Just(268), Just(274), Just(295)],
            second in 0..5 * DAY,
        ) {
            let fields = Fields::parse(&format!("{minute} {hour} {day} * {weekday}")).unwrap();
            let zone = TimeZone::from_posix_tz(zone).unwrap();
            let after = unix("2026-01-01T00:00:00Z") + day_of_year * DAY + second;
            let limit = 10 * DAY;
            let expected = slowly(&fields, &zone, after, limit);
            let found = next(&fields, &zone, after).filter(|at| *at < (after.div_euclid(MINUTE) + 1) * MINUTE + limit);
            prop_assert_eq!(found, expected);
        }
    }
}
