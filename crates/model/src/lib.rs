//! What a lab *is*: pure data and pure functions.
//!
//! This crate has no I/O, no async code and no clock. Everything above it
//! speaks in these types; `labfile` makes them from text, the engine realises
//! them, `api` carries them from one level to the next.

pub mod bench;
mod catalogue;
mod changes;
pub mod doctor;
mod event;
mod image;
mod lab;
mod mac;
mod name;
mod path;
mod port;
mod provision;
mod rate;
mod registry;
mod size;
mod state;

pub use catalogue::catalogue;
pub use changes::Changes;
pub use event::{Event, EventKind, LogStream};
pub use image::{
    Derived, Digest, FileSource, ImageSpec, ParseDigestError, Recipe, RecipeFile, builtin_images,
};
pub use lab::{
    Accelerator, AcceleratorChoice, Boot, ContainerOptions, Dependency, DependencyCondition,
    DiskSpec, Endpoint, Firmware, FirmwareChoice, IoLimits, Lab, Layer, Network, NetworkMode, Node,
    NodeKind, Volume,
};
pub use mac::Mac;
pub use name::{ImageName, LabName, NameError, NetworkName, NodeName};
pub use path::{NodePath, ParsePathError};
pub use port::{ParsePortError, PortForward, Protocol};
pub use provision::{
    FileCopy, Playbook, Probe, ProbeCheck, ProvisionAction, Provisioner, RunPolicy,
};
pub use rate::BitRate;
pub use registry::{ParseReferenceError, REGISTRY_SCHEME, Reference};
pub use size::{ByteSize, ParseSizeError};
pub use state::{LayerStatus, NodeState, NodeStatus, Stage};
