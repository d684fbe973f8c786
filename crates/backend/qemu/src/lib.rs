//! Machines on QEMU.
