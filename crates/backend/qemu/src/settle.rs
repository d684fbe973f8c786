//! A paused machine whose guest was, at that very moment, in the middle of running a
//! guest of its own.
//!
//! What Nestlab runs inside a machine is paused before the machine is. Somebody else may
//! run something there as well, and under TCG QEMU writes states in the middle of that
//! which it does not take back ("vCPU set in guest-mode inconsistent with migrated
//! kernel nested state", a check in target/i386/machine.c that is meant for KVM). So the
//! machine goes on for moments until it is found outside.

use crate::machine::QemuMachine;
use nestlab_backend::{BackendError, Machine};
use nestlab_model::Accelerator;
use std::path::Path;
use std::time::Duration;

/// The name of the part of a state in which QEMU keeps what the processor was in the
/// middle of (`vmstate_svm_guest` in target/i386/machine.c).
const IN_THE_MIDDLE: &[u8] = b"cpu/svm_guest";

/// How long the machine goes on between two looks. A guest's time slice on a busy
/// parent is not much longer.
const MOMENT: Duration = Duration::from_millis(3);

/// How often it is looked. About one look in five finds a busy parent inside.
const LOOKS: usize = 64;

/// Whether a state may be useless because of what it was saved in the middle of.
pub(crate) fn is_needed(machine: &QemuMachine) -> bool {
    let spec = machine.record().spec;
    spec.nested && spec.accelerator == Accelerator::Tcg
}

/// Saves the devices of a paused machine by `save`, again and again if need be, until
/// the file can be taken up. The machine is paused as it is in the file.
///
/// # Errors
/// `save` fails; or the machine was never found outside.
pub(crate) async fn until_outside<F>(
    machine: &QemuMachine,
    file: &Path,
    save: impl Fn() -> F,
) -> Result<(), BackendError>
where
    F: Future<Output = Result<(), BackendError>>,
{
    for _ in 0..LOOKS {
        save().await?;
        if !is_in_the_middle(file).await? {
            return Ok(());
        }
        remove(file).await?;
        machine.resume().await?;
        tokio::time::sleep(MOMENT).await;
        machine.pause().await?;
    }
    Err(BackendError::Restless)
}

async fn is_in_the_middle(state: &Path) -> Result<bool, BackendError> {
    let cannot = BackendError::io(format!("read {}", state.display()));
    let bytes = tokio::fs::read(state).await.map_err(cannot)?;
    Ok(holds(&bytes))
}

fn holds(state: &[u8]) -> bool {
    state
        .windows(IN_THE_MIDDLE.len())
        .any(|window| window == IN_THE_MIDDLE)
}

pub(crate) async fn remove(file: &Path) -> Result<(), BackendError> {
    let cannot = BackendError::io(format!("remove {}", file.display()));
    tokio::fs::remove_file(file).await.map_err(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_seen_by_its_name() {
        assert!(holds(b"..\x05\x0dcpu/svm_guest\0\0\0\x01.."));
        assert!(!holds(b"..cpu/svm_npt..cpu/svm_gues"));
        assert!(!holds(b""));
    }
}
