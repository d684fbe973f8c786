//! What a doctor finds at this level.

use crate::guest::Guest;
use axum::Json;
use axum::extract::{Query, State};
use nestlab_api::message::Examination;
use nestlab_backend::{Backend, BootSpec, Support};
use nestlab_backend_qemu::Qemu;
use nestlab_image::Store;
use nestlab_measure::doctor;
use nestlab_model::Accelerator;
use nestlab_model::doctor::{Check, Verdict};
use serde::Deserialize;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the machine offers that labs stand on. With `boot` a stock kernel is booted
/// under every accelerator, which takes seconds under TCG.
pub async fn host(state_dir: &Path, store_dir: &Path, boot: bool) -> Vec<Check> {
    let folder = state_dir.to_owned();
    let mut checks = blocking(move || doctor::host(&folder)).await;
    if boot {
        checks.extend(boots(store_dir).await);
    }
    checks
}

/// A stock kernel is booted, and has one booted itself.
async fn boots(store_dir: &Path) -> Vec<Check> {
    let store = Store::open(store_dir.to_owned()).ok();
    let Some(kit) = store.and_then(|store| store.any_kit()) else {
        return vec![
            Check::new("boot", "looked for a kernel in the image store")
                .found(Verdict::Unproved, "there is none yet")
                .mend("`nestlab up` of any lab fetches one"),
        ];
    };
    let boot = BootSpec {
        kernel: kit.kernel,
        initrd: kit.initramfs,
        cmdline: String::new(),
    };
    let qemu = Qemu::new(vec!["qemu-system-x86_64".into()]);
    judge(&qemu.probe(&boot).await)
}

fn judge(support: &Support) -> Vec<Check> {
    let another = support.best().is_some();
    let checks = support.accelerators.iter().map(|finding| {
        let accelerator = finding.accelerator;
        let id = format!("boot.{}", accelerator.to_string().to_lowercase());
        let check = Check::new(id, format!("booted a stock kernel under {accelerator}"));
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
}

/// `GET /v1/doctor`
pub(crate) async fn node(
    State(guest): State<Guest>,
    Query(wanted): Query<Wanted>,
) -> Json<Examination> {
    let identity = guest.identity();
    let checks = blocking(move || doctor::node(identity.as_ref(), wanted.nests)).await;
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
            let checks = judge(&support);
            [checks[0].verdict, checks[1].verdict]
        };
        assert_eq!(verdicts(true, true), [Verdict::Ok, Verdict::Ok]);
        assert_eq!(verdicts(false, true), [Verdict::Degraded, Verdict::Ok]);
        assert_eq!(verdicts(false, false), [Verdict::Broken, Verdict::Broken]);
    }
}
