//! The engine of this level: found by its socket, and proved by a container.

use crate::api::Api;
use crate::image;
use crate::trial;
use nestlab_backend::BackendError;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};

/// Where engines listen: Docker's, then Podman's.
const SOCKETS: [&str; 3] = [
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/podman/podman.sock",
];

/// Programs that are such an engine, and where they are.
const PROGRAMS: [&str; 4] = [
    "/usr/bin/dockerd",
    "/usr/sbin/dockerd",
    "/usr/local/bin/dockerd",
    "/usr/bin/podman",
];

/// A level that has run for less than this may still be starting its services.
const YOUNG: Duration = Duration::from_secs(300);

/// How long such a service may take.
const BOOT: Duration = Duration::from_secs(180);

/// How long the engine of a level that is not young may take to answer.
const ANSWER: Duration = Duration::from_secs(20);

const LOOK: Duration = Duration::from_millis(300);

/// What it is called where it is missing.
const WHAT: &str = "container engine";

/// How it is put to work.
const HINT: &str = "Install and start Docker Engine (`apt install docker.io`), or Podman with `podman.socket`; \
     inside a node, add `docker.io`, `apparmor`, `iptables` and `systemd-sysv` to `packages:` of its image";

/// The engine of this level.
pub(crate) struct Engine {
    pub api: Api,
    /// As people call it, with its version.
    pub name: String,
    /// Whether root of its containers is another user outside.
    pub maps_users: bool,
    /// Held by whoever brings an image in: the next finds it there.
    pub images: Mutex<()>,
}

/// Finds the engine, once.
pub(crate) struct Finder {
    /// The socket that the user has named.
    named: Option<PathBuf>,
    /// This program, which can play a part in a container.
    pub program: PathBuf,
    found: OnceCell<Engine>,
    proved: OnceCell<()>,
}

impl Finder {
    pub fn new(program: PathBuf, named: Option<PathBuf>) -> Self {
        Self {
            named,
            program,
            found: OnceCell::new(),
            proved: OnceCell::new(),
        }
    }

    /// The engine, if one answers.
    pub async fn engine(&self) -> Result<&Engine, BackendError> {
        let find = async {
            let found = self.find().await;
            found.map_err(|why| BackendError::NotAtWork {
                what: WHAT.into(),
                why,
                hint: HINT.into(),
            })
        };
        self.found.get_or_try_init(|| find).await
    }

    /// The engine, if it also runs containers as we want them.
    pub async fn proved(&self) -> Result<&Engine, BackendError> {
        let engine = self.engine().await?;
        let prove = || trial::run(engine, &self.program);
        self.proved.get_or_try_init(prove).await?;
        Ok(engine)
    }

    /// Sockets where it may be.
    fn sockets(&self) -> Vec<PathBuf> {
        match &self.named {
            Some(socket) => vec![socket.clone()],
            None => SOCKETS.map(PathBuf::from).to_vec(),
        }
    }

    async fn find(&self) -> Result<Engine, String> {
        let age = nestlab_sys::clock::since_boot().unwrap_or(YOUNG);
        let patience = match age < YOUNG && installed().is_some() {
            true => BOOT,
            false => ANSWER,
        };
        let start = tokio::time::Instant::now();
        loop {
            let why = match self.look(patience).await {
                Ok(engine) => return Ok(engine),
                Err(why) => why,
            };
            if patience == ANSWER || start.elapsed() > patience {
                return Err(why);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn look(&self, patience: Duration) -> Result<Engine, String> {
        let mut reasons = Vec::new();
        for socket in self.sockets().iter().filter(|socket| socket.exists()) {
            match greet(socket, patience).await {
                Ok(engine) => return Ok(engine),
                Err(why) => reasons.push(format!("{}: {why}", socket.display())),
            }
        }
        reasons.dedup();
        match reasons.is_empty() {
            false => Err(reasons.join("; ")),
            true => Err(nowhere(&self.sockets())),
        }
    }
}

fn nowhere(sockets: &[PathBuf]) -> String {
    let names: Vec<String> = sockets
        .iter()
        .map(|socket| socket.display().to_string())
        .collect();
    let none = format!("there is none of {}", names.join(", "));
    match installed() {
        Some(program) => format!("{none}, though {} is there", program.display()),
        None => none,
    }
}

/// The program of an engine, if there is one.
fn installed() -> Option<&'static Path> {
    let mut programs = PROGRAMS.iter().map(Path::new);
    programs.find(|program| program.is_file())
}

async fn greet(socket: &Path, within: Duration) -> Result<Engine, String> {
    let (api, said) = Api::greet(socket, within).await?;
    let word = |value: &serde_json::Value| value.as_str().unwrap_or("?").to_owned();
    let component = said["Components"][0]["Name"].as_str().unwrap_or_default();
    let kind = match component.contains("Podman") {
        true => "Podman",
        false => "Docker Engine",
    };
    let about = api.get("/info").await.and_then(|answer| answer.value());
    let about = about.map_err(|error| crate::api::chain(&error))?;
    let options = about["SecurityOptions"].to_string();
    Ok(Engine {
        api,
        name: format!("{kind} {}", word(&said["Version"])),
        maps_users: options.contains("name=userns") || options.contains("name=rootless"),
        images: Mutex::default(),
    })
}

impl Engine {
    /// Brings an image in unless it is there.
    pub async fn ensure_image(&self, wanted: &image::Wanted<'_>) -> Result<String, BackendError> {
        let _one = self.images.lock().await;
        image::ensure(&self.api, wanted).await
    }
}
