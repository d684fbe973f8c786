//! What a lab may be at most, and what things cost. Figures are those measured
//! for QEMU; where one is a guess it says so.

use nestlab_model::ByteSize;

/// What a VM costs its parent beside its own memory: QEMU itself held 37 MiB
/// when idle; page tables and the overlay's cache come on top.
pub(crate) const VM_OVERHEAD: ByteSize = ByteSize::mib(64);
/// What a parent needs for its own kernel, init, agent and page cache.
pub(crate) const PARENT_RESERVE: ByteSize = ByteSize::mib(192);
/// A stock Debian kernel does not boot with less.
pub(crate) const MIN_MEMORY: ByteSize = ByteSize::mib(64);
/// Memory of a node that names none.
pub(crate) const DEFAULT_MEMORY: ByteSize = ByteSize::mib(512);
/// Less is no file system.
pub(crate) const MIN_DISK: ByteSize = ByteSize::mib(1);

/// vCPUs of one node: q35's limit with a plain APIC.
pub(crate) const MAX_CPUS: u64 = 255;

/// Processes of a container. Linux has no more (PID_MAX_LIMIT).
pub(crate) const MAX_PIDS: u64 = 1 << 22;
/// Nodes of one group.
pub(crate) const MAX_COUNT: u64 = 250;
/// Nodes of a whole lab: groups in groups multiply.
pub(crate) const MAX_NODES: usize = 1000;

/// RFC 791: every host takes 576 bytes.
pub(crate) const MIN_MTU: u64 = 576;
/// Jumbo frames; more does not cross a tap.
pub(crate) const MAX_MTU: u64 = 9000;
/// The MTU of a network that names none.
pub(crate) const DEFAULT_MTU: u16 = 1500;

/// Bytes of a lab file.
pub(crate) const MAX_LABFILE: u64 = 1 << 20;
/// Bytes of a script or of inline content: it travels in the model.
pub(crate) const MAX_SCRIPT: u64 = 1 << 20;
/// Machines in machines: the model nests by three for each, and JSON readers
/// stop at 128.
pub(crate) const MAX_LEVELS: usize = 32;
/// Lab files in lab files.
pub(crate) const MAX_FROM: usize = 16;
