//! How a client that ends its lines with a newline may write them: in which pieces, with which pauses, and what it waits for. Everything is
//! decided before anything is written.

use crate::support::dice::Dice;

/// Users who can be written to: a fragment of a line to `bob` may well be a line to `b` or `ob`.
pub const RECEIVERS: [&str; 3] = ["bob", "b", "ob"];

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// One write per line.
    Whole,
    /// The newline in a separate write.
    NewlineApart,
    /// Two writes per line, split anywhere.
    TwoWrites,
    /// Three writes per line.
    ThreeWrites,
    /// Byte by byte, like typed keys in a terminal.
    Keys,
    /// All lines in one write.
    Pasted,
    /// Segments that begin and end anywhere.
    Scattered,
}

impl Pattern {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::Whole,
        Self::NewlineApart,
        Self::TwoWrites,
        Self::ThreeWrites,
        Self::Keys,
        Self::Pasted,
        Self::Scattered,
    ];

    /// Whether each write is sent at once (`TCP_NODELAY`), or only when the previous one is acknowledged (RFC 896).
    pub fn is_nodelay(self) -> bool {
        matches!(self, Self::Keys | Self::Scattered)
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub to: &'static str,
    pub body: String,
}

impl Line {
    /// The line with this number, with content that is easily split wrongly.
    pub fn treacherous(number: usize, dice: &mut Dice) -> Self {
        let to = RECEIVERS[dice.roll(3) as usize];
        let body = match dice.roll(8) {
            0 => format!("{number} bob: hi"),
            1 => format!("{number}: grüße, 日本, 😀"),
            2 => format!("{number}{}.", " a line of several segments".repeat(120)),
            3 => format!("😀 {number}"),
            4 => format!("exit {number} !check"),
            _ => format!("hi {number}"),
        };
        Self { to, body }
    }

    fn bytes(&self) -> Vec<u8> {
        format!("{}: {}\n", self.to, self.body).into_bytes()
    }
}

/// The event that a write waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    Nothing,
    /// So many milliseconds.
    Pause(u64),
    /// Until the server has asked for the name.
    Prompt,
    /// Until the server has greeted.
    Greeting,
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub wait: Wait,
    pub bytes: Vec<u8>,
    /// So many lines have their newline now.
    pub ended: usize,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = &self.bytes[..self.bytes.len().min(80)];
        write!(f, "{:?} \"{}\"", self.wait, bytes.escape_ascii())
    }
}

/// How the name is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    Line,
    Split,
    NewlineApart,
    /// Without any newline, as by clients that begin to send some with their first line.
    Bare,
    /// In one write with what comes next.
    Joined,
}

/// All that somebody of this name does to say these lines.
pub fn script(pattern: Pattern, name: &str, lines: &[Line], dice: &mut Dice) -> Vec<Step> {
    use Naming::{Bare, Joined, Line, NewlineApart, Split};
    let naming = match pattern {
        Pattern::Keys | Pattern::Scattered => Joined,
        _ => [Line, Split, NewlineApart, Bare, Joined][dice.roll(5) as usize],
    };
    let named = format!("{name}\n").into_bytes();
    let mut steps = match naming {
        Line => vec![named.clone()],
        Split => cut(&named, 2, dice),
        NewlineApart => vec![name.into(), b"\n".to_vec()],
        Bare => vec![name.into()],
        Joined => Vec::new(),
    }
    .into_iter()
    .map(|bytes| Step { wait: Wait::Nothing, bytes, ended: 0 })
    .collect::<Vec<_>>();
    let mut head = if naming == Joined { named } else { Vec::new() };
    let behind_the_name = steps.len();
    for (count, bytes) in chunks(pattern, lines) {
        head.extend(bytes);
        steps.extend(pieces(pattern, &std::mem::take(&mut head), count, dice));
    }
    // Programs often wait for nothing.
    if dice.roll(2) == 0 {
        steps[0].wait = Wait::Prompt;
    }
    if naming == Bare || naming != Joined && dice.roll(2) == 0 {
        steps[behind_the_name].wait = Wait::Greeting;
    }
    steps
}

/// What is written as one, and how many lines that is.
fn chunks(pattern: Pattern, lines: &[Line]) -> Vec<(usize, Vec<u8>)> {
    match pattern {
        Pattern::Pasted | Pattern::Scattered => {
            vec![(lines.len(), lines.iter().flat_map(Line::bytes).collect())]
        }
        Pattern::Whole
        | Pattern::NewlineApart
        | Pattern::TwoWrites
        | Pattern::ThreeWrites
        | Pattern::Keys => lines.iter().map(|line| (1, line.bytes())).collect(),
    }
}

fn pieces(pattern: Pattern, bytes: &[u8], lines: usize, dice: &mut Dice) -> Vec<Step> {
    let pieces = match pattern {
        Pattern::Whole | Pattern::Pasted => vec![bytes.to_vec()],
        Pattern::NewlineApart => vec![bytes[..bytes.len() - 1].to_vec(), b"\n".to_vec()],
        Pattern::TwoWrites => cut(bytes, 2, dice),
        Pattern::ThreeWrites => cut(bytes, 3, dice),
        // Nobody types several segments.
        Pattern::Keys if bytes.len() < 100 => bytes.iter().map(|byte| vec![*byte]).collect(),
        Pattern::Keys => cut(bytes, 20, dice),
        Pattern::Scattered => cut(bytes, 3 * lines, dice),
    };
    let last = pieces.len() - 1;
    let pause = |index: usize, dice: &mut Dice| match pattern {
        Pattern::Keys => Wait::Pause(5 + dice.roll(26)),
        Pattern::Scattered => Wait::Pause(dice.roll(60)),
        // Between lines, but not within one.
        _ if index == 0 => Wait::Pause(dice.roll(60)),
        _ => Wait::Nothing,
    };
    let steps = pieces.into_iter().enumerate();
    let steps = steps.map(|(index, bytes)| Step { wait: pause(index, dice), bytes, ended: 0 });
    let mut steps: Vec<Step> = steps.collect();
    if pattern == Pattern::Scattered {
        let mut newlines = steps.iter().map(|step| step.bytes.iter().filter(|byte| **byte == b'\n').count());
        let counts: Vec<usize> = newlines.by_ref().collect();
        // The name's is none of the lines'.
        let mut surplus = counts.iter().sum::<usize>() - lines;
        for (step, count) in steps.iter_mut().zip(counts) {
            let of_name = surplus.min(count);
            surplus -= of_name;
            step.ended = count - of_name;
        }
    } else {
        steps[last].ended = lines;
    }
    steps
}

/// So many pieces, or fewer where the dice fall together, none of them empty.
fn cut(bytes: &[u8], count: usize, dice: &mut Dice) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> = (1..count).map(|_| 1 + dice.roll(bytes.len() as u64 - 1) as usize).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.dedup();
    places.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
}
