//! What a doctor finds at this level.

use crate::guest::Guest;
use axum::Json;
use axum::extract::{Query, State};
use nestlab_api::message::Examination;
use nestlab_backend::{Backend, BootSpec, Support};
use nestlab_backend_qemu::Qemu;
pub use nestlab_engine::Proofs;
use nestlab_image::Store;
use nestlab_measure::doctor;
use nestlab_model::Accelerator;
use nestlab_model::doctor::{Check, Verdict};
use serde::Deserialize;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Whether stock kernels are booted to find out what works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boots {
    /// No.
    None,
    /// Unless it was done already with this kernel and these programs, since this boot.
    Once,
    /// In any case.
    Again,
}

/// What the machine offers that labs stand on. Booting stock kernels takes seconds under
/// TCG.
pub async fn host(state_dir: &Path, store_dir: &Path, boots: Boots) -> Vec<Check> {
    let folder = state_dir.to_owned();
    let mut checks = blocking(move || doctor::host(&folder)).await;
    if boots != Boots::None {
        checks.extend(booted(store_dir, boots).await);
    }
    checks
}

/// By which it is known what was proved on this machine: another text for another boot,
/// kernel or QEMU.
pub fn machine_key() -> String {
    qemu().probe_key()
}

fn qemu() -> Qemu {
    Qemu::new(vec!["qemu-system-x86_64".into()])
}

/// A stock kernel is booted under every accelerator.
async fn booted(store_dir: &Path, boots: Boots) -> Vec<Check> {
    let unproved = |found: &str, mend: &str| {
        let check = Check::new("boot", "looked for a kernel in the image store");
        vec![check.found(Verdict::Unproved, found).mend(mend)]
    };
    let Ok(store) = Store::open(store_dir.to_owned()) else {
        return unproved("there is no store", "`nestlab up` of any lab makes it");
    };
    let Some(kit) = store.any_kit() else {
        return unproved("there is none yet", "`nestlab up` of any lab fetches one");
    };
    let qemu = qemu();
    let proofs = Proofs::in_file(store.proved_file());
    let known = proofs.support(&qemu).filter(|_| boots == Boots::Once);
    if let Some(support) = known {
        return judge(
            &support,
            "booted a stock kernel under",
            " (since this machine started)",
        );
    }
    let boot = BootSpec {
        kernel: kit.kernel,
        initrd: kit.initramfs,
        cmdline: String::new(),
    };
    let support = qemu.probe(&boot, None).await;
    // It is only not asked again; what does not work may be mended the next minute.
    if support.best().is_some()
        && let Err(error) = proofs.keep_support(&qemu, &support)
    {
        tracing::warn!(%error, "cannot keep what was proved");
    }
    judge(&support, "booted a stock kernel under", "")
}

fn judge(support: &Support, tried: &str, when: &str) -> Vec<Check> {
    let another = support.best().is_some();
    let checks = support.accelerators.iter().map(|finding| {
        let accelerator = finding.accelerator;
        let id = format!("boot.{}", accelerator.to_string().to_lowercase());
        let check = Check::new(id, format!("{tried} {accelerator}{when}"));
        if finding.works {
            return check.found(Verdict::Ok, finding.reason.clone());
        }
        let (verdict, means) = match (accelerator, another) {
            (Accelerator::Kvm, true) => (Verdict::Degraded, "machines run under TCG, slower"),
            _ => (Verdict::Broken, "no machine runs"),
        };
        let check = check.found(verdict, finding.reason.clone()).means(means);
        match &finding.hint {
            Some(hint) => check.mend(hint.clone()),
            None => check,
        }
    });
    checks.collect()
}

/// What is wanted of a node.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    /// Whether machines are meant to stand inside it.
    #[serde(default)]
    nests: bool,
    /// A place that it tries to connect to, as `host:port`.
    reach: Option<String>,
}

/// `GET /v1/doctor`
pub(crate) async fn node(
    State(guest): State<Guest>,
    Query(wanted): Query<Wanted>,
) -> Json<Examination> {
    let identity = guest.identity();
    let checks = blocking(move || {
        let mut checks = doctor::node(identity.as_ref(), wanted.nests);
        checks.extend(wanted.reach.as_deref().map(doctor::network::reach));
        checks
    })
    .await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Json(Examination {
        checks,
        unix_seconds: now.unwrap_or_default().as_secs_f64(),
    })
}

async fn blocking(work: impl FnOnce() -> Vec<Check> + Send + 'static) -> Vec<Check> {
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nestlab_backend::Finding;

    #[test]
    fn no_kvm_is_slow_and_nothing_at_all_is_broken() {
        let finding = |accelerator, works| Finding {
            accelerator,
            works,
            reason: String::new(),
            hint: None,
        };
        let verdicts = |kvm, tcg| {
            let support = Support {
                version: None,
                accelerators: vec![
                    finding(Accelerator::Kvm, kvm),
                    finding(Accelerator::Tcg, tcg),
                ],
            };
            let checks = judge(&support, "", "");
            [checks[0].verdict, checks[1].verdict]
        };
        assert_eq!(verdicts(true, true), [Verdict::Ok, Verdict::Ok]);
        assert_eq!(verdicts(false, true), [Verdict::Degraded, Verdict::Ok]);
        assert_eq!(verdicts(false, false), [Verdict::Broken, Verdict::Broken]);
    }
}
