//! `launcher tls`: makes a certificate for a local network, and shows the one that is configured.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Subcommand;
use kit::tls::pair::{self, Files};
use kit::tls::validity::Age;
use kit::{Exit, Failure};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
};

use super::options::{Nothing, Where, With, Without};
use super::output;

/// Where the pair is written, below the data directory.
const CERTIFICATE: &str = "tls/certificate.pem";
const KEY: &str = "tls/key.pem";
/// Apple's systems reject certificates that are valid for longer (HT210176). It is not shorter because users must trust each new one.
const LIFETIME: Duration = Duration::from_secs(820 * DAY);
const DAY: u64 = 86_400;
/// Other machines' clocks may be behind.
const BEFORE: Duration = Duration::from_secs(DAY);

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a certificate for this machine's names and addresses that no authority has signed
    SelfSigned(With<SelfSigned>),
    /// Show the configured certificate: how long it is valid, and its fingerprint
    Show(With<Nothing>),
}

#[derive(Debug, clap::Args)]
struct SelfSigned {
    /// Another name or address under which clients reach this machine; can be repeated
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// Replace an earlier pair; clients that remember its fingerprint will refuse the new one
    #[arg(long)]
    force: bool,
}

/// Does it.
pub(super) fn tls(place: Where, args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::SelfSigned(it) => self_signed(&place.then(it.place), &it.args),
        Command::Show(it) => show(&place.then(it.place)),
    }
}

fn self_signed(place: &Where, args: &SelfSigned) -> Result<Exit, Failure> {
    let data = place.directories()?.data;
    let files = Files { certificate: data.join(CERTIFICATE), key: data.join(KEY) };
    if let Some(there) =
        [&files.certificate, &files.key].into_iter().find(|file| file.exists() && !args.force)
    {
        let what = format!("{} is already there; replace it with --force", there.display());
        return Err(Failure::new(Exit::Failure, what));
    }
    let names = names(&args.names);
    let (certificate, key) = make(&names).map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot make a certificate for {}: {error}", names.join(", ")))
    })?;
    // The key first: until both are there, a running server keeps what it has.
    for (file, content) in [(&files.key, key), (&files.certificate, certificate)] {
        write(file, &content).map_err(|error| {
            Failure::new(Exit::Failure, format!("cannot write {}: {error}", file.display()))
        })?;
    }
    let pair =
        pair::load(&files).map_err(|error| Failure::new(Exit::Failure, kit::failure::chain(&error)))?;
    output::line(&format!("certificate  {}", files.certificate.display()));
    output::line(&format!("key          {}", files.key.display()));
    output::line(&format!("names        {}", names.join(", ")));
    output::line(&format!("valid        {} days", LIFETIME.as_secs() / DAY));
    output::line(&format!("fingerprint  {}", pair::show(&pair.fingerprint)));
    output::line("");
    output::line("To use it, write into the configuration:");
    output::line(&format!("  [tls]\n  certificate = \"{CERTIFICATE}\"\n  key = \"{KEY}\""));
    output::line("  [chat-server]\n  tls-listen = \"0.0.0.0:5443\"");
    output::line("  [web-adapter]\n  tls-listen = \"0.0.0.0:8443\"");
    output::line(
        "Others then use 'launcher chat --tls --server HOST', and compare the fingerprint at their first visit.",
    );
    Ok(Exit::Fine)
}

/// This machine's names and addresses, and those of the command line.
fn names(more: &[String]) -> Vec<String> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut names = vec!["localhost".to_owned()];
    if !host.is_empty() && host != "localhost" {
        // As mDNS announces it.
        names.extend((!host.contains('.')).then(|| format!("{host}.local")));
        names.push(host);
    }
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let mut addresses: Vec<IpAddr> = interfaces.iter().map(if_addrs::Interface::ip).collect();
    addresses.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
    // Addresses of a link are meaningless without its name.
    addresses.retain(|ip| !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()));
    addresses.sort_unstable();
    addresses.dedup();
    names.extend(addresses.iter().map(ToString::to_string));
    for name in more {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The certificate and its key, in PEM.
fn make(names: &[String]) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.to_vec())?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, "P2P Chat, self-signed");
    params.distinguished_name = subject;
    let now = SystemTime::now();
    params.not_before = (now - BEFORE).into();
    params.not_after = (now - BEFORE + LIFETIME).into();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// Replaces a private file.
fn write(file: &Path, content: &str) -> std::io::Result<()> {
    if let Some(directory) = file.parent() {
        kit::files::make_directory(directory)?;
    }
    let new: PathBuf = file.with_extension("new");
    let mut open = kit::files::open(&new, OpenOptions::new().write(true).create(true).truncate(true))?;
    open.write_all(content.as_bytes())?;
    open.sync_all()?;
    std::fs::rename(new, file)
}

fn show(place: &Where) -> Result<Exit, Failure> {
    let loaded = place.load(&Without::default())?;
    let files = loaded.settings.tls.files(&loaded.directories.data).ok_or_else(|| {
        let what = "no certificate is configured; 'launcher tls self-signed' makes one, and tls.certificate names it";
        Failure::new(Exit::Config, what)
    })?;
    let pair = pair::load(&files).map_err(|error| Failure::new(Exit::Config, kit::failure::chain(&error)))?;
    output::line(&format!("certificate  {}", files.certificate.display()));
    if let Some(validity) = pair.validity {
        output::line(&format!("valid        {}", left(&validity.age(SystemTime::now()), validity.until)));
    }
    output::line(&format!("fingerprint  {}", pair::show(&pair.fingerprint)));
    Ok(Exit::Fine)
}

fn left(age: &Age, until: SystemTime) -> String {
    match age {
        Age::Expired(past) => format!("no: expired {} ago", output::many(past.as_secs() / DAY, "day")),
        Age::Early => "not yet, by this machine's clock".to_owned(),
        Age::Fine | Age::Late(_) => {
            let left = until.duration_since(SystemTime::now()).unwrap_or_default();
            format!("for {} more", output::many(left.as_secs() / DAY, "day"))
        }
    }
}
