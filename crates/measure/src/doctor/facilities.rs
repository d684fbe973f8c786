//! What labs need of a kernel and of the programs beside it.

use super::packages::Manager;
use super::{extras, programs};
use nestlab_model::doctor::{Check, Verdict};
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

/// Fewer bits than a kernel gathers in its first second.
const FEW_BITS: u32 = 128;

/// As `uname -r`.
pub fn kernel_release() -> String {
    text("/proc/sys/kernel/osrelease")
}

pub(super) fn host() -> Vec<Check> {
    vec![
        qemu(),
        user_namespaces(),
        tun(),
        bridge(),
        extras::nftables(),
        cgroups(),
    ]
}

/// What a node needs in order to be a parent. Its QEMU came with the kit and its
/// networks are in its own namespace.
pub(super) fn parent() -> Vec<Check> {
    vec![tun()]
}

fn qemu() -> Check {
    let program = "qemu-system-x86_64";
    let check = Check::new("programs.qemu", format!("ran `{program} --version`"));
    match run(program, &["--version"]) {
        Ok(words) => check.found(Verdict::Ok, words),
        Err(why) => {
            let check = check.found(Verdict::Broken, why);
            let check = check.means("no virtual machine starts");
            let path = std::env::var_os("PATH").unwrap_or_default();
            let packages = ["qemu-system-x86", "qemu-utils"];
            programs::mended(check, &packages, Manager::of(&path))
        }
    }
}

fn user_namespaces() -> Check {
    let check = Check::new(
        "kernel.user-namespaces",
        "made one: `unshare --user --map-root-user true`",
    );
    let why = match run("unshare", &["--user", "--map-root-user", "true"]) {
        Ok(_) => return check.found(Verdict::Ok, "ordinary users may make them"),
        Err(why) => why,
    };
    let check = check
        .found(Verdict::Degraded, why)
        .means("labs come up as root only");
    match text("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_str() {
        "1" => check.mend(
            "Allow this one program: an AppArmor profile with `userns,` for it, as docs/troubleshooting.md shows",
        ),
        _ => check
            .mend("`sudo sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000`")
            .fix(["sysctl", "-e", "-w", "kernel.unprivileged_userns_clone=1", "user.max_user_namespaces=10000"]),
    }
}

fn tun() -> Check {
    tun_at(Path::new("/dev/net/tun"))
}

fn tun_at(path: &Path) -> Check {
    let check = Check::new("kernel.tun", format!("opened {}", path.display()));
    let opened = File::options().read(true).write(true).open(path);
    let (why, mend, fix) = match opened.map_err(|error| (error.kind(), error)) {
        Ok(_) => return check.found(Verdict::Ok, "it opens"),
        Err((ErrorKind::NotFound, _)) => (
            "it is not there".to_owned(),
            "`modprobe tun`, as root; in a container, pass the device in (`--device /dev/net/tun`)",
            vec!["modprobe", "tun"],
        ),
        Err((_, error)) => (
            error.to_string(),
            "`sudo chmod 666 /dev/net/tun`",
            vec!["chmod", "666", "/dev/net/tun"],
        ),
    };
    check
        .found(Verdict::Broken, why)
        .means("machines have no network")
        .mend(mend)
        .fix(fix)
}

fn bridge() -> Check {
    let line = [
        "--user",
        "--map-root-user",
        "--net",
        "ip",
        "link",
        "add",
        "probe",
        "type",
        "bridge",
    ];
    let check = Check::new("kernel.bridge", "made one in a namespace of its own");
    match run("unshare", &line) {
        Ok(_) => check.found(Verdict::Ok, "it can be made"),
        Err(why) => check
            .found(Verdict::Degraded, why)
            .means("networks of labs may not come up for this user")
            .mend("`sudo apt install iproute2`, `sudo modprobe bridge`"),
    }
}

fn cgroups() -> Check {
    let check = Check::new(
        "kernel.cgroups",
        "read what is mounted, and which controllers",
    );
    judge_cgroups(
        check,
        &text("/proc/mounts"),
        &text("/sys/fs/cgroup/cgroup.controllers"),
    )
}

/// Version 1 and 2 may be mounted side by side; what limits containers is then in 1.
fn judge_cgroups(check: Check, mounts: &str, controllers: &str) -> Check {
    let kind = |wanted: &str| {
        let mut kinds = mounts.lines().filter_map(|line| line.split(' ').nth(2));
        kinds.any(|kind| kind == wanted)
    };
    match (kind("cgroup"), kind("cgroup2")) {
        (false, true) => check.found(Verdict::Ok, format!("version 2: {controllers}")),
        (true, true) => check.found(Verdict::Ok, "versions 1 and 2 side by side"),
        (true, false) => check.found(Verdict::Ok, "version 1"),
        (false, false) => check.found(Verdict::NotApplicable, "none is mounted"),
    }
}

pub(super) fn entropy() -> Check {
    let path = "/proc/sys/kernel/random/entropy_avail";
    let check = Check::new("kernel.entropy", format!("read {path}"));
    match text(path).parse::<u32>() {
        Ok(bits) if bits >= FEW_BITS => check.found(Verdict::Ok, format!("{bits} bits")),
        Ok(bits) => check
            .found(Verdict::Degraded, format!("{bits} bits"))
            .means("what waits for random numbers, such as ssh keys, may wait long"),
        Err(_) => check.found(Verdict::Unproved, "the kernel does not tell"),
    }
}

pub(super) fn text(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.trim().to_owned()
}

/// The first line of what a program says, or why it did not work.
pub(super) fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!("there is no `{program}`"),
            _ => format!("`{program}` does not run: {error}"),
        })?;
    let first = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.lines().next().unwrap_or_default().trim().to_owned()
    };
    match output.status.success() {
        true => Ok(first(&output.stdout)),
        false => Err(format!("{}: {}", output.status, first(&output.stderr))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_device_is_told_with_its_mend() {
        let folder = tempfile::tempdir().unwrap();
        let check = tun_at(&folder.path().join("tun"));
        assert_eq!(check.verdict, Verdict::Broken);
        assert!(check.mend.unwrap().contains("modprobe tun"));
        let file = folder.path().join("there");
        std::fs::write(&file, "").unwrap();
        assert_eq!(tun_at(&file).verdict, Verdict::Ok);
    }

    #[test]
    fn both_versions_of_cgroups_are_known() {
        let found = |mounts: &str| judge_cgroups(Check::new("", ""), mounts, "cpu memory").found;
        let (one, two) = ("c /c cgroup rw 0 0\n", "d /d cgroup2 rw 0 0\n");
        assert_eq!(found(two), "version 2: cpu memory");
        assert_eq!(
            found(&format!("{one}{two}")),
            "versions 1 and 2 side by side"
        );
        assert_eq!(found(one), "version 1");
        assert_eq!(found(""), "none is mounted");
    }

    #[test]
    fn programs_are_run_and_missed() {
        assert_eq!(run("echo", &["one"]), Ok("one".into()));
        assert!(
            run("no-such-program", &[])
                .unwrap_err()
                .contains("there is no")
        );
        assert!(
            run("ls", &["/no/such/file"])
                .unwrap_err()
                .contains("exit status")
        );
    }
}
