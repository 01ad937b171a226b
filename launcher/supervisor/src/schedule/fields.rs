//! The five fields of `crontab(5)`: minute, hour, day of the month, month, day of the week.

use time::OffsetDateTime;

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Names for whole expressions.
const NICKNAMES: [(&str, &str); 6] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
];

/// What a field may hold.
struct Kind {
    what: &'static str,
    low: u32,
    high: u32,
    /// Words for its numbers, from `low` on.
    names: &'static [&'static str],
}

const KINDS: [Kind; 5] = [
    Kind { what: "minute", low: 0, high: 59, names: &[] },
    Kind { what: "hour", low: 0, high: 23, names: &[] },
    Kind { what: "day of the month", low: 1, high: 31, names: &[] },
    Kind { what: "month", low: 1, high: 12, names: MONTHS },
    Kind { what: "day of the week", low: 0, high: 7, names: DAYS },
];

/// Each field as a set of bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fields {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both kinds of day are given: one of the two suffices.
    is_either_day: bool,
    /// The minute or the hour begins with `*`: it happens again and again, and not at a time of the day.
    pub(super) is_wild: bool,
}

/// How a local time fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    Exactly,
    /// Another minute of this hour may.
    OtherMinute,
    /// Another hour of this day may.
    OtherHour,
    OtherDay,
}

impl Fields {
    /// Reads five fields, or a name for them. The error says which field is wrong, and what it may be.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let known = NICKNAMES.iter().find(|(name, _)| text.trim().eq_ignore_ascii_case(name));
        let expression = known.map_or(text, |(_, expression)| expression);
        let parts: Vec<&str> = expression.split_whitespace().collect();
        let parts: [&str; 5] = parts.try_into().map_err(|_| {
            "has five fields: minute, hour, day of the month, month, day of the week; \"0 3 * * *\" is 3:00 each day".to_owned()
        })?;
        let mut sets = [0; 5];
        for ((set, part), kind) in sets.iter_mut().zip(parts).zip(&KINDS) {
            *set = kind.parse(part)?;
        }
        let [minutes, hours, days, months, weekdays] = sets;
        let is_star = |field: usize| parts[field].starts_with('*');
        Ok(Self {
            minutes,
            hours,
            days,
            months,
            // Sunday is 0 and 7.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            is_either_day: !is_star(2) && !is_star(4),
            is_wild: is_star(0) || is_star(1),
        })
    }

    /// How a local time fits, in seconds since 1970 by local clocks.
    pub(super) fn fit(&self, local: i64) -> Fit {
        let Ok(time) = OffsetDateTime::from_unix_timestamp(local) else { return Fit::OtherDay };
        let has = |set: u64, number: u8| set >> number & 1 == 1;
        let of_month = has(self.days, time.day());
        let of_week = has(self.weekdays, time.weekday().number_days_from_sunday());
        let is_day = if self.is_either_day { of_month || of_week } else { of_month && of_week };
        if !is_day || !has(self.months, u8::from(time.month())) {
            Fit::OtherDay
        } else if !has(self.hours, time.hour()) {
            Fit::OtherHour
        } else if !has(self.minutes, time.minute()) {
            Fit::OtherMinute
        } else {
            Fit::Exactly
        }
    }
}

impl Kind {
    /// A list of ranges with steps.
    fn parse(&self, text: &str) -> Result<u64, String> {
        text.split(',').try_fold(0, |set, part| Ok(set | self.range(part)?))
    }

    fn range(&self, text: &str) -> Result<u64, String> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (text, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.low, self.high),
            Some((from, to)) => (self.number(from)?, self.number(to)?),
            None if step.is_some() => {
                return Err(self.wrong(text, "a step follows * or a range, as in */5 or 10-20/2"));
            }
            None => (self.number(range)?, self.number(range)?),
        };
        if from > to {
            return Err(self.wrong(text, "the range runs backwards"));
        }
        let step = match step.map(str::parse::<usize>) {
            None => 1,
            Some(Ok(step)) if step > 0 => step,
            Some(_) => return Err(self.wrong(text, "a step is a number from 1 on")),
        };
        Ok((from..=to).step_by(step).fold(0, |set, number| set | 1 << number))
    }

    fn number(&self, text: &str) -> Result<u32, String> {
        let named = (self.low..).zip(self.names).find(|(_, name)| name.eq_ignore_ascii_case(text));
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = named.map(|(number, _)| number).or_else(|| text.parse().ok().filter(|_| is_plain));
        let names = match self.names {
            [] => String::new(),
            [first, .., last] => format!(" or {first} to {last}"),
            [only] => format!(" or {only}"),
        };
        let range = format!("it is {} to {}{names}", self.low, self.high);
        number
            .filter(|number| (self.low..=self.high).contains(number))
            .ok_or_else(|| self.wrong(text, &range))
    }

    fn wrong(&self, text: &str, what: &str) -> String {
        format!("{} '{text}': {what}", self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(numbers: &[u32]) -> u64 {
        numbers.iter().fold(0, |set, number| set | 1 << number)
    }

    #[test]
    fn lists_ranges_steps_and_names() {
        let fields = Fields::parse("*/15 9-17/4,20 1,15 JAN-mar sun,5-7").unwrap();
        assert_eq!(fields.minutes, bits(&[0, 15, 30, 45]));
        assert_eq!(fields.hours, bits(&[9, 13, 17, 20]));
        assert_eq!(fields.days, bits(&[1, 15]));
        assert_eq!(fields.months, bits(&[1, 2, 3]));
        assert_eq!(fields.weekdays, bits(&[0, 5, 6]));
        assert!(fields.is_either_day && fields.is_wild);
        assert!(!Fields::parse("0 3 * * *").unwrap().is_wild);
        assert_eq!(Fields::parse("@Daily"), Fields::parse("0 0 * * *"));
        assert_eq!(Fields::parse("* * * * *").unwrap().weekdays, 0x7f);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_it_may_be() {
        let error = |text: &str| Fields::parse(text).unwrap_err();
        assert_eq!(error("61 * * * *"), "minute '61': it is 0 to 59");
        assert_eq!(error("0 24 * * *"), "hour '24': it is 0 to 23");
        assert_eq!(error("0 0 0 * *"), "day of the month '0': it is 1 to 31");
        assert_eq!(error("0 0 * fbe *"), "month 'fbe': it is 1 to 12 or jan to dec");
        assert_eq!(error("0 0 * * 8"), "day of the week '8': it is 0 to 7 or sun to sat");
        assert_eq!(error("5/5 * * * *"), "minute '5/5': a step follows * or a range, as in */5 or 10-20/2");
        assert_eq!(error("9-5 * * * *"), "minute '9-5': the range runs backwards");
        assert_eq!(error("*/0 * * * *"), "minute '*/0': a step is a number from 1 on");
        for text in ["", "* * * *", "* * * * * *", "@reboot"] {
            assert!(error(text).starts_with("has five fields"), "{text}");
        }
        for text in
            ["+1 * * * *", ",, * * * *", "1- * * * *", "-1 * * * *", "é * * * *", "99999999999 * * * *"]
        {
            assert!(error(text).starts_with("minute '"), "{text}");
        }
    }

    #[test]
    fn of_two_kinds_of_day_one_suffices() {
        // 1970-01-01 was a Thursday.
        let day = |text: &str, day: i64| Fields::parse(text).unwrap().fit((day - 1) * 86_400);
        assert_eq!(day("0 0 13 * fri", 2), Fit::Exactly);
        assert_eq!(day("0 0 13 * fri", 13), Fit::Exactly);
        assert_eq!(day("0 0 13 * fri", 14), Fit::OtherDay);
        assert_eq!(day("0 0 * * fri", 13), Fit::OtherDay);
        assert_eq!(day("0 1 13 * *", 13), Fit::OtherHour);
        assert_eq!(day("1 * 13 * *", 13), Fit::OtherMinute);
    }
}
