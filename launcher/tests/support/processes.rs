//! All processes of this machine according to `/proc`.

/// Their ids.
pub fn all() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// One file of each, such as `environ`, `cmdline` or `stat`; those that end meanwhile or may not be read are left out.
pub fn files(name: &str) -> impl Iterator<Item = (u32, Vec<u8>)> {
    all().filter_map(move |pid| Some((pid, std::fs::read(format!("/proc/{pid}/{name}")).ok()?)))
}
