//! The backend contract on real containers, by a Docker Engine of the test's own: started
//! in a folder of its own, apart from the machine's network, and ended with the test.
//!
//! `NESTLAB_TEST_PROGRAM` and `NESTLAB_TEST_INIT` name nestlab and nestlab-init; without
//! them, without root or without `dockerd`, the tests are skipped and say so.

use nestlab_backend::contract::{self, ContractWorld};
use nestlab_backend::{Backend, BootSpec, ContainerSpec, Lower, MachineSpec, Start, Support};
use nestlab_backend_docker::Docker;
use nestlab_e2e::{ContainerEngine, EngineKind};
use nestlab_model::{Accelerator, ByteSize, IoLimits};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A container's root and kit: folders with the first program and nothing else.
struct World {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl World {
    fn new() -> Option<Self> {
        let file = |name| std::env::var_os(name).map(PathBuf::from);
        let program = file("NESTLAB_TEST_PROGRAM")?;
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("kit/bin")).unwrap();
        std::fs::create_dir(folder.path().join("root")).unwrap();
        std::fs::write(folder.path().join("root/mark"), "ours").unwrap();
        let init = folder.path().join("kit/bin/nestlab-init");
        std::fs::copy(file("NESTLAB_TEST_INIT")?, init).unwrap();
        Some(Self { folder, program })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl ContractWorld for World {
    fn spec(&self, name: &str) -> MachineSpec {
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
                image: "test:0a1b2c3d4e5f".into(),
                folder: self.at(&format!("{name}-written")),
                kit: self.at("kit"),
                hostname: name.to_owned(),
                ids: None,
                pids: 64,
                io: IoLimits::default(),
                devices: Vec::new(),
                capabilities: Vec::new(),
                volumes: Vec::new(),
                holds_layer: false,
                inner_roots: Vec::new(),
            })),
            disks: Vec::new(),
            nics: Vec::new(),
            memory_file: None,
        }
    }

    /// Its image is another one, which is not there yet.
    fn broken(&self) -> MachineSpec {
        let mut spec = self.spec("broken");
        if let Start::Container(container) = &mut spec.boot {
            container.root = Lower::Folder("/nonexistent/root".into());
            container.image = "broken:000000000000".into();
        }
        spec
    }
}

async fn probe(backend: &Docker) -> Support {
    let boot = BootSpec {
        kernel: PathBuf::new(),
        initrd: PathBuf::new(),
        cmdline: String::new(),
    };
    backend.probe(&boot, None).await
}

/// Runs a story with a world and an engine of each kind, or says why it cannot be told.
fn with_engines<W: Future<Output = ()>>(story: impl Fn(World, ContainerEngine, Docker) -> W) {
    for kind in [EngineKind::Docker, EngineKind::Podman] {
        let Some(world) = World::new() else {
            eprintln!("SKIPPED: NESTLAB_TEST_PROGRAM and NESTLAB_TEST_INIT are not set");
            return;
        };
        match ContainerEngine::start(kind) {
            Ok(engine) => {
                let backend = Docker::new(world.program.clone(), Some(engine.socket()));
                in_runtime(story(world, engine, backend));
            }
            Err(why) => eprintln!("SKIPPED: {why}"),
        }
    }
}

fn in_runtime(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(work);
}

#[test]
fn the_contract_is_kept() {
    with_engines(async |world, daemon, backend| {
        let support = probe(&backend).await;
        let finding = &support.accelerators[0];
        assert!(finding.works, "{}", finding.reason);
        contract::of_what_runs(&backend, &world).await;

        // What they have written is kept by the engine, until it is discarded.
        let ours = ["ps", "-aq", "--filter", "label=nestlab.lab"];
        assert_eq!(daemon.tells(&ours).lines().count(), 2);
        for name in ["one", "two", "broken", "plan"] {
            for _ in 0..2 {
                let discarded = backend.discard(&world.at(&format!("{name}-written"))).await;
                discarded.unwrap();
            }
        }
        assert_eq!(daemon.tells(&["ps", "-aq"]), "");
        assert_eq!(daemon.tells(&["images", "-aq"]), "");
    });
}

#[test]
fn what_is_written_outlives_another_configuration() {
    with_engines(async |world, daemon, backend| {
        let mut spec = world.spec("one");
        let name = format!("nestlab-{}-one", spec.lab_id);
        let machine = backend.create(&spec, None).await.unwrap();
        let names = daemon.tells(&["ps", "--format", "{{.Names}} {{.Image}}"]);
        assert_eq!(names, format!("{name} nestlab/test:0a1b2c3d4e5f"));
        std::fs::write(world.at("file"), "kept").unwrap();
        let file = world.at("file").display().to_string();
        daemon.tells(&["cp", &file, &format!("{name}:/kept")]);
        machine.kill().await.unwrap();

        for memory in [64, 96, 96] {
            spec.memory = ByteSize::mib(memory);
            let machine = backend.create(&spec, None).await.unwrap();
            let limit = daemon.tells(&["inspect", "-f", "{{.HostConfig.Memory}}", &name]);
            assert_eq!(limit, (memory << 20).to_string());
            let back = world.at("back").display().to_string();
            daemon.tells(&["cp", &format!("{name}:/kept"), &back]);
            assert_eq!(std::fs::read_to_string(&back).unwrap(), "kept");
            machine.kill().await.unwrap();
        }
        assert_eq!(daemon.tells(&["ps", "-aq"]).lines().count(), 1);
        backend.discard(&world.at("one-written")).await.unwrap();
        assert_eq!(daemon.tells(&["images", "-aq"]), "");
    });
}

#[test]
fn a_strangers_container_is_left_alone() {
    with_engines(async |world, daemon, backend| {
        let spec = world.spec("one");
        let machine = backend.create(&spec, None).await.unwrap();
        machine.kill().await.unwrap();
        backend.discard(&world.at("one-written")).await.unwrap();

        let name = format!("nestlab-{}-one", spec.lab_id);
        let mut import = Command::new("tar")
            .args(["-cC"])
            .arg(world.at("root"))
            .arg(".")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let host = daemon.address();
        let imported = Command::new("docker")
            .args(["--host", &host, "import", "-", "theirs"])
            .stdin(import.stdout.take().unwrap())
            .status()
            .unwrap();
        assert!(imported.success() && import.wait().unwrap().success());
        daemon.tells(&["create", "--name", &name, "theirs", "/mark"]);
        let refused = backend
            .create(&spec, None)
            .await
            .err()
            .expect("the name is taken");
        assert!(
            refused.to_string().contains("Nestlab has not made"),
            "{refused}"
        );
        assert_eq!(daemon.tells(&["ps", "-aq"]).lines().count(), 1);
        assert!(!spec.run_dir.exists());
    });
}

#[test]
fn without_an_engine_the_probe_says_so() {
    in_runtime(async {
        let nowhere = Path::new("/nonexistent");
        let backend = Docker::new(nowhere.to_owned(), Some(nowhere.join("docker.sock")));
        let support = probe(&backend).await;
        assert_eq!(support.best(), None);
        let finding = &support.accelerators[0];
        assert!(!finding.reason.is_empty());
        let hint = finding.hint.as_deref().unwrap_or_default();
        let expected = match nestlab_sys::users::is_root() {
            true => "docker.io",
            false => "virtual machine",
        };
        assert!(hint.contains(expected), "{hint}");
    });
}
