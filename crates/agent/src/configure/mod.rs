//! Who a node is: the parent tells after every boot, restore and reconnection,
//! so telling the same twice changes nothing.

mod first;
mod network;
mod text;

use crate::guest::{Guest, Reach};
use crate::rejection::Rejection;
use axum::Json;
use axum::extract::State;
use nestlab_api::message::{Configure, Version};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A clock that is off by less than this is left alone.
const CLOCK_SLACK: Duration = Duration::from_millis(500);

/// `POST /v1/configure`; answers as `GET /v1/version` does. Whoever has been woken
/// from a copy of itself mostly hears what it knows, and the time.
pub(crate) async fn configure(
    State(guest): State<Guest>,
    Json(mut wanted): Json<Configure>,
) -> Result<Json<Version>, Rejection> {
    check(&wanted)?;
    let (clock, entropy) = (wanted.clock_unix_nanos.take(), wanted.entropy.take());
    if guest.config().reach == Reach::Machine {
        set_clock(clock)?;
        mix_entropy(entropy)?;
    }
    if guest.identity().as_ref() != Some(&wanted) {
        become_known_as(&guest, wanted).await?;
    }
    Ok(Json(guest.version()))
}

async fn become_known_as(guest: &Guest, wanted: Configure) -> Result<(), Rejection> {
    let reach = guest.config().reach;
    if reach == Reach::Machine {
        nestlab_sys::hostname::set(&wanted.hostname).map_err(Rejection::io(format!(
            "Cannot set the host name `{}`",
            wanted.hostname
        )))?;
        network::apply(guest.identity().as_ref(), &wanted).await?;
    }
    if reach != Reach::Nothing && !crate::info::has_systemd() {
        first::identity(&guest.config().root).await?;
    }
    write_files(&guest.config().root, &wanted)?;
    remember(&guest.config().run_dir, &wanted)?;
    guest.set_identity(wanted);
    Ok(())
}

/// `POST /v1/identity`
pub(crate) async fn renew(State(guest): State<Guest>) -> Result<(), Rejection> {
    match guest.config().reach {
        Reach::Machine | Reach::Container => first::renew(&guest.config().root).await,
        Reach::Nothing => Err(Rejection::bad("This machine is not the agent's to change")),
    }
}

/// Host names go into files line by line.
fn check(wanted: &Configure) -> Result<(), Rejection> {
    let names = wanted.hosts.iter().flat_map(|entry| &entry.names);
    let odd = |name: &&String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        name.is_empty() || name.len() > 253 || !name.chars().all(plain)
    };
    match std::iter::once(&wanted.hostname).chain(names).find(odd) {
        Some(name) => Err(Rejection::bad(format!("{name:?} is not a host name"))),
        None => Ok(()),
    }
}

fn set_clock(unix_nanos: Option<u64>) -> Result<(), Rejection> {
    let Some(nanos) = unix_nanos else {
        return Ok(());
    };
    let parent = Duration::from_nanos(nanos);
    let ours = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    if parent.abs_diff(ours) < CLOCK_SLACK {
        return Ok(());
    }
    nestlab_sys::clock::set(parent).map_err(Rejection::io("Cannot set the clock"))
}

fn mix_entropy(entropy: Option<String>) -> Result<(), Rejection> {
    let Some(text) = entropy else {
        return Ok(());
    };
    let bytes = decode_hex(&text)
        .ok_or_else(|| Rejection::bad("`entropy` is not an even number of hexadecimal digits"))?;
    nestlab_sys::random::reseed(&bytes).map_err(Rejection::io("Cannot mix the random pool"))
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [_, _] => u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok(),
            _ => None,
        })
        .collect()
}

fn write_files(root: &Path, wanted: &Configure) -> Result<(), Rejection> {
    write(
        &root.join("etc/hostname"),
        &format!("{}\n", wanted.hostname),
    )?;
    let hosts = root.join("etc/hosts");
    let before = fs::read_to_string(&hosts).unwrap_or_default();
    write(&hosts, &text::hosts(&before, wanted))?;
    if !wanted.resolvers.is_empty() {
        write(
            &root.join("etc/resolv.conf"),
            &text::resolvers(&wanted.resolvers),
        )?;
    }
    Ok(())
}

/// Writes a file if it differs. A symbolic link is replaced, not followed: that
/// of systemd-resolved leads to a file that is made anew at every boot. A file that was
/// mounted there, as container engines do it, is written to: it cannot be replaced.
fn write(path: &Path, content: &str) -> Result<(), Rejection> {
    if fs::read_to_string(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    let cannot = || format!("Cannot write {}", path.display());
    let beside = path.with_extension("nestlab-new");
    fs::create_dir_all(path.parent().unwrap_or(path)).map_err(Rejection::io(cannot()))?;
    fs::write(&beside, content).map_err(Rejection::io(cannot()))?;
    match fs::rename(&beside, path) {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            let _ = fs::remove_file(&beside);
            fs::write(path, content)
        }
        done => done,
    }
    .map_err(Rejection::io(cannot()))
}

fn memory(run_dir: &Path) -> PathBuf {
    run_dir.join("identity.json")
}

fn remember(run_dir: &Path, wanted: &Configure) -> Result<(), Rejection> {
    let content = serde_json::to_string(wanted)
        .map_err(|error| Rejection::caused("Cannot write down who this node is", &error))?;
    let path = memory(run_dir);
    write(&path, &content)?;
    set_private(&path).map_err(Rejection::io(format!("Cannot protect {}", path.display())))
}

/// The environment may hold secrets.
fn set_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// What an earlier agent of this boot was told.
pub(crate) fn recall(run_dir: &Path) -> Option<Configure> {
    serde_json::from_slice(&fs::read(memory(run_dir)).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_decode() {
        assert_eq!(decode_hex("00ff7a"), Some(vec![0, 255, 0x7a]));
        assert_eq!(decode_hex("0"), None);
        assert_eq!(decode_hex("zz"), None);
    }
}
