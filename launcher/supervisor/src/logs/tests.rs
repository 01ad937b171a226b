//! Tests from the pipe to the disk.

use std::io::{Read, Write};

use super::*;

fn policy(max_bytes: u64) -> LogPolicy {
    LogPolicy { max_bytes, max_files: 10_000, max_total: u64::MAX, ..LogPolicy::default() }
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn what_is_written_is_on_disk_masked_and_its_end_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let secret = Secret::new("hunter22".to_owned());
    let mut logs = Logs::start(dir.path(), policy(1 << 20), &[secret], None).unwrap();
    let (Output { stdout: mut writer, stderr }, last) = logs.attach("chat", None).unwrap();
    drop(stderr);
    writer.write_all(b"one\nthe password is hun").unwrap();
    writer.write_all(b"ter22\nlast words").unwrap();
    drop(writer);
    let lines = current_thread().block_on(async {
        let lines = last.get().await;
        logs.close().await;
        lines
    });
    assert_eq!(lines, ["one", "the password is ***", "last words"]);
    let text = std::fs::read_to_string(dir.path().join("chat.log")).unwrap();
    assert_eq!(text, "one\nthe password is ***\nlast words [launcher] the line ends here with its process\n");
}

#[test]
fn last_lines_are_told_though_a_descendant_holds_the_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let mut logs = Logs::start(dir.path(), policy(1 << 20), &[], None).unwrap();
    let (Output { stdout: mut writer, stderr }, last) = logs.attach("chat", None).unwrap();
    drop(stderr);
    writer.write_all(b"boom\n").unwrap();
    let lines = current_thread().block_on(last.get());
    assert_eq!(lines, ["boom"]);
    // Later output of the descendant is written as well.
    writer.write_all(b"still here\n").unwrap();
    drop(writer);
    current_thread().block_on(logs.close());
    let text = std::fs::read_to_string(dir.path().join("chat.log")).unwrap();
    assert_eq!(text, "boom\nstill here\n");
}

#[test]
fn a_flood_through_many_rotations_loses_no_byte() {
    let dir = tempfile::tempdir().unwrap();
    let mut logs = Logs::start(dir.path(), policy(100_000), &[], None).unwrap();
    let (Output { stdout: mut writer, stderr }, last) = logs.attach("chat", None).unwrap();
    drop(stderr);
    let mut expected = Vec::new();
    for i in 0..60_000 {
        // With invalid UTF-8 and empty lines.
        expected.extend_from_slice(format!("{i} ").as_bytes());
        expected.extend((0..i % 90).map(|byte| if byte == 10 { 0xFF } else { byte as u8 }));
        expected.extend_from_slice(b"\r\n\n");
    }
    for chunk in expected.chunks(70_001) {
        writer.write_all(chunk).unwrap();
    }
    drop(writer);
    current_thread().block_on(async {
        last.get().await;
        logs.close().await;
    });
    let mut names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.is_file() && !path.to_string_lossy().ends_with(".tmp"));
    names.sort_by_key(|path| path.to_string_lossy().trim_end_matches(".gz").to_owned());
    // A file may exist in both forms for a moment.
    names.dedup_by_key(|path| path.to_string_lossy().trim_end_matches(".gz").to_owned());
    assert!(names.len() > 20, "{}", names.len());
    let read = |path: &std::path::PathBuf| {
        let bytes =
            std::fs::read(path).unwrap_or_else(|_| std::fs::read(format!("{}.gz", path.display())).unwrap());
        if !bytes.starts_with(&[0x1F, 0x8B]) {
            return bytes;
        }
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
        plain
    };
    let found: Vec<u8> = names.iter().flat_map(read).collect();
    assert!(found == expected, "{} bytes of {}", found.len(), expected.len());
}
