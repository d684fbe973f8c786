//! What QEMU can really do here: found by booting a stock kernel.

use crate::argv::TscKhz;
use nestlab_backend::{BootSpec, Finding, MachineSpec, Support};
use nestlab_model::{Accelerator, ByteSize, NodePath};
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// The line by which the init says that the kernel has booted.
const PROOF: &str = "nestlab-init: probe";

/// How long a kernel may take under KVM. A look-alike that boots nothing is
/// known by just this silence.
const KVM_DEADLINE: Duration = Duration::from_secs(20);

/// How long a kernel may take under TCG, on a busy machine, inside another.
const TCG_DEADLINE: Duration = Duration::from_secs(120);

/// Boots the kernel under each accelerator.
pub(crate) async fn support(command: &[OsString], boot: &BootSpec, tsc: Option<TscKhz>) -> Support {
    let Some(version) = version(command).await else {
        return Support { version: None, accelerators: vec![not_there(command)] };
    };
    let kvm = kvm(command, boot, tsc).await;
    // Under a KVM that works, TCG is there too: it needs nothing.
    let tcg = if kvm.works {
        Finding {
            accelerator: Accelerator::Tcg,
            works: true,
            reason: "it needs nothing of the hardware".into(),
            hint: None,
        }
    } else {
        try_boot(command, boot, tsc, Accelerator::Tcg, TCG_DEADLINE).await
    };
    Support { version: Some(version), accelerators: vec![kvm, tcg] }
}

/// QEMU's version, such as `7.2.22`.
pub(crate) async fn version(command: &[OsString]) -> Option<String> {
    let (program, arguments) = command.split_first()?;
    let output = Command::new(program).args(arguments).arg("--version").output().await.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_ascii_whitespace().nth(3).map(str::to_owned)
}

fn not_there(command: &[OsString]) -> Finding {
    let program = command.first().map_or_else(String::new, |p| p.to_string_lossy().into_owned());
    Finding {
        accelerator: Accelerator::Tcg,
        works: false,
        reason: format!("the program `{program}` cannot be run"),
        hint: Some("Install it: `apt install qemu-system-x86` (then `qemu-utils`)".into()),
    }
}

async fn kvm(command: &[OsString], boot: &BootSpec, tsc: Option<TscKhz>) -> Finding {
    let refused = |reason: String, hint: &str| Finding {
        accelerator: Accelerator::Kvm,
        works: false,
        reason,
        hint: Some(hint.to_owned()),
    };
    let device = Path::new("/dev/kvm");
    match std::fs::OpenOptions::new().read(true).write(true).open(device) {
        Ok(_) => try_boot(command, boot, tsc, Accelerator::Kvm, KVM_DEADLINE).await,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => refused(
            "/dev/kvm may not be opened".into(),
            "Add yourself to its group: `sudo usermod -aG kvm $USER`, then log in again",
        ),
        Err(error) => refused(
            format!("/dev/kvm: {error}"),
            "Switch virtualisation on in the firmware, or, on a virtual machine, give it the CPU type \"host\"",
        ),
    }
}

async fn try_boot(
    command: &[OsString],
    boot: &BootSpec,
    tsc: Option<TscKhz>,
    accelerator: Accelerator,
    deadline: Duration,
) -> Finding {
    let start = Instant::now();
    let result = boot_once(command, boot, tsc, accelerator, deadline).await;
    let hint = (accelerator == Accelerator::Kvm).then(|| {
        "`nestlab` falls back to TCG, which is slower; a real KVM needs hardware virtualisation passed on to this machine".to_owned()
    });
    match result {
        Ok(()) => Finding {
            accelerator,
            works: true,
            reason: format!("a stock kernel booted in {:.1} s", start.elapsed().as_secs_f64()),
            hint: None,
        },
        Err(reason) => Finding { accelerator, works: false, reason, hint },
    }
}

/// Boots once, without any disk or link, its console on standard output.
async fn boot_once(
    command: &[OsString],
    boot: &BootSpec,
    tsc: Option<TscKhz>,
    accelerator: Accelerator,
    deadline: Duration,
) -> Result<(), String> {
    let argv = argv(command, boot, tsc, accelerator)?;
    let (program, arguments) = argv.split_first().ok_or("there is no program")?;
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("QEMU cannot be started: {error}"))?;
    let output = tokio::time::timeout(deadline, child.wait_with_output())
        .await
        .map_err(|_| format!("a stock kernel said nothing within {} s", deadline.as_secs()))?
        .map_err(|error| error.to_string())?;
    if String::from_utf8_lossy(&output.stdout).contains(PROOF) {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words.lines().rev().find(|line| !line.trim().is_empty());
    Err(format!("a stock kernel did not boot: {}", last.unwrap_or("QEMU ended without a word")))
}

/// The plan of the smallest machine, with its sockets replaced by a console on
/// standard output. Written out apart because a probe must stay minimal.
fn argv(
    command: &[OsString],
    boot: &BootSpec,
    tsc: Option<TscKhz>,
    accelerator: Accelerator,
) -> Result<Vec<OsString>, String> {
    let spec = MachineSpec {
        lab_id: "probe".into(),
        path: NodePath::host(),
        run_dir: "/".into(),
        cpus: 1,
        memory: ByteSize::mib(256),
        accelerator,
        nested: false,
        balloon: false,
        boot: BootSpec {
            cmdline: format!("{} console=ttyS0 nestlab.probe", boot.cmdline).trim().to_owned(),
            ..boot.clone()
        },
        disks: Vec::new(),
        nics: Vec::new(),
    };
    let plan = crate::argv::plan(command, &spec, tsc).map_err(|error| error.to_string())?;
    let mut argv = Vec::new();
    let mut words = plan.argv.into_iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if matches!(text.as_ref(), "-chardev" | "-mon") || text == "-device" {
            words.next();
            continue;
        }
        argv.push(word);
    }
    argv.extend(["-serial", "stdio", "-no-reboot"].map(OsString::from));
    Ok(argv)
}
