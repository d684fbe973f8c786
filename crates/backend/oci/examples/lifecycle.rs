//! Measures the life of a container, from nothing to running and to nothing again, beside
//! the same runtime driven by hand: what `scripts/bench` runs.
//!
//! By hand means `create`, `start`, a SIGKILL whose effect is waited for by pidfd, and
//! `delete`, of a bundle with the same configuration, whose root is a plain folder and
//! whose parts lie where they are mounted from. A `delete --force` of what runs is timed
//! as well: it looks once in 100 ms whether the container has ended.
//!
//!   lifecycle NESTLAB NESTLAB-INIT TIMES
//!
//! Root's: an ordinary user has neither groups nor users to give.

use nestlab_backend::{Backend, ContainerSpec, Ids, Lower, MachineSpec, Start};
use nestlab_backend_oci::Oci;
use nestlab_model::{Accelerator, ByteSize, IoLimits};
use nestlab_sys::process::{ProcessId, Signal};
use serde_json::{Value, json};
use std::error::Error;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Who is root of the container, outside.
const IDS: Ids = Ids {
    first: 0x8_0000,
    count: 0x1_0000,
};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, init, times] = arguments.as_slice() else {
        return Err("lifecycle NESTLAB NESTLAB-INIT TIMES".into());
    };
    let folder = tempfile::tempdir()?;
    let bench = Bench::new(folder.path(), Path::new(program), Path::new(init))?;
    // What is done once per boot of a machine is done before.
    bench.ours().await?;
    let mut rounds = Rounds::default();
    for _ in 0..times.parse::<usize>()? {
        // In turn, so that what else the machine does meets all of them.
        let (made, ended) = bench.ours().await?;
        rounds.made.push(made);
        rounds.ended.push(ended);
        rounds.by_hand.push(bench.by_hand(End::Killed).await?);
        rounds
            .by_hand_forced
            .push(bench.by_hand(End::Forced).await?);
    }
    println!("{}", rounds.told(&bench.runtime()?.to_string_lossy()));
    Ok(())
}

/// Seconds of every round.
#[derive(Default)]
struct Rounds {
    made: Vec<f64>,
    ended: Vec<f64>,
    by_hand: Vec<f64>,
    by_hand_forced: Vec<f64>,
}

impl Rounds {
    fn told(&self, runtime: &str) -> Value {
        json!({
            "runtime": runtime,
            "made": self.made,
            "ended": self.ended,
            "by_hand": self.by_hand,
            "by_hand_forced": self.by_hand_forced,
        })
    }
}

/// How a container is ended by hand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It is killed, waited for, and deleted.
    Killed,
    /// The runtime kills it.
    Forced,
}

struct Bench {
    folder: PathBuf,
    backend: Oci,
    spec: MachineSpec,
}

impl Bench {
    fn new(folder: &Path, program: &Path, init: &Path) -> Result<Self> {
        // Root of the container goes through it, by hand.
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
        let kit = folder.join("kit");
        std::fs::create_dir_all(kit.join("bin"))?;
        std::fs::create_dir(folder.join("root"))?;
        std::fs::copy(init, kit.join("bin/nestlab-init"))?;
        std::fs::copy(program, kit.join("bin/nestlab"))?;
        Ok(Self {
            folder: folder.to_owned(),
            backend: Oci::new(program.to_owned()),
            spec: spec(folder),
        })
    }

    /// Makes and ends one as a node's is.
    async fn ours(&self) -> Result<(f64, f64)> {
        let start = Instant::now();
        let machine = self.backend.create(&self.spec, None).await?;
        let made = start.elapsed();
        let run_dir = &self.spec.run_dir;
        let taken = PathBuf::from(std::fs::read_to_string(run_dir.join("runtime"))?);
        let bundle = self.folder.join("bundle");
        if !bundle.exists() {
            std::fs::create_dir(&bundle)?;
            let config = std::fs::read(run_dir.join("bundle/config.json"))?;
            let config = self.without_stage(serde_json::from_slice(&config)?)?;
            std::fs::write(bundle.join("config.json"), config.to_string())?;
            // The one that the backend has chosen: what is measured is one runtime.
            std::os::unix::fs::symlink(taken, self.folder.join("runtime"))?;
        }
        let start = Instant::now();
        machine.kill().await?;
        Ok((made.as_secs_f64(), start.elapsed().as_secs_f64()))
    }

    /// The same configuration for a bundle whose parts lie in our folder.
    fn without_stage(&self, mut config: Value) -> Result<Value> {
        let root = self.folder.join("plain");
        std::fs::create_dir(&root)?;
        chown(&root, Some(IDS.first), Some(IDS.first))?;
        config["root"]["path"] = json!(root);
        for mount in config["mounts"].as_array_mut().into_iter().flatten() {
            if mount["type"] == "none" {
                mount["source"] = json!(self.folder.join("kit"));
            }
        }
        Ok(config)
    }

    fn runtime(&self) -> Result<PathBuf> {
        Ok(std::fs::read_link(self.folder.join("runtime"))?)
    }

    /// Makes and ends one by the runtime's commands.
    async fn by_hand(&self, end: End) -> Result<f64> {
        const NAME: &str = "nestlab-lifecycle-by-hand";
        let pid_file = self.folder.join("pid");
        let state = self.folder.join("state");
        let runtime = self.runtime()?;
        let tell = |words: &[&str]| -> Result<()> {
            let told = Command::new(&runtime)
                .arg("--root")
                .arg(&state)
                .args(words)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
            match told.success() {
                true => Ok(()),
                false => Err(format!("the runtime does not {}", words[0]).into()),
            }
        };
        let (bundle, file) = (self.folder.join("bundle"), pid_file.to_string_lossy());
        let bundle = bundle.to_string_lossy();
        let start = Instant::now();
        tell(&["create", "--bundle", &bundle, "--pid-file", &file, NAME])?;
        tell(&["start", NAME])?;
        if end == End::Forced {
            tell(&["delete", "--force", NAME])?;
            return Ok(start.elapsed().as_secs_f64());
        }
        let process = ProcessId::of(std::fs::read_to_string(&pid_file)?.trim().parse()?)?;
        if let Some(pidfd) = process.open()? {
            pidfd.signal(Signal::SIGKILL)?;
            pidfd.wait().await?;
        }
        tell(&["delete", NAME])?;
        Ok(start.elapsed().as_secs_f64())
    }
}

fn spec(folder: &Path) -> MachineSpec {
    MachineSpec {
        lab_id: "bench".into(),
        path: "box".parse().expect("a name"),
        run_dir: folder.join("run"),
        cpus: 1,
        memory: ByteSize::mib(64),
        accelerator: Accelerator::Container,
        nested: false,
        balloon: false,
        boot: Start::Container(Box::new(ContainerSpec {
            image: "lifecycle:000000000000".into(),
            root: Lower::Folder(folder.join("root")),
            folder: folder.join("written"),
            kit: folder.join("kit"),
            hostname: "box".into(),
            ids: Some(IDS),
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
