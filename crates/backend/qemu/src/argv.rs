//! The command line of QEMU: pure, so that it can be shown and compared.

use nestlab_backend::{BackendError, Disk, DiskFormat, MachineSpec, Nic, Plan};
use nestlab_model::Accelerator;
use std::ffi::OsString;
use std::path::Path;

/// The name of the agent's virtio-serial port.
pub(crate) const LINK_PORT: &str = "nestlab.link";

/// The longest serial that virtio-blk carries, in bytes.
const MAX_SERIAL: usize = 20;

/// Sockets of a machine, in its run folder.
pub(crate) const QMP: &str = "qmp.sock";
pub(crate) const LINK: &str = "link.sock";
pub(crate) const CONSOLE: &str = "console.sock";
/// What QEMU writes to its standard error.
pub(crate) const LOG: &str = "qemu.log";

/// What this machine's clock is worth to an emulated guest: under TCG a guest
/// that calibrates its timers on a busy host often fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TscKhz(pub u64);

/// The command line that starts a machine. `command` is the program with the
/// arguments that belong to it.
pub(crate) fn plan(
    command: &[OsString],
    spec: &MachineSpec,
    tsc: Option<TscKhz>,
) -> Result<Plan, BackendError> {
    check(spec)?;
    let mut argv = command.to_vec();
    let mut add = |words: &[&str]| argv.extend(words.iter().map(OsString::from));
    add(&["-name", &format!("nestlab:{}:{}", spec.lab_id, spec.path)]);
    add(&["-nodefaults", "-no-user-config", "-nographic", "-display", "none"]);
    add(&["-machine", &machine(spec.accelerator)]);
    add(&["-cpu", &cpu(spec.accelerator, spec.nested)]);
    add(&["-smp", &spec.cpus.to_string()]);
    add(&["-m", &format!("{}M", spec.memory.as_mib())]);
    add(&["-sandbox", SANDBOX]);
    add(&["-kernel", &spec.boot.kernel.to_string_lossy()]);
    add(&["-initrd", &spec.boot.initrd.to_string_lossy()]);
    add(&["-append", &kernel_words(spec, tsc)]);
    add(&["-device", "virtio-rng-pci"]);
    add(&["-device", "virtio-serial-pci,id=serial"]);
    for (id, name, device) in [
        ("console", CONSOLE, "virtconsole,chardev=console".to_owned()),
        ("link", LINK, format!("virtserialport,chardev=link,name={LINK_PORT}")),
    ] {
        add(&["-chardev", &socket(spec, id, name)]);
        add(&["-device", &device]);
    }
    add(&["-chardev", &socket(spec, "qmp", QMP), "-mon", "chardev=qmp,mode=control"]);
    for (number, disk) in spec.disks.iter().enumerate() {
        let (blockdev, device) = disk_words(number, disk);
        add(&["-blockdev", &blockdev, "-device", &device]);
    }
    for (number, nic) in spec.nics.iter().enumerate() {
        let (netdev, device) = nic_words(number, nic);
        add(&["-netdev", &netdev, "-device", &device]);
    }
    if spec.balloon {
        add(&["-device", "virtio-balloon-pci,deflate-on-oom=on"]);
    }
    Ok(Plan { argv })
}

/// Everything that the sandbox can forbid while taps are opened by name.
const SANDBOX: &str = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

fn check(spec: &MachineSpec) -> Result<(), BackendError> {
    let unsupported = |what: String| Err(BackendError::Unsupported { backend: "qemu", what });
    if let Some(disk) = spec.disks.iter().find(|disk| disk.serial.len() > MAX_SERIAL) {
        return unsupported(format!("disk serials over {MAX_SERIAL} bytes: {}", disk.serial));
    }
    if spec.cpus == 0 || spec.cpus > 255 {
        return unsupported(format!("machine with {} virtual CPUs", spec.cpus));
    }
    Ok(())
}

fn machine(accelerator: Accelerator) -> String {
    let accel = match accelerator {
        Accelerator::Kvm => "kvm",
        Accelerator::Tcg => "tcg",
    };
    format!("q35,accel={accel},hpet=off,vmport=off,smm=off,graphics=off")
}

/// The CPU model. Under KVM the host's own; what a guest that is not meant to
/// nest could nest with is taken away.
fn cpu(accelerator: Accelerator, nested: bool) -> String {
    match (accelerator, nested) {
        (Accelerator::Kvm, true) => "host".into(),
        (Accelerator::Kvm, false) => "host,svm=off,vmx=off".into(),
        // TCG emulates SVM, not VMX.
        (Accelerator::Tcg, true) => "max".into(),
        (Accelerator::Tcg, false) => "max,svm=off".into(),
    }
}

fn kernel_words(spec: &MachineSpec, tsc: Option<TscKhz>) -> String {
    let mut words = String::from(
        "console=hvc0 quiet panic=-1 cryptomgr.notests no_timer_check random.trust_cpu=on",
    );
    if let (Accelerator::Tcg, Some(TscKhz(khz))) = (spec.accelerator, tsc) {
        words.push_str(&format!(" tsc_early_khz={khz} lpj={}", khz * 4));
    }
    if !spec.boot.cmdline.is_empty() {
        words.push(' ');
        words.push_str(&spec.boot.cmdline);
    }
    words
}

fn socket(spec: &MachineSpec, id: &str, name: &str) -> String {
    let path = text(&spec.run_dir.join(name));
    format!("socket,id={id},server=on,wait=off,path={path}")
}

/// A path as a QEMU option value: commas are doubled.
fn text(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

fn disk_words(number: usize, disk: &Disk) -> (String, String) {
    let read_only = if disk.read_only { "on" } else { "off" };
    let driver = match disk.format {
        DiskFormat::Qcow2 => "qcow2",
        DiskFormat::Raw => "raw",
    };
    // A read-only disk is shared with other machines, so it is not locked.
    let locking = if disk.read_only { ",file.locking=off" } else { "" };
    let file = if disk.path.starts_with("/dev/") { "host_device" } else { "file" };
    let blockdev = format!(
        "driver={driver},node-name=disk{number},read-only={read_only},discard=unmap,\
         file.driver={file},file.filename={}{locking}",
        text(&disk.path)
    );
    let device = format!("virtio-blk-pci,drive=disk{number},serial={}", disk.serial);
    (blockdev, device)
}

fn nic_words(number: usize, nic: &Nic) -> (String, String) {
    let netdev = format!("tap,id=net{number},ifname={},script=no,downscript=no", nic.tap);
    let device = format!(
        "virtio-net-pci,netdev=net{number},mac={},host_mtu={},romfile=",
        nic.mac, nic.mtu
    );
    (netdev, device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nestlab_backend::BootSpec;
    use nestlab_model::{ByteSize, Mac};

    fn spec() -> MachineSpec {
        MachineSpec {
            lab_id: "0a1b2c3d".into(),
            path: "l1/consul-1".parse().unwrap(),
            run_dir: "/run/n/0a1b2c3d/consul-1".into(),
            cpus: 1,
            memory: ByteSize::mib(384),
            accelerator: Accelerator::Tcg,
            nested: false,
            balloon: false,
            boot: BootSpec {
                kernel: "/k/vmlinux".into(),
                initrd: "/k/initramfs".into(),
                cmdline: String::new(),
            },
            disks: vec![
                Disk {
                    serial: "root".into(),
                    path: "/s/a,b/root.qcow2".into(),
                    format: DiskFormat::Qcow2,
                    read_only: false,
                },
                Disk {
                    serial: "kit-0123456789ab".into(),
                    path: "/dev/vdb".into(),
                    format: DiskFormat::Raw,
                    read_only: true,
                },
            ],
            nics: vec![Nic { tap: "nt-1".into(), mac: Mac([0x52, 0, 0, 0, 0, 1]), mtu: 1500 }],
        }
    }

    fn lines(spec: &MachineSpec) -> String {
        let plan = plan(&["qemu".into()], spec, Some(TscKhz(2_600_000))).unwrap();
        let words: Vec<_> = plan.argv.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ").replace(" -", "\n-")
    }

    #[test]
    fn a_leaf_under_tcg() {
        insta::assert_snapshot!(lines(&spec()));
    }

    #[test]
    fn nesting_and_kvm_change_the_cpu() {
        let check = |accelerator, nested, expected: &str| {
            let spec = MachineSpec { accelerator, nested, ..spec() };
            assert!(lines(&spec).contains(&format!("-cpu {expected}\n")), "{}", lines(&spec));
        };
        check(Accelerator::Kvm, true, "host");
        check(Accelerator::Kvm, false, "host,svm=off,vmx=off");
        check(Accelerator::Tcg, true, "max");
        check(Accelerator::Tcg, false, "max,svm=off");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut long = spec();
        long.disks[0].serial = "x".repeat(21);
        assert!(plan(&["qemu".into()], &long, None).is_err());
    }
}
