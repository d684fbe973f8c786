//! Images: where the bytes of a node's disks come from.
//!
//! A [`Store`] holds finished images by digest, and the [`Kit`]: the disk with
//! the agent, the inner hypervisor and the kernel that every guest is given.
//! What is made is made under `tmp/` with a lock on its digest and renamed when
//! it is whole, so that two builds at once make one, and a killed one none.

mod apt;
mod builder;
mod cpio;
mod derived;
mod digest;
mod error;
mod foreign;
mod imported;
mod kernel;
mod kit;
mod layout;
mod oci;
mod publisher;
mod qcow2;
mod recipe;
mod registry;
mod seed;
mod store;
mod tree;
mod vagrant_box;
mod workplace;

pub use derived::{ROLE, run_within};
pub use error::ImageError;
pub use imported::imported;
pub use kit::{Kit, KitSources, kit_qemu_command};
pub use layout::Layout;
pub use qcow2::{create_empty, create_overlay, virtual_size};
pub use seed::disk as small_disk;
pub use store::{Image, ImageFormat, Store};
