//! Whether the processor, the kernel and the permissions offer KVM. None of it
//! proves that a kernel boots; only booting one does.

use super::platform::{self, Platform};
use nestlab_model::doctor::{Check, Verdict};
use std::io::ErrorKind;
use std::path::Path;

/// What opening `/dev/kvm` led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// It opened.
    Opens,
    /// There is none.
    Missing,
    /// This user may not open it.
    Denied,
    /// The kernel refused for another reason, in its words.
    Refused(String),
}

/// What was found of hardware virtualisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Whether the processor shows `vmx` or `svm`.
    pub flag: bool,
    /// What became of `/dev/kvm`.
    pub device: Device,
    /// The loaded module that KVM rests on, such as `kvm_amd`.
    pub module: Option<String>,
    /// Whether that module lets guests have guests of their own.
    pub nested: Option<bool>,
    /// On what the machine stands.
    pub platform: Platform,
}

/// Looks below `root`, which is `/` but in tests. What cannot be read counts as
/// not there.
pub fn gather(root: &Path) -> Findings {
    let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let module = ["kvm_intel", "kvm_amd", "kvm_pvm"]
        .into_iter()
        .find(|name| root.join("sys/module").join(name).exists());
    let nested = module.and_then(|name| {
        match text(&format!("sys/module/{name}/parameters/nested")).trim() {
            "Y" | "1" => Some(true),
            "N" | "0" => Some(false),
            _ => None,
        }
    });
    Findings {
        flag: text("proc/cpuinfo")
            .split_ascii_whitespace()
            .any(|word| matches!(word, "vmx" | "svm")),
        device: open(&root.join("dev/kvm")),
        module: module.map(str::to_owned),
        nested,
        platform: platform::detect(root),
    }
}

fn open(path: &Path) -> Device {
    let opened = std::fs::File::options().read(true).write(true).open(path);
    match opened.map_err(|error| (error.kind(), error)) {
        Ok(_) => Device::Opens,
        Err((ErrorKind::NotFound, _)) => Device::Missing,
        Err((ErrorKind::PermissionDenied, _)) => Device::Denied,
        Err((_, error)) => Device::Refused(error.to_string()),
    }
}

const TRIED: &str = "opened /dev/kvm, read /proc/cpuinfo and what the module says";

const SLOWER: &str = "machines run under TCG, which works and is slower";

/// Judges what was found.
pub fn checks(found: &Findings) -> Vec<Check> {
    vec![flag(found), device(found), module(found), nested(found)]
}

fn flag(found: &Findings) -> Check {
    let id = "virtualisation.flag";
    if found.flag {
        return Check::new(id, TRIED).found(Verdict::Ok, "the processor shows vmx or svm");
    }
    Check::new(id, TRIED)
        .found(Verdict::Degraded, "the processor shows no vmx or svm")
        .means(SLOWER)
        .mend(match found.platform {
            Platform::Container => {
                "The machine that holds this container has to have it: in its firmware or, if it is virtual itself, by the CPU type `host`"
            }
            platform => platform.how_to_nest(),
        })
}

fn device(found: &Findings) -> Check {
    let id = "virtualisation.device";
    let bad = |text: String| {
        Check::new(id, TRIED)
            .found(Verdict::Degraded, text)
            .means(SLOWER)
    };
    match &found.device {
        Device::Opens => Check::new(id, TRIED).found(Verdict::Ok, "/dev/kvm opens"),
        Device::Missing if !found.flag => {
            bad("there is no /dev/kvm, for want of vmx or svm".into())
        }
        Device::Missing if found.platform == Platform::Container => {
            bad("there is no /dev/kvm".into()).mend(Platform::Container.how_to_nest())
        }
        Device::Missing => bad("there is no /dev/kvm".into())
            .mend("`modprobe kvm_intel` or `modprobe kvm_amd`, as root")
            .fix(["sh", "-c", "modprobe kvm_intel || modprobe kvm_amd"]),
        Device::Denied => bad("this user may not open /dev/kvm".into())
            .mend("`sudo usermod -aG kvm $USER`, then log in again")
            .fix(["sh", "-c", "usermod -aG kvm \"${SUDO_USER:-$(id -un)}\""]),
        Device::Refused(why) => bad(format!("/dev/kvm does not open: {why}")),
    }
}

fn module(found: &Findings) -> Check {
    let id = "virtualisation.module";
    match found.module.as_deref() {
        Some("kvm_pvm") => Check::new(id, TRIED)
            .found(Verdict::Degraded, "KVM rests on kvm_pvm")
            .means("a stock kernel may hang under it; only a boot proves that it does not"),
        Some(name) => Check::new(id, TRIED).found(Verdict::Ok, format!("KVM rests on {name}")),
        None if found.device == Device::Opens => {
            Check::new(id, TRIED).found(Verdict::Unproved, "nothing tells what KVM rests on")
        }
        None => Check::new(id, TRIED).found(Verdict::NotApplicable, "KVM is not there"),
    }
}

fn nested(found: &Findings) -> Check {
    let id = "virtualisation.nested";
    match (found.module.as_deref(), found.nested) {
        (_, Some(true)) => Check::new(id, TRIED).found(Verdict::Ok, "guests may have guests"),
        (Some(module), Some(false)) => Check::new(id, TRIED).found(Verdict::Degraded, format!("{module} has nested off"),
        )
        .means("inside the first level, machines run under TCG, which is slower")
        .mend(format!(
            "`modprobe -r {module} && modprobe {module} nested=1`, as root, while no machine runs"
        )),
        (Some(_), None) => Check::new(id, TRIED).found(Verdict::Unproved, "the module does not tell"),
        (None, _) => Check::new(id, TRIED).found(Verdict::NotApplicable, "KVM is not there"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Degraded, NotApplicable, Ok, Unproved};

    fn good() -> Findings {
        Findings {
            flag: true,
            device: Device::Opens,
            module: Some("kvm_amd".into()),
            nested: Some(true),
            platform: Platform::Hardware,
        }
    }

    fn verdicts(found: &Findings) -> Vec<Verdict> {
        checks(found).iter().map(|check| check.verdict).collect()
    }

    #[test]
    fn every_seeded_fault_is_named_and_a_good_machine_raises_no_alarm() {
        let bare = Findings {
            flag: false,
            device: Device::Missing,
            module: None,
            nested: None,
            platform: Platform::Hardware,
        };
        let cases = [
            (good(), [Ok, Ok, Ok, Ok]),
            (bare, [Degraded, Degraded, NotApplicable, NotApplicable]),
            (
                Findings {
                    device: Device::Denied,
                    ..good()
                },
                [Ok, Degraded, Ok, Ok],
            ),
            (
                Findings {
                    nested: Some(false),
                    ..good()
                },
                [Ok, Ok, Ok, Degraded],
            ),
            (
                Findings {
                    module: Some("kvm_pvm".into()),
                    nested: None,
                    ..good()
                },
                [Ok, Ok, Degraded, Unproved],
            ),
            (
                Findings {
                    module: None,
                    nested: None,
                    ..good()
                },
                [Ok, Ok, Unproved, NotApplicable],
            ),
        ];
        for (found, expected) in cases {
            assert_eq!(verdicts(&found), expected, "{found:?}");
        }
    }

    #[test]
    fn an_empty_root_has_nothing() {
        let found = gather(Path::new("/proc/self/fdinfo"));
        assert_eq!((found.flag, found.device), (false, Device::Missing));
    }
}
