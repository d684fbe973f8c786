//! What it takes to realise a node: the trait that every backend implements,
//! and the plain data that passes between it and the engine.
//!
//! A backend knows nothing of labs, links or networks. It is given a
//! [`MachineSpec`] (what to run, with every path, tap and accelerator already
//! decided), and hands back a [`Machine`]. Everything it creates can be found
//! again from a [`MachineRecord`] by another process, after a crash.

#[cfg(feature = "contract")]
pub mod contract;
mod machine;
pub mod places;
mod spec;

pub use machine::{
    Backend, BackendError, Contents, Exit, Finding, LinkAddress, Machine, MachineRecord, Support,
    check_saving,
};
pub use nestlab_model::Volume;
pub use nestlab_sys::detached::Ids;
pub use spec::{
    BootSpec, ContainerSpec, Disk, DiskFormat, FirmwareSpec, InnerRoot, Lower, MachineSpec,
    Mapping, MemoryFile, Nic, Plan, Start,
};
