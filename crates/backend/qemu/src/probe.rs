//! What QEMU can really do here: found by booting a stock kernel.

use crate::argv::TscKhz;
use nestlab_backend::{BootSpec, Finding, MachineSpec, Start, Support};
use nestlab_model::{Accelerator, ByteSize, NodePath};
use nestlab_sys::process::{end_with_us, memory_file};
use std::ffi::OsString;
use std::io::{Read, Seek, SeekFrom};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

/// The line by which the init says that the kernel has booted.
const PROOF: &[u8] = b"nestlab-init: probe";

/// How much of QEMU's standard error is looked at, in bytes.
const MAX_LOG: u64 = 1 << 20;

/// How long a kernel may take, under TCG, on a busy machine, inside another.
const DEADLINE: Duration = Duration::from_secs(120);

/// How long KVM runs alone before TCG is tried beside it: a KVM that works is
/// done by then on most machines.
const HEAD_START: Duration = Duration::from_secs(2);

/// What KVM is given on top of the time that TCG took. KVM is never the slower
/// one, so a kernel that is silent this long hangs, as it does on look-alikes.
const GRACE: Duration = Duration::from_secs(2);

/// Boots the kernel under each accelerator.
pub(crate) async fn support(command: &[OsString], boot: &BootSpec, tsc: Option<TscKhz>) -> Support {
    let Some(version) = version(command).await else {
        return Support {
            version: None,
            accelerators: vec![not_there(command)],
        };
    };
    let try_boot = |accelerator| boot_once(command, boot, tsc, accelerator);
    let (kvm, tcg) = match device() {
        Ok(()) => {
            let (kvm, tcg) = race(try_boot(Accelerator::Kvm), || try_boot(Accelerator::Tcg)).await;
            (finding(Accelerator::Kvm, kvm), tcg)
        }
        Err(refused) => (refused, Some(try_boot(Accelerator::Tcg).await)),
    };
    let tcg = match tcg {
        Some(result) => finding(Accelerator::Tcg, result),
        None => Finding {
            accelerator: Accelerator::Tcg,
            works: true,
            reason: "it needs nothing of the hardware".into(),
            hint: None,
        },
    };
    Support {
        version: Some(version),
        accelerators: vec![kvm, tcg],
    }
}

/// How long a boot took, or why there was none.
type Attempt = Result<Duration, String>;

/// Boots under KVM, and under TCG beside it once that takes long. `None` for
/// TCG if KVM proved itself first.
async fn race<T: Future<Output = Attempt>>(
    kvm: impl Future<Output = Attempt>,
    tcg: impl FnOnce() -> T,
) -> (Attempt, Option<Attempt>) {
    tokio::pin!(kvm);
    match timeout(HEAD_START, &mut kvm).await {
        Ok(Ok(time)) => return (Ok(time), None),
        Ok(Err(reason)) => return (Err(reason), Some(tcg().await)),
        Err(_) => {}
    }
    let tcg = tcg();
    tokio::pin!(tcg);
    tokio::select! {
        first = &mut kvm => match first {
            Ok(time) => (Ok(time), None),
            Err(reason) => (Err(reason), Some(tcg.await)),
        },
        emulated = &mut tcg => {
            let patience = emulated.as_ref().map_or(DEADLINE, |time| *time + GRACE);
            let kvm = timeout(patience, kvm).await.unwrap_or_else(|_| {
                Err("/dev/kvm is there, but a stock kernel hangs under it".into())
            });
            (kvm, Some(emulated))
        }
    }
}

/// QEMU's version, such as `7.2.22`.
pub(crate) async fn version(command: &[OsString]) -> Option<String> {
    let (program, arguments) = command.split_first()?;
    let output = Command::new(program)
        .args(arguments)
        .arg("--version")
        .output()
        .await
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_ascii_whitespace().nth(3).map(str::to_owned)
}

fn not_there(command: &[OsString]) -> Finding {
    let program = command
        .first()
        .map_or_else(String::new, |p| p.to_string_lossy().into_owned());
    Finding {
        accelerator: Accelerator::Tcg,
        works: false,
        reason: format!("the program `{program}` cannot be run"),
        hint: Some("Install it: `apt install qemu-system-x86` (then `qemu-utils`)".into()),
    }
}

/// Whether KVM's device may be opened at all.
fn device() -> Result<(), Finding> {
    let refused = |reason: String, hint: &str| Finding {
        accelerator: Accelerator::Kvm,
        works: false,
        reason,
        hint: Some(hint.to_owned()),
    };
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm");
    opened.map(drop).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => refused(
            "/dev/kvm may not be opened".into(),
            "Add yourself to its group: `sudo usermod -aG kvm $USER`, then log in again",
        ),
        std::io::ErrorKind::NotFound => refused(
            "there is no /dev/kvm".into(),
            "Switch virtualisation on in the firmware and load `kvm_intel` or `kvm_amd`; give a virtual machine the CPU type \"host\"",
        ),
        _ => refused(
            format!("/dev/kvm cannot be opened: {error}"),
            "Load `kvm_intel` or `kvm_amd`; `dmesg` says why it is refused",
        ),
    })
}

fn finding(accelerator: Accelerator, attempt: Attempt) -> Finding {
    let hint = "A KVM that works needs hardware virtualisation passed on to this machine (CPU type \"host\")";
    let (works, reason, hint) = match attempt {
        Ok(time) => (
            true,
            format!("a stock kernel booted in {:.1} s", time.as_secs_f64()),
            None,
        ),
        Err(reason) => (
            false,
            reason,
            (accelerator == Accelerator::Kvm).then(|| hint.to_owned()),
        ),
    };
    Finding {
        accelerator,
        works,
        reason,
        hint,
    }
}

/// Boots once, without any disk or link, its console on standard output. QEMU
/// ends with the returned future, and with this process.
async fn boot_once(
    command: &[OsString],
    boot: &BootSpec,
    tsc: Option<TscKhz>,
    accelerator: Accelerator,
) -> Attempt {
    let start = Instant::now();
    let argv = argv(command, boot, tsc, accelerator);
    let (program, arguments) = argv.split_first().ok_or("there is no program")?;
    let log = memory_file().map_err(|error| format!("there is no memory for a log: {error}"))?;
    let errors = log.try_clone().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors);
    command.kill_on_drop(true);
    end_with_us(&mut command);
    let mut child = command
        .spawn()
        .map_err(|error| format!("QEMU cannot be started: {error}"))?;
    let console = child.stdout.take().ok_or("QEMU has no standard output")?;
    let proved = timeout(DEADLINE, hears_proof(console)).await.map_err(|_| {
        format!(
            "a stock kernel said nothing within {} s",
            DEADLINE.as_secs()
        )
    })?;
    if proved {
        let _ = child.kill().await;
        return Ok(start.elapsed());
    }
    let _ = timeout(GRACE, child.wait()).await;
    Err(format!("a stock kernel did not boot: {}", reason(log)))
}

/// Reads the console until the proof (`true`) or its end.
async fn hears_proof(mut console: impl AsyncRead + Unpin) -> bool {
    let mut heard = Vec::new();
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = console.read(&mut bytes).await {
        heard.extend_from_slice(&bytes[..count]);
        if heard.windows(PROOF.len()).any(|window| window == PROOF) {
            return true;
        }
        // Only what may be the beginning of the proof is kept.
        let done = heard.len().saturating_sub(PROOF.len());
        heard.drain(..done);
    }
    false
}

/// The line that QEMU calls an error, else the last that says something.
fn reason(mut log: std::fs::File) -> String {
    let mut bytes = Vec::new();
    let read = log
        .seek(SeekFrom::Start(0))
        .and_then(|_| log.take(MAX_LOG).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().find(|line| line.contains("error:"));
    let line = line.or_else(|| text.lines().rev().find(|line| !line.trim().is_empty()));
    match (read, line) {
        (Ok(_), Some(line)) => line.trim().to_owned(),
        _ => "QEMU ended without a word".to_owned(),
    }
}

/// The smallest machine, with its console on standard output.
fn argv(
    command: &[OsString],
    boot: &BootSpec,
    tsc: Option<TscKhz>,
    accelerator: Accelerator,
) -> Vec<OsString> {
    let spec = MachineSpec {
        lab_id: "probe".into(),
        path: NodePath::host(),
        run_dir: "/".into(),
        cpus: 1,
        memory: ByteSize::mib(256),
        accelerator,
        nested: false,
        balloon: false,
        boot: Start::Kernel(BootSpec {
            cmdline: format!("{} nestlab.probe", boot.cmdline).trim().to_owned(),
            ..boot.clone()
        }),
        disks: Vec::new(),
        nics: Vec::new(),
        memory_file: None,
    };
    let mut argv = crate::argv::bare(command, &spec, tsc);
    argv.extend(["-serial", "stdio", "-no-reboot"].map(OsString::from));
    argv
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    async fn after(seconds: u64, result: Attempt) -> Attempt {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        result
    }

    #[tokio::test(start_paused = true)]
    async fn the_race_ends_as_soon_as_the_answer_is_known() {
        let took = |seconds| Ok(Duration::from_secs(seconds));
        let no = || Err("no".to_owned());
        // KVM's and TCG's time and result; then the expected whole time, and who works.
        for (kvm, tcg, whole, expected) in [
            ((1, took(1)), (9, took(9)), 1, (true, None)),
            ((5, took(5)), (9, took(9)), 5, (true, None)),
            ((0, no()), (3, took(3)), 3, (false, Some(true))),
            ((4, no()), (9, took(9)), 11, (false, Some(true))),
            ((999, no()), (3, took(3)), 10, (false, Some(true))),
            ((6, took(6)), (3, took(3)), 6, (true, Some(true))),
            ((9, took(9)), (3, no()), 9, (true, Some(false))),
        ] {
            let start = tokio::time::Instant::now();
            let (kvm, tcg) = race(after(kvm.0, kvm.1), || after(tcg.0, tcg.1)).await;
            assert_eq!((kvm.is_ok(), tcg.map(|tcg| tcg.is_ok())), expected);
            assert_eq!(start.elapsed().as_secs(), whole);
        }
    }

    #[tokio::test]
    async fn the_proof_is_heard_in_pieces_and_among_noise() {
        for (said, expected) in [
            (&["garbage\u{1b}[2Jnestlab-i", "nit: probe\n"][..], true),
            (&["nestlab-init: cannot go on\n"], false),
            (&[], false),
        ] {
            let (console, mut guest) = tokio::io::duplex(64);
            let listener = tokio::spawn(hears_proof(console));
            for piece in said {
                guest.write_all(piece.as_bytes()).await.unwrap();
            }
            drop(guest);
            assert_eq!(listener.await.unwrap(), expected);
        }
    }
}
