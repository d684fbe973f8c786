//! Whether machines that run others under KVM can be copied on this machine: kernels
//! differ in how well they save and load that state. It is found out once for every
//! boot, by copying a lab of our own.

use super::{both, copy, remove, wake};
use crate::commands::scratch::{ScratchLab, chain};
use crate::context::Context;
use crate::error::{Code, Error};
use crate::place::Place;
use crate::supervisor;
use nestlab_agent::examine::{Proofs, machine_key};
use nestlab_api::client::Client;
use nestlab_api::message::{ExecRequest, ForkRequest};
use nestlab_image::Store;
use nestlab_model::{Accelerator, LayerStatus, NodePath};

/// Fills memory of the innermost machine, and tells what with.
const FILL: &str = "head -c 4000000 /dev/urandom >/dev/shm/proof && sha256sum /dev/shm/proof";

/// Tells it again.
const LOOK: &str = "sha256sum /dev/shm/proof";

/// Makes sure that a lab can be copied as deep as KVM is nested in it.
pub async fn ensure(context: &Context, origin: &Place) -> Result<(), Error> {
    let client = supervisor::ensure_running(origin, origin.known()?).await?;
    let depth = nested_kvm(&client.layer().await?.status);
    if depth == 0 {
        return Ok(());
    }
    let store = Store::open(context.dirs()?.store)
        .map_err(|error| Error::caused("Cannot open the store", &error))?;
    let proofs = Proofs::in_file(store.proved_file());
    let key = format!("fork of {depth} levels | {}", machine_key());
    if proofs.get::<bool>(&key) == Some(true) {
        return Ok(());
    }
    context.say("Trying on a lab of our own whether nested KVM can be copied here, once");
    attempt(context, depth).await.map_err(|error| {
        let message = "Machines that run others under KVM cannot be copied on this machine";
        error
            .in_other_words(message)
            .hint("Another kernel may do it; `--unproved` copies the lab all the same")
    })?;
    proofs
        .put(&key, &true)
        .map_err(|error| Error::caused("Cannot keep what was proved", &error))
}

/// Tries it with a machine in a machine, and says how that went.
pub async fn show(context: &Context) -> Result<u8, Error> {
    attempt(context, 2).await?;
    context.say("A machine that runs another was copied, and both go on");
    Ok(0)
}

/// Levels of a chain as long as the longest of machines that run others under KVM; zero
/// if there is none.
fn nested_kvm(layer: &LayerStatus) -> u32 {
    let holds = layer.walk().into_iter().filter(|node| {
        let inside = node.inside.as_ref().is_some_and(|inside| {
            let mut inner = inside.nodes.iter();
            inner.any(|node| node.accelerator == Some(Accelerator::Kvm))
        });
        node.accelerator == Some(Accelerator::Kvm) && inside
    });
    let deepest = holds.map(|node| node.level).max();
    deepest.map_or(0, |level| u32::try_from(level).unwrap_or(u32::MAX) + 1)
}

/// Copies so many machines, each in the one before, and looks into the innermost.
async fn attempt(context: &Context, depth: u32) -> Result<(), Error> {
    let lab = ScratchLab::new(&context.dirs()?, "proof", &chain(depth))?;
    let innermost: Vec<String> = (1..=depth).map(|level| format!("level-{level}")).collect();
    let innermost: NodePath = innermost.join("/").parse().expect("it is a path");
    lab.during(context, async |lab| {
        let client = supervisor::ensure_running(&lab, lab.known()?).await?;
        let filled = said(&client, &innermost, FILL).await?;
        let fork = lab.register_forks(None, 1)?.remove(0);
        let copied = copied(&lab, &fork, &innermost).await;
        let removed = remove(&fork).await;
        let here = said(&client, &innermost, LOOK).await?;
        let there = copied?;
        removed?;
        match here == filled && there == filled {
            true => Ok(()),
            false => Err(Error::new(Code::Failed, "Memory was not what it had been")),
        }
    })
    .await
}

async fn copied(lab: &Place, fork: &Place, innermost: &NodePath) -> Result<String, Error> {
    let forks = std::slice::from_ref(fork);
    let (_, woken) = both(copy(lab, forks, ForkRequest::default()), wake(fork, false)).await?;
    said(&woken?.client, innermost, LOOK).await
}

async fn said(client: &Client, path: &NodePath, line: &str) -> Result<String, Error> {
    let request = ExecRequest {
        argv: ["/bin/sh", "-c", line].map(str::to_owned).to_vec(),
        ..ExecRequest::default()
    };
    let output = client.at(path).run(request).await?;
    match output.end.code() {
        0 => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        code => Err(Error::new(
            Code::Failed,
            format!("A program in `{path}` ended with {code}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nestlab_model::{NodeName, NodeState, NodeStatus};

    fn node(
        parent: &NodePath,
        accelerator: Accelerator,
        inside: Option<Accelerator>,
    ) -> NodeStatus {
        let name: NodeName = "a".parse().unwrap();
        let path = parent.child(&name);
        let inner = inside.map(|accelerator| node(&path, accelerator, None));
        NodeStatus {
            name,
            level: path.level(),
            path,
            state: NodeState::Ready,
            kind: nestlab_model::NodeKind::Vm,
            backend: "qemu".into(),
            accelerator: Some(accelerator),
            addresses: Vec::new(),
            uptime_seconds: None,
            boot_millis: None,
            memory_bytes: 0,
            resident_bytes: None,
            killed_for_memory: 0,
            cpus: 1,
            image: "debian".into(),
            pid: None,
            ports: Vec::new(),
            inside: Some(LayerStatus {
                nodes: inner.into_iter().collect(),
            }),
        }
    }

    #[test]
    fn only_kvm_in_kvm_has_to_be_proved() {
        use Accelerator::{Kvm, Tcg};
        let depth = |accelerator, inside| {
            nested_kvm(&LayerStatus {
                nodes: vec![node(&NodePath::host(), accelerator, inside)],
            })
        };
        assert_eq!(depth(Kvm, Some(Kvm)), 2);
        assert_eq!(depth(Kvm, Some(Tcg)), 0);
        assert_eq!(depth(Tcg, Some(Kvm)), 0);
        assert_eq!(depth(Kvm, None), 0);
    }
}
