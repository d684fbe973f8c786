//! The backend contract on real QEMU, under TCG. It boots the kernel that
//! NESTLAB_TEST_KERNEL and NESTLAB_TEST_INITRD name.

use nestlab_backend::contract::{self, ContractWorld};
use nestlab_backend::{Backend, BackendError, BootSpec, MachineSpec, Start};
use nestlab_backend_qemu::Qemu;
use nestlab_model::{Accelerator, ByteSize};
use std::path::PathBuf;
use std::time::Duration;

struct World {
    folder: tempfile::TempDir,
    boot: BootSpec,
}

impl World {
    /// `None`, said aloud, if there is nothing to boot.
    fn new(test: &str) -> Option<Self> {
        let file = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let files = file("NESTLAB_TEST_KERNEL").zip(file("NESTLAB_TEST_INITRD"));
        let Some((kernel, initrd)) = files else {
            eprintln!("SKIPPED {test}: NESTLAB_TEST_KERNEL and NESTLAB_TEST_INITRD are not set");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        Some(Self {
            folder,
            boot: BootSpec {
                kernel,
                initrd,
                cmdline: String::new(),
            },
        })
    }
}

impl ContractWorld for World {
    fn spec(&self, name: &str) -> MachineSpec {
        MachineSpec {
            // Tests run side by side, and one looks for its own in /proc.
            lab_id: nestlab_sys::dir::short_name(&[&self.folder.path().to_string_lossy()]),
            path: name.parse().unwrap(),
            run_dir: self.folder.path().join(name),
            cpus: 1,
            memory: ByteSize::mib(256),
            accelerator: Accelerator::Tcg,
            nested: false,
            balloon: true,
            boot: Start::Kernel(self.boot.clone()),
            disks: Vec::new(),
            nics: Vec::new(),
            memory_file: None,
        }
    }
}

fn qemu() -> Qemu {
    Qemu::new(vec!["qemu-system-x86_64".into()])
}

#[tokio::test]
async fn qemu_keeps_the_contract() {
    let Some(world) = World::new("qemu_keeps_the_contract") else {
        return;
    };
    contract::all(&qemu(), &world).await;
}

#[tokio::test]
async fn a_start_that_nobody_waits_for_leaves_nothing() {
    let Some(world) = World::new("a_start_that_nobody_waits_for_leaves_nothing") else {
        return;
    };
    let (qemu, spec) = (qemu(), world.spec("one"));
    for millis in [0, 1, 3, 10, 20] {
        let patience = Duration::from_millis(millis);
        if let Ok(created) = tokio::time::timeout(patience, qemu.create(&spec, None)).await {
            created.unwrap().kill().await.unwrap();
        }
        assert!(!spec.run_dir.exists());
        let name = format!("nestlab:{}:one", spec.lab_id);
        let find = || nestlab_sys::proc::find(|argv| argv.contains(&name));
        for _ in 0..100 {
            if find().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(find(), []);
    }
}

#[tokio::test]
async fn the_words_of_qemu_reach_the_error() {
    let Some(world) = World::new("the_words_of_qemu_reach_the_error") else {
        return;
    };
    let Err(error) = qemu().create(&world.broken(), None).await else {
        panic!("it started")
    };
    let BackendError::EndedEarly { status, stderr } = error else {
        panic!("{error}")
    };
    assert_eq!(status, "exit status: 1");
    assert!(stderr.contains("/nonexistent/kernel"), "{stderr}");
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let backend = Qemu::new(vec!["qemu-system-none".into()]);
    let folder = tempfile::tempdir().unwrap();
    let boot = BootSpec {
        kernel: "/k".into(),
        initrd: "/i".into(),
        cmdline: String::new(),
    };
    let world = World { folder, boot };
    let Err(error) = backend.create(&world.spec("one"), None).await else {
        panic!("it started")
    };
    assert!(
        matches!(error, BackendError::MissingProgram { .. }),
        "{error}"
    );
    assert!(!world.spec("one").run_dir.exists());
    let support = backend.probe(&world.boot, None).await;
    assert_eq!((support.best(), support.version), (None, None));
}

/// What is found about KVM depends on the machine; it must be found in time,
/// and TCG must work.
#[tokio::test]
async fn the_probe_boots_a_kernel() {
    let Some(world) = World::new("the_probe_boots_a_kernel") else {
        return;
    };
    let start = std::time::Instant::now();
    let support = qemu().probe(&world.boot, None).await;
    eprintln!(
        "{support:#?} in {:?}, {}",
        start.elapsed(),
        qemu().probe_key()
    );
    assert!(support.best().is_some(), "{support:?}");
    assert!(support.version.is_some());
    assert!(
        support
            .accelerators
            .iter()
            .all(|finding| !finding.reason.is_empty())
    );
}
