//! What a node is told of the layer inside it: the same sub-tree, with
//! everything that lies on this level replaced by what lies on the next.

use crate::engine::Engine;
use crate::parcel;
use crate::{BaseImage, Fault, Progress};
use nestlab_api::client::Client;
use nestlab_api::message::{ImageSource, LayerSpec};
use nestlab_backend::DiskFormat;
use nestlab_model::{
    Accelerator, FileCopy, FileSource, ImageName, Layer, Node, NodeKind, NodePath, ProvisionAction,
};
use std::collections::{BTreeMap, BTreeSet};

/// The images that a layer names, at any depth.
pub(crate) fn images_of(layer: &Layer) -> BTreeSet<ImageName> {
    layer
        .walk()
        .into_iter()
        .map(|(_, node)| node.image.clone())
        .collect()
}

/// Finds every image that stands inside a node, so that it can be attached.
pub(crate) async fn find_images(
    engine: &Engine,
    node: &Node,
    progress: Progress<'_>,
) -> Result<BTreeMap<ImageName, BaseImage>, Fault> {
    let mut found = BTreeMap::new();
    for name in images_of(&node.inside) {
        let image = engine.image(&name, progress).await?;
        found.insert(name, image);
    }
    Ok(found)
}

/// Sends a node what shall stand inside it.
pub(crate) async fn send(
    engine: &Engine,
    agent: &Client,
    path: &NodePath,
    node: &Node,
    accelerator: Accelerator,
) -> Result<(), Fault> {
    let upper = engine.spec()?;
    let images = find_images(engine, node, &|_| {}).await?;
    let mut layer = node.inside.clone();
    send_files(engine, agent, &mut layer).await?;
    let spec = LayerSpec {
        lab_id: upper.lab_id.clone(),
        path: path.clone(),
        layer,
        images: images
            .iter()
            .map(|(name, image)| (name.clone(), below(image, node.kind)))
            .collect(),
        kit: Some(engine.kit(&|_| {}).await?.serial),
        chain: chain(engine, node, accelerator).await,
        proved: engine.proved(),
        templates: upper.templates,
        authorized_keys: upper.authorized_keys.clone(),
    };
    agent
        .put_layer(&spec)
        .await
        .map_err(|error| Fault::caused(format!("Cannot hand `{path}` its inside"), &error))
}

/// Takes over what a node has proved of itself and of what stands inside it.
pub(crate) async fn learn(engine: &Engine, agent: &Client, node: &Node, accelerator: Accelerator) {
    if let Ok(report) = agent.layer().await {
        let chain = chain(engine, node, accelerator).await;
        engine.learn_from(&chain, &report.proved);
    }
}

/// What the next level runs on.
async fn chain(engine: &Engine, node: &Node, accelerator: Accelerator) -> String {
    format!("{} > {accelerator} {}", engine.chain().await, node.nested)
}

/// An image as the next level finds it. A qcow2 image of a machine is opened by our VMM,
/// so that the disk shows the plain bytes; a container has the file itself.
fn below(image: &BaseImage, kind: NodeKind) -> ImageSource {
    ImageSource::Serial {
        digest: image.digest,
        serial: image.serial(),
        format: match (kind, image.format) {
            (NodeKind::Container, DiskFormat::Qcow2) => "qcow2".into(),
            _ => "raw".into(),
        },
        virtual_size: image.virtual_size,
        ours: image.ours,
    }
}

/// Uploads every file that the layer names from here, once, and has the layer
/// name it by digest.
async fn send_files(engine: &Engine, agent: &Client, layer: &mut Layer) -> Result<(), Fault> {
    for copy in copies(layer) {
        if !matches!(copy.source, FileSource::Host(_) | FileSource::Blob(_)) {
            continue;
        }
        let mut parcel = parcel::pack(copy, engine.blobs())?;
        let digest = parcel::digest(&mut parcel.archive).map_err(Fault::io(format!(
            "Cannot read the archive for {}",
            copy.target
        )))?;
        let cannot = |error: &dyn std::error::Error| {
            Fault::caused(format!("Cannot send the files for {}", copy.target), error)
        };
        if !agent.has_blob(&digest).await.map_err(|e| cannot(&e))? {
            let archive = tokio::fs::File::from_std(parcel.archive);
            agent
                .put_blob(&digest, archive)
                .await
                .map_err(|e| cannot(&e))?;
        }
        copy.source = FileSource::Blob(digest);
    }
    Ok(())
}

/// Everything that is copied into some node of the layer, at any depth.
fn copies(layer: &mut Layer) -> Vec<&mut FileCopy> {
    let mut found = Vec::new();
    for node in &mut layer.nodes {
        found.extend(node.files.iter_mut());
        found.extend(
            node.provision
                .iter_mut()
                .filter_map(|step| match &mut step.action {
                    ProvisionAction::File(copy) => Some(copy),
                    ProvisionAction::Shell { .. } => None,
                }),
        );
        found.extend(copies(&mut node.inside));
    }
    found
}
