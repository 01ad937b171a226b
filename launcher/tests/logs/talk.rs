//! The output of the processes: every difficult kind of line, from a seed, so that it can be reproduced and compared.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

/// The test harness prints this before a role begins.
pub(crate) const HEADER: &[u8] = b"\nrunning 1 test\n";
/// Comes before the talk.
pub(crate) const BEGIN: &[u8] = b"=== begin ===\n";
/// Comes after it. It has no end.
/// Its last byte is no digit: one that may begin the service token waits for what follows it.
pub(crate) const END: &[u8] = b"the end, and no line ending";

/// The variables that tell a child what to write, and where it works.
pub(crate) const CHILD: &str = "P2P_TALK_CHILD";
pub(crate) const BYTES: &str = "P2P_TALK_BYTES";
pub(crate) const PLACE: &str = "P2P_TALK_PLACE";

/// The approximate size of the output. 0 means numbered lines until a file `stop` exists.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Talk {
    pub(crate) child: u64,
    pub(crate) bytes: u64,
}

impl Talk {
    pub(crate) fn name(self) -> String {
        format!("talk-{}", self.child)
    }

    /// Every line with its end: empty ones, invalid UTF-8, NUL, carriage returns, colours, up to a megabyte.
    pub(crate) fn each(self, mut take: impl FnMut(&[u8])) {
        let mut dice = Dice(self.child * 7919 + 1);
        let noise: Vec<u8> = (0..1 << 20).map(|_| u8::try_from(dice.roll(256)).unwrap()).collect();
        let noise: Vec<u8> = noise.into_iter().map(|byte| if byte == b'\n' { 0 } else { byte }).collect();
        let (mut said, mut line) = (0, Vec::new());
        for number in 0.. {
            line.clear();
            let length = match dice.roll(2000) {
                0 => (1 << 20) - 100,
                1..=20 => dice.roll(1 << 16),
                _ => dice.roll(200),
            };
            let from = dice.roll((1 << 20) - length) as usize;
            match dice.roll(10) {
                0 => {}
                1 => line.extend_from_slice(b"\x1b[31mred\x1b[0m\r50 %\r100 %"),
                2 => write!(line, "{} {number} € plain text", self.child).unwrap(),
                _ => {
                    write!(line, "{} {number} ", self.child).unwrap();
                    line.extend_from_slice(&noise[from..from + length as usize]);
                }
            }
            line.extend_from_slice(if dice.roll(4) == 0 { b"\r\n" } else { b"\n" });
            take(&line);
            said += line.len() as u64;
            if said >= self.bytes {
                return;
            }
        }
    }
}

/// xorshift64*, Vigna 2016.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }
}

#[test]
#[ignore = "is the child process of other tests"]
fn role() {
    let number = |name: &str| std::env::var(name).unwrap().parse().unwrap();
    let talk = Talk { child: number(CHILD), bytes: number(BYTES) };
    let place = PathBuf::from(std::env::var(PLACE).unwrap());
    // Not through std's buffer, which would write line by line.
    let mut out = std::fs::File::options().write(true).open("/dev/stdout").unwrap();
    // The test harness's message about a slow test is not part of the output.
    rustix::stdio::dup2_stdout(std::fs::File::options().write(true).open("/dev/null").unwrap()).unwrap();
    if talk.bytes == 0 {
        beat(&mut out, &place);
    } else {
        flood(&mut out, talk);
    }
    std::fs::write(place.join(format!("{}.done", talk.name())), "").unwrap();
    // The lifeline.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn flood(out: &mut impl Write, talk: Talk) {
    out.write_all(BEGIN).unwrap();
    let mut ahead = Vec::new();
    talk.each(|line| {
        ahead.extend_from_slice(line);
        // Chunks end anywhere.
        while ahead.len() > 100_000 {
            out.write_all(&ahead[..61_803]).unwrap();
            ahead.drain(..61_803);
        }
    });
    out.write_all(&ahead).unwrap();
    out.write_all(END).unwrap();
}

fn beat(out: &mut impl Write, place: &std::path::Path) {
    let (mut number, mut bytes) = (0_u64, HEADER.len());
    while !place.join("stop").exists() {
        let mut burst = Vec::new();
        for _ in 0..50 {
            writeln!(burst, "beat {number} {}", "-".repeat((number % 150) as usize)).unwrap();
            number += 1;
        }
        bytes += burst.len();
        let middle = burst.len() / 2;
        out.write_all(&burst[..middle]).unwrap();
        out.write_all(&burst[middle..]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    std::fs::write(place.join("said.part"), format!("{} {bytes}", number + 2)).unwrap();
    std::fs::rename(place.join("said.part"), place.join("said")).unwrap();
}
