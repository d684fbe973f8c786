//! Machines in machines, for the sake of finding out how deep it goes here.

use super::{Finding, at, levels};
use crate::commands::scratch::{ScratchLab, chain};
use crate::context::Context;
use crate::error::{Code, Error};
use crate::supervisor;
use nestlab_model::NodePath;
use nestlab_model::doctor::{Check, Verdict};

/// Brings so many levels up, looks into each, and removes them.
pub async fn examine(context: &Context, depth: u8) -> Result<Vec<Finding>, Error> {
    context.say(&format!(
        "Bringing up {depth} machines, each in the one before"
    ));
    let lab = ScratchLab::new(&context.dirs()?, "doctor", &chain(depth.into()))?;
    let looked = lab.during(context, async |lab| {
        let client = supervisor::ensure_running(&lab, lab.known()?).await?;
        levels::examine(&client, &[], None).await
    });
    let check = Check::new(
        "chain",
        format!("brought up {depth} machines, each in the one before"),
    );
    match looked.await {
        Ok(mut findings) => {
            let all = check.found(Verdict::Ok, "all of them answer");
            findings.extend(at(&NodePath::host(), vec![all]));
            Ok(findings)
        }
        Err(error) if error.exit() == Code::Interrupted as u8 => Err(error),
        Err(error) => {
            let text = error.render("", "");
            let words = text.trim_start_matches([':', ' ']).trim_end().to_owned();
            let broken = check
                .found(Verdict::Broken, words)
                .means("labs as deep as that do not come up")
                .mend("The checks above name what is missing; what was written above tells how far it came");
            Ok(at(&NodePath::host(), vec![broken]))
        }
    }
}
