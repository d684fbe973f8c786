//! Which accelerator a node really gets: proved by booting a stock kernel, once
//! per chain of levels.

use crate::engine::Engine;
use crate::{Fault, KitParts, hearsay};
use nestlab_backend::{Backend, BootSpec, Support};
use nestlab_model::{Accelerator, AcceleratorChoice, Node, NodeKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// What was proved, by chain and backend.
#[derive(Default)]
pub(crate) struct SupportTable {
    proved: Mutex<BTreeMap<String, serde_json::Value>>,
    /// Held while a probe runs: ten nodes ask, one boots.
    probing: tokio::sync::Mutex<()>,
}

/// The accelerator of a node, and why it is not the best one if so.
pub(crate) struct Choice {
    pub accelerator: Accelerator,
    pub note: Option<String>,
}

/// By which what a backend can do in a chain of levels is known.
fn key(chain: &str, backend: &dyn Backend) -> String {
    format!("{chain} | {}", backend.name())
}

/// What was proved on this machine, kept in a file.
pub struct Proofs(PathBuf);

impl Proofs {
    /// Those in a file, which need not be there.
    pub fn in_file(file: PathBuf) -> Self {
        Self(file)
    }

    /// What was proved under a key.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let facts: Facts = crate::record::read(&self.0).ok()??;
        serde_json::from_value(facts.get(key)?.clone()).ok()
    }

    /// Keeps what was proved, beside what is there.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&self, key: &str, fact: &impl Serialize) -> Result<(), Fault> {
        let fact = serde_json::to_value(fact).expect("what is proved is plain data");
        self.add(&[(key.to_owned(), fact)].into())
    }

    fn add(&self, facts: &Facts) -> Result<(), Fault> {
        let mut all: Facts = crate::record::read(&self.0)
            .ok()
            .flatten()
            .unwrap_or_default();
        all.extend(facts.clone());
        crate::record::write(&self.0, &all)
    }

    /// What a backend was proved to do since this machine was booted, with the kernel and
    /// the programs that it has now.
    pub fn support(&self, backend: &dyn Backend) -> Option<Support> {
        self.get(&key(&backend.probe_key(), backend))
    }

    /// Keeps what a backend was proved to do.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_support(&self, backend: &dyn Backend, support: &Support) -> Result<(), Fault> {
        self.put(&key(&backend.probe_key(), backend), support)
    }
}

/// What was proved, by chain and backend.
type Facts = BTreeMap<String, serde_json::Value>;

impl Engine {
    /// What this level runs on, as a text that is equal where behaviour is.
    pub(crate) async fn chain(&self) -> String {
        match self.spec() {
            Ok(spec) if !spec.path.is_host() => spec.chain.clone(),
            _ => self
                .0
                .backends
                .first()
                .map_or_else(String::new, |b| b.probe_key()),
        }
    }

    /// Everything proved here or told by parent and children.
    pub fn proved(&self) -> BTreeMap<String, serde_json::Value> {
        self.0
            .support
            .proved
            .lock()
            .expect("no holder panics")
            .clone()
    }

    /// Takes over what another level proved, and keeps it where this level can.
    pub(crate) fn learn(&self, facts: &BTreeMap<String, serde_json::Value>) {
        let all = {
            let mut proved = self.0.support.proved.lock().expect("no holder panics");
            let before = proved.len();
            proved.extend(
                facts
                    .iter()
                    .map(|(chain, fact)| (chain.clone(), fact.clone())),
            );
            if proved.len() == before {
                return;
            }
            proved.clone()
        };
        if let Some(file) = self.0.ground.proved_file()
            && let Err(error) = Proofs::in_file(file).add(&all)
        {
            tracing::warn!(%error, "cannot keep what was proved");
        }
    }

    /// The same of what a level inside has proved: it changes nothing that is known, and tells
    /// of nothing but itself.
    pub(crate) fn learn_from(&self, chain: &str, told: &BTreeMap<String, serde_json::Value>) {
        let known = self.proved();
        let mut facts = hearsay::facts(chain, told);
        facts.retain(|name, _| !known.contains_key(name));
        self.learn(&facts);
    }

    /// Reads what earlier labs proved.
    pub(crate) fn recall(&self) {
        let kept = self
            .0
            .ground
            .proved_file()
            .map(|path| crate::record::read(&path));
        if let Some(Ok(Some(facts))) = kept {
            self.0
                .support
                .proved
                .lock()
                .expect("no holder panics")
                .extend::<BTreeMap<_, _>>(facts);
        }
    }

    /// Decides what a node runs on.
    pub(crate) async fn choose_accelerator(
        &self,
        backend: &Arc<dyn Backend>,
        node: &Node,
        kit: &KitParts,
    ) -> Result<Choice, Fault> {
        if node.kind == NodeKind::Container {
            return self.choose_runtime(backend, node, kit).await;
        }
        if node.accel == AcceleratorChoice::Tcg {
            return Ok(Choice {
                accelerator: Accelerator::Tcg,
                note: None,
            });
        }
        let support = self.support(backend, kit).await;
        let kvm = support
            .accelerators
            .iter()
            .find(|f| f.accelerator == Accelerator::Kvm);
        let why = kvm.map_or_else(|| "it was not found".to_owned(), |f| f.reason.clone());
        match support.best() {
            Some(Accelerator::Kvm) => Ok(Choice {
                accelerator: Accelerator::Kvm,
                note: None,
            }),
            Some(Accelerator::Tcg) if node.accel == AcceleratorChoice::Auto => Ok(Choice {
                accelerator: Accelerator::Tcg,
                note: Some(why),
            }),
            found => Err(no_accelerator(node, found, &support, why)),
        }
    }

    async fn choose_runtime(
        &self,
        backend: &Arc<dyn Backend>,
        node: &Node,
        kit: &KitParts,
    ) -> Result<Choice, Fault> {
        let support = self.support(backend, kit).await;
        let finding = support.accelerators.first();
        let note = finding.map(|finding| finding.reason.clone());
        match support.best() {
            Some(accelerator) => Ok(Choice { accelerator, note }),
            None => Err(Fault::new(format!(
                "No runtime for the container `{}` works here ({})",
                node.name,
                note.unwrap_or_default()
            ))
            .with_optional_hint(finding.and_then(|finding| finding.hint.clone()))),
        }
    }

    /// What a backend can do here: from memory, else by trying.
    async fn support(&self, backend: &Arc<dyn Backend>, kit: &KitParts) -> Support {
        let key = key(&self.chain().await, backend.as_ref());
        let _one = self.0.support.probing.lock().await;
        let known = self
            .proved()
            .remove(&key)
            .filter(|_| backend.proof_travels())
            .and_then(|v| serde_json::from_value(v).ok());
        if let Some(support) = known {
            backend.recall(&support);
            return support;
        }
        let boot = BootSpec {
            kernel: kit.kernel.clone(),
            initrd: kit.initramfs.clone(),
            cmdline: String::new(),
        };
        let support = backend
            .probe(&boot, self.0.ground.place().await.as_ref())
            .await;
        // What does not work at all may be mended the next minute.
        if support.best().is_some() && backend.proof_travels() {
            let fact = serde_json::to_value(&support).expect("findings are plain data");
            self.learn(&BTreeMap::from([(key, fact)]));
        }
        support
    }
}

fn no_accelerator(
    node: &Node,
    found: Option<Accelerator>,
    support: &Support,
    why: String,
) -> Fault {
    let hint = support
        .accelerators
        .iter()
        .find_map(|finding| finding.hint.clone());
    let fault = match found {
        Some(_) => Fault::new(format!(
            "Node `{}` asks for KVM, which does not work here: {why}",
            node.name
        ))
        .with_hint("Set `accel: auto` or `accel: tcg` (slower)"),
        None => {
            let reasons: Vec<String> = support
                .accelerators
                .iter()
                .map(|finding| format!("{}: {}", finding.accelerator, finding.reason))
                .collect();
            Fault::new(format!(
                "No accelerator works here ({})",
                reasons.join("; ")
            ))
        }
    };
    fault.with_optional_hint(hint)
}
