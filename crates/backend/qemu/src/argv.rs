//! The command line of QEMU: pure, so that it can be shown and compared.

use crate::rom::Roms;
use nestlab_backend::{
    BackendError, BootSpec, Disk, DiskFormat, FirmwareSpec, MachineSpec, Mapping, MemoryFile, Nic,
    Plan,
};
use nestlab_model::{Accelerator, Firmware};
use std::ffi::OsString;
use std::path::Path;

/// The name of the agent's virtio-serial port.
pub(crate) const LINK_PORT: &str = "nestlab.link";

/// The longest serial that virtio-blk carries, in bytes.
const MAX_SERIAL: usize = 20;

/// The longest path of a Unix socket, in bytes (unix(7), without the final zero).
const MAX_SOCKET: usize = 107;

/// Sockets of a machine, in its run folder.
pub(crate) const QMP: &str = "qmp.sock";
pub(crate) const LINK: &str = "link.sock";
pub(crate) const CONSOLE: &str = "console.sock";
/// What QEMU writes to its standard error.
pub(crate) const LOG: &str = "qemu.log";

/// The name of the memory. It is QEMU's own for memory that nobody names, so that
/// a state fits a machine whichever way its memory is kept.
const MEMORY: &str = "pc.ram";

/// Everything that the sandbox can forbid; taps are opened by name before it
/// is closed.
const SANDBOX: &str = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

/// The console is the serial port and not virtio's hvc0: its driver is built
/// into stock kernels, so that a panic before the first module is seen, and
/// hvc0 stays silent for an init that opens /dev/console.
const KERNEL_WORDS: &str =
    "console=ttyS0 quiet panic=10 cryptomgr.notests no_timer_check random.trust_cpu=on";

/// For a guest that runs guests of its own on emulated SVM. `helper_vmrun` of
/// QEMU's target/i386/tcg/sysemu/svm_helper.c (7.2 to 10.0) changes the virtual
/// CPU's pending interrupts without their lock, so that now and then one is
/// lost. A lost one-shot timer leaves that CPU asleep until some device wakes it
/// (216 s were seen); a periodic one comes again 4 ms later.
const EMULATED_SVM_WORDS: &str = " nohz=off highres=off";

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
    roms: &Roms,
) -> Result<Plan, BackendError> {
    check(spec)?;
    let mut argv = Argv(bare(command, spec, tsc));
    match spec.boot.firmware() {
        Some(firmware) => argv.add_firmware(firmware, roms)?,
        None => argv.add_flash(roms.bios.as_deref()),
    }
    argv.add(&[
        "-chardev",
        &socket(spec, "console", CONSOLE),
        "-serial",
        "chardev:console",
    ]);
    argv.add(&[
        "-chardev",
        &socket(spec, "qmp", QMP),
        "-mon",
        "chardev=qmp,mode=control",
    ]);
    argv.add(&[
        "-device",
        "virtio-serial-pci",
        "-chardev",
        &socket(spec, "link", LINK),
    ]);
    argv.add(&[
        "-device",
        &format!("virtserialport,chardev=link,name={LINK_PORT}"),
    ]);
    argv.add(&["-device", "virtio-rng-pci"]);
    for (number, disk) in spec.disks.iter().enumerate() {
        let (blockdev, mut device) = disk_words(number, disk);
        if number == 0 && spec.boot.firmware().is_some() {
            device.push_str(",bootindex=0");
        }
        argv.add(&["-blockdev", &blockdev, "-device", &device]);
    }
    for (number, nic) in spec.nics.iter().enumerate() {
        let (netdev, device) = nic_words(number, nic);
        argv.add(&["-netdev", &netdev, "-device", &device]);
    }
    if spec.balloon {
        argv.add(&["-device", "virtio-balloon-pci,deflate-on-oom=on"]);
    }
    if let Some(file) = &spec.memory_file {
        argv.add(&["-object", &memory_words(spec, file)]);
        argv.add(&["-machine", &format!("memory-backend={MEMORY}")]);
    }
    Ok(Plan { argv: argv.0 })
}

/// Processor, memory and kernel, without any device: what a probe boots too.
pub(crate) fn bare(command: &[OsString], spec: &MachineSpec, tsc: Option<TscKhz>) -> Vec<OsString> {
    let mut argv = Argv(command.to_vec());
    argv.add(&["-name", &name(spec)]);
    argv.add(&["-nodefaults", "-no-user-config", "-display", "none"]);
    argv.add(&["-machine", machine(spec.accelerator)]);
    argv.add(&["-cpu", cpu(spec.accelerator, spec.nested)]);
    argv.add(&["-smp", &spec.cpus.to_string()]);
    argv.add(&["-m", &format!("{}M", spec.memory.as_mib())]);
    argv.add(&["-sandbox", SANDBOX]);
    if let Some(boot) = spec.boot.kernel() {
        for (option, file) in [("-kernel", &boot.kernel), ("-initrd", &boot.initrd)] {
            argv.0
                .extend([option.into(), file.clone().into_os_string()]);
        }
        argv.add(&["-append", &kernel_words(spec, boot, tsc)]);
    }
    argv.0
}

/// By which a machine is found in /proc when all records are lost.
pub(crate) fn name(spec: &MachineSpec) -> String {
    format!("nestlab:{}:{}", spec.lab_id, spec.path)
}

struct Argv(Vec<OsString>);

impl Argv {
    fn add(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(OsString::from));
    }

    fn add_flash(&mut self, firmware: Option<&Path>) {
        if let Some(firmware) = firmware {
            self.add(&["-blockdev", &firmware_words(firmware)]);
            self.add(&["-machine", "pflash0=firmware"]);
        }
    }

    /// Without graphics SeaBIOS sends what is printed to the serial port, also what the
    /// boot loader prints through it.
    fn add_firmware(&mut self, spec: &FirmwareSpec, roms: &Roms) -> Result<(), BackendError> {
        self.add(&["-machine", "graphics=off"]);
        match spec.firmware {
            Firmware::Bios => self.add_flash(roms.bios.as_deref()),
            Firmware::Uefi => {
                self.add_flash(Some(&roms.uefi()?.code));
                self.add(&["-blockdev", &variables_words(&spec.variables)]);
                self.add(&["-machine", "pflash1=variables"]);
            }
        }
        Ok(())
    }
}

fn check(spec: &MachineSpec) -> Result<(), BackendError> {
    let unsupported = |what: String| {
        Err(BackendError::Unsupported {
            backend: "qemu",
            what,
        })
    };
    if let Some(disk) = spec
        .disks
        .iter()
        .find(|disk| disk.serial.len() > MAX_SERIAL)
    {
        return unsupported(format!(
            "disk serials over {MAX_SERIAL} bytes: {}",
            disk.serial
        ));
    }
    if let Some(disk) = spec.disks.iter().find(|disk| disk.path.to_str().is_none()) {
        return unsupported(format!("paths that are not UTF-8: {}", disk.path.display()));
    }
    if spec.run_dir.join(CONSOLE).as_os_str().len() > MAX_SOCKET {
        return unsupported(format!(
            "sockets with paths over {MAX_SOCKET} bytes: {}",
            spec.run_dir.display()
        ));
    }
    if spec.accelerator == Accelerator::Container || spec.boot.container().is_some() {
        return unsupported("containers".to_owned());
    }
    if spec.cpus == 0 || spec.cpus > 255 {
        return unsupported(format!("machine with {} virtual CPUs", spec.cpus));
    }
    Ok(())
}

fn machine(accelerator: Accelerator) -> &'static str {
    match accelerator {
        Accelerator::Kvm => "q35,accel=kvm,hpet=off,vmport=off,smm=off",
        Accelerator::Tcg | Accelerator::Container => "q35,accel=tcg,hpet=off,vmport=off,smm=off",
    }
}

/// The CPU model. Under KVM the host's own; what a guest that is not meant to
/// nest could nest with is taken away.
fn cpu(accelerator: Accelerator, nested: bool) -> &'static str {
    match (accelerator, nested) {
        (Accelerator::Kvm, true) => "host",
        (Accelerator::Kvm, false) => "host,svm=off,vmx=off",
        // TCG emulates SVM, not VMX. A kernel that a boot loader starts turns on page
        // tables of five levels where it can; Debian's 6.1.176 then reads every path in
        // /proc/self/mountinfo as `xxx` (`prepend_copy` of fs/d_path.c fails), under QEMU
        // 7.2, so that no systemd comes up.
        (Accelerator::Tcg | Accelerator::Container, true) => "max,la57=off",
        (Accelerator::Tcg | Accelerator::Container, false) => "max,la57=off,svm=off",
    }
}

fn kernel_words(spec: &MachineSpec, boot: &BootSpec, tsc: Option<TscKhz>) -> String {
    let mut words = String::from(KERNEL_WORDS);
    if let (Accelerator::Tcg, Some(TscKhz(khz))) = (spec.accelerator, tsc) {
        words.push_str(&format!(" tsc_early_khz={khz} lpj={}", khz * 4));
    }
    if (spec.accelerator, spec.nested) == (Accelerator::Tcg, true) {
        words.push_str(EMULATED_SVM_WORDS);
    }
    if !boot.cmdline.is_empty() {
        words.push(' ');
        words.push_str(&boot.cmdline);
    }
    words
}

fn memory_words(spec: &MachineSpec, file: &MemoryFile) -> String {
    let share = match file.mapping {
        Mapping::Shared => "on",
        Mapping::Private => "off",
    };
    format!(
        "memory-backend-file,id={MEMORY},size={}M,share={share},mem-path={}",
        spec.memory.as_mib(),
        text(&file.path)
    )
}

fn socket(spec: &MachineSpec, id: &str, name: &str) -> String {
    let path = text(&spec.run_dir.join(name));
    format!("socket,id={id},server=on,wait=off,path={path}")
}

/// A path as a QEMU option value: commas are doubled.
fn text(path: &Path) -> String {
    escape(&path.to_string_lossy())
}

fn escape(value: &str) -> String {
    value.replace(',', ",,")
}

/// The firmware as flash memory. As QEMU's ordinary ROM it would be part of the
/// memory, which a saved state leaves out, and a QEMU that takes up a state loads no
/// ROM (`rom_reset` of hw/core/loader.c): such a guest could not restart.
fn firmware_words(firmware: &Path) -> String {
    format!(
        "driver=raw,node-name=firmware,read-only=on,\
         file.driver=file,file.filename={},file.locking=off",
        text(firmware)
    )
}

/// What a firmware remembers, in flash memory that it may write to.
fn variables_words(file: &Path) -> String {
    format!(
        "driver=raw,node-name=variables,file.driver=file,file.filename={}",
        text(file)
    )
}

/// What QEMU calls a disk of the machine.
pub(crate) fn disk_name(number: usize) -> String {
    format!("disk{number}")
}

fn disk_words(number: usize, disk: &Disk) -> (String, String) {
    let name = disk_name(number);
    let read_only = if disk.read_only { "on" } else { "off" };
    let driver = match disk.format {
        DiskFormat::Qcow2 => "qcow2",
        DiskFormat::Raw => "raw",
    };
    // A read-only disk is shared with other machines, so it is not locked.
    let locking = if disk.read_only {
        ",file.locking=off"
    } else {
        ""
    };
    let file = if disk.path.starts_with("/dev/") {
        "host_device"
    } else {
        "file"
    };
    let blockdev = format!(
        "driver={driver},node-name={name},read-only={read_only},discard=unmap,\
         file.driver={file},file.filename={}{locking}",
        text(&disk.path)
    );
    let device = format!(
        "virtio-blk-pci,drive={name},serial={}",
        escape(&disk.serial)
    );
    (blockdev, device)
}

fn nic_words(number: usize, nic: &Nic) -> (String, String) {
    let netdev = format!(
        "tap,id=net{number},ifname={},script=no,downscript=no",
        nic.tap
    );
    let device = format!(
        "virtio-net-pci,netdev=net{number},mac={},host_mtu={},romfile=",
        nic.mac, nic.mtu
    );
    (netdev, device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rom::Uefi;
    use nestlab_backend::BootSpec;
    use nestlab_backend::Start;
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
            boot: Start::Kernel(BootSpec {
                kernel: "/k/vmlinux".into(),
                initrd: "/k/initramfs".into(),
                cmdline: String::new(),
            }),
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
            nics: vec![Nic {
                tap: "nt-1".into(),
                mac: Mac([0x52, 0, 0, 0, 0, 1]),
                mtu: 1500,
            }],
            memory_file: None,
        }
    }

    fn lines(spec: &MachineSpec) -> String {
        let roms = Roms {
            bios: None,
            uefi: Some(Uefi {
                code: "/f/code.fd".into(),
                variables: "/f/vars.fd".into(),
            }),
        };
        let plan = plan(&["qemu".into()], spec, Some(TscKhz(2_600_000)), &roms).unwrap();
        let words: Vec<_> = plan
            .argv
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        words.join(" ").replace(" -", "\n-")
    }

    #[test]
    fn a_leaf_under_tcg() {
        insta::assert_snapshot!(lines(&spec()), @r"
        qemu
        -name nestlab:0a1b2c3d:l1/consul-1
        -nodefaults
        -no-user-config
        -display none
        -machine q35,accel=tcg,hpet=off,vmport=off,smm=off
        -cpu max,la57=off,svm=off
        -smp 1
        -m 384M
        -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
        -kernel /k/vmlinux
        -initrd /k/initramfs
        -append console=ttyS0 quiet panic=10 cryptomgr.notests no_timer_check random.trust_cpu=on tsc_early_khz=2600000 lpj=10400000
        -chardev socket,id=console,server=on,wait=off,path=/run/n/0a1b2c3d/consul-1/console.sock
        -serial chardev:console
        -chardev socket,id=qmp,server=on,wait=off,path=/run/n/0a1b2c3d/consul-1/qmp.sock
        -mon chardev=qmp,mode=control
        -device virtio-serial-pci
        -chardev socket,id=link,server=on,wait=off,path=/run/n/0a1b2c3d/consul-1/link.sock
        -device virtserialport,chardev=link,name=nestlab.link
        -device virtio-rng-pci
        -blockdev driver=qcow2,node-name=disk0,read-only=off,discard=unmap,file.driver=file,file.filename=/s/a,,b/root.qcow2
        -device virtio-blk-pci,drive=disk0,serial=root
        -blockdev driver=raw,node-name=disk1,read-only=on,discard=unmap,file.driver=host_device,file.filename=/dev/vdb,file.locking=off
        -device virtio-blk-pci,drive=disk1,serial=kit-0123456789ab
        -netdev tap,id=net0,ifname=nt-1,script=no,downscript=no
        -device virtio-net-pci,netdev=net0,mac=52:00:00:00:00:01,host_mtu=1500,romfile=
        ");
    }

    #[test]
    fn nesting_and_kvm_change_the_cpu() {
        let check = |accelerator, nested, expected: &str| {
            let spec = MachineSpec {
                accelerator,
                nested,
                ..spec()
            };
            assert!(
                lines(&spec).contains(&format!("-cpu {expected}\n")),
                "{}",
                lines(&spec)
            );
        };
        check(Accelerator::Kvm, true, "host");
        check(Accelerator::Kvm, false, "host,svm=off,vmx=off");
        check(Accelerator::Tcg, true, "max,la57=off");
        check(Accelerator::Tcg, false, "max,la57=off,svm=off");
    }

    #[test]
    fn a_parent_on_emulated_svm_keeps_a_periodic_timer() {
        let words = |accelerator, nested| {
            let spec = MachineSpec {
                accelerator,
                nested,
                ..spec()
            };
            lines(&spec).contains("nohz=off highres=off")
        };
        assert!(words(Accelerator::Tcg, true));
        assert!(!words(Accelerator::Tcg, false));
        assert!(!words(Accelerator::Kvm, true));
    }

    #[test]
    fn memory_in_a_file_is_shared_or_private() {
        let words = |mapping| {
            let file = MemoryFile {
                path: "/m/a,b".into(),
                mapping,
            };
            let spec = MachineSpec {
                memory_file: Some(file),
                ..spec()
            };
            lines(&spec)
        };
        let object = "-object memory-backend-file,id=pc.ram,size=384M,share=on,mem-path=/m/a,,b\n";
        assert!(words(Mapping::Shared).contains(object));
        assert!(words(Mapping::Private).contains("share=off"));
        assert!(words(Mapping::Private).ends_with("-machine memory-backend=pc.ram"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut long = spec();
        long.disks[0].serial = "x".repeat(21);
        let mut deep = spec();
        deep.run_dir = format!("/run/{}", "x".repeat(100)).into();
        let none = MachineSpec { cpus: 0, ..spec() };
        for spec in [long, deep, none] {
            assert!(plan(&["qemu".into()], &spec, None, &Roms::default()).is_err());
        }
    }

    #[test]
    fn a_firmware_starts_what_is_on_the_root() {
        let started_by = |firmware| MachineSpec {
            boot: Start::Firmware(FirmwareSpec {
                firmware,
                variables: "/s/uefi.fd".into(),
            }),
            ..spec()
        };
        let bios = lines(&started_by(Firmware::Bios));
        assert!(!bios.contains("-kernel") && !bios.contains("-append"));
        assert!(bios.contains("serial=root,bootindex=0\n"), "{bios}");
        assert!(!bios.contains("serial=kit-0123456789ab,"), "{bios}");
        let uefi = lines(&started_by(Firmware::Uefi));
        let is_flash = |line: &&str| line.contains("pflash") || line.contains(".fd");
        let flash: Vec<_> = uefi.lines().filter(is_flash).collect();
        insta::assert_snapshot!(flash.join("\n"), @r"
        -blockdev driver=raw,node-name=firmware,read-only=on,file.driver=file,file.filename=/f/code.fd,file.locking=off
        -machine pflash0=firmware
        -blockdev driver=raw,node-name=variables,file.driver=file,file.filename=/s/uefi.fd
        -machine pflash1=variables
        ");
        let missing = plan(
            &["qemu".into()],
            &started_by(Firmware::Uefi),
            None,
            &Roms::default(),
        );
        let error = missing.unwrap_err().to_string();
        assert!(error.contains("OVMF"), "{error}");
    }
}
