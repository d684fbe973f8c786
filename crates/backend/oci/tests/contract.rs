//! The backend contract on real containers.
//!
//! `NESTLAB_TEST_PROGRAM` and `NESTLAB_TEST_INIT` name nestlab and nestlab-init; without
//! them, or without a runtime that works, the tests are skipped and say so.

use nestlab_backend::contract::{self, ContractWorld};
use nestlab_backend::{Backend, BootSpec, ContainerSpec, Ids, Lower, MachineSpec, Start, Support};
use nestlab_backend_oci::Oci;
use nestlab_model::{Accelerator, ByteSize, IoLimits};
use std::path::{Path, PathBuf};

/// A container's root and kit: folders with the first program and nothing else.
struct World {
    folder: tempfile::TempDir,
    program: PathBuf,
    /// Where containers write, if that is elsewhere.
    written: Option<PathBuf>,
}

impl World {
    fn new() -> Option<Self> {
        let file = |name| std::env::var_os(name).map(PathBuf::from);
        let program = file("NESTLAB_TEST_PROGRAM")?;
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("kit/bin")).unwrap();
        std::fs::create_dir(folder.path().join("root")).unwrap();
        let init = folder.path().join("kit/bin/nestlab-init");
        std::fs::copy(file("NESTLAB_TEST_INIT")?, init).unwrap();
        Some(Self {
            folder,
            program,
            written: file("NESTLAB_TEST_WRITTEN"),
        })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl ContractWorld for World {
    fn spec(&self, name: &str) -> MachineSpec {
        let ids = nestlab_sys::users::has_all_ids().then_some(Ids {
            first: 0x8_0000,
            count: 0x1_0000,
        });
        MachineSpec {
            // Tests run side by side, and one looks for its own in /proc.
            lab_id: nestlab_sys::dir::short_name(&[&self.folder.path().to_string_lossy()]),
            path: name.parse().unwrap(),
            run_dir: self.at(name),
            cpus: 1,
            memory: ByteSize::mib(64),
            accelerator: Accelerator::Container,
            nested: false,
            balloon: false,
            boot: Start::Container(Box::new(ContainerSpec {
                root: Lower::Folder(self.at("root")),
                image: String::new(),
                folder: match &self.written {
                    Some(folder) => folder.join(name),
                    None => self.at(&format!("{name}-written")),
                },
                kit: self.at("kit"),
                hostname: name.to_owned(),
                ids,
                pids: 64,
                devices: Vec::new(),
                capabilities: Vec::new(),
                volumes: Vec::new(),
                io: IoLimits::default(),
                holds_layer: false,
                inner_roots: Vec::new(),
            })),
            disks: Vec::new(),
            nics: Vec::new(),
            memory_file: None,
        }
    }
}

async fn probe(backend: &Oci) -> Support {
    let boot = BootSpec {
        kernel: PathBuf::new(),
        initrd: PathBuf::new(),
        cmdline: String::new(),
    };
    backend.probe(&boot, None).await
}

fn in_runtime(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(work);
}

#[test]
fn the_contract_is_kept() {
    let Some(world) = World::new() else {
        eprintln!("SKIPPED: NESTLAB_TEST_PROGRAM and NESTLAB_TEST_INIT are not set");
        return;
    };
    in_runtime(async {
        let backend = Oci::new(world.program.clone());
        let support = probe(&backend).await;
        if support.best().is_none() {
            eprintln!("SKIPPED: {}", support.accelerators[0].reason);
            return;
        }
        contract::of_what_runs(&backend, &world).await;
    });
}

/// What containers write lies on an overlay, over which no other can be: roots are copied
/// there.
#[test]
fn the_contract_is_kept_with_copied_roots() {
    if World::new().is_none() || !nestlab_sys::users::has_all_ids() {
        eprintln!("SKIPPED: NESTLAB_TEST_PROGRAM is not set, or we are not root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["lower", "upper", "work", "over"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let script = "cd \"$1\" && mount -t overlay o -o lowerdir=lower,upperdir=upper,workdir=work over \
        && NESTLAB_TEST_WRITTEN=$1/over exec \"$2\" --exact the_contract_is_kept";
    let status = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn without_a_program_the_probe_says_so() {
    in_runtime(async {
        let support = probe(&Oci::new(Path::new("/nonexistent").to_owned())).await;
        assert_eq!(support.best(), None);
        let finding = &support.accelerators[0];
        assert!(!finding.reason.is_empty());
        assert!(
            finding
                .hint
                .as_ref()
                .is_some_and(|hint| hint.contains("runc"))
        );
    });
}
