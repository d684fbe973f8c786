//! What was found, for people and for programs.

use super::Finding;
use crate::context::Context;
use crate::error::clean;
use crate::output;
use nestlab_model::NodePath;
use nestlab_model::doctor::{Verdict, first_broken_link, worst};
use serde_json::json;

/// What is unproved raises no alarm.
pub fn exit_code(findings: &[Finding]) -> u8 {
    match worst(findings.iter().map(|finding| &finding.check)) {
        Verdict::Broken => 2,
        Verdict::Degraded => 1,
        _ => 0,
    }
}

/// Says what is wrong first, then all, then what mends it.
pub fn tell(context: &Context, findings: &[Finding]) {
    let first = first_broken_link(findings, |finding| &finding.check);
    if context.global.json {
        let checks = findings.iter().map(|finding| {
            let mut value = json!(finding.check);
            value["path"] = json!(finding.path);
            value
        });
        return output::json(&json!({
            "first_broken_link": first.map(sentence),
            "checks": checks.collect::<Vec<_>>(),
        }));
    }
    output::data(&match first {
        Some(finding) => format!("{}\n\n", sentence(finding)),
        None => "All is well.\n\n".to_owned(),
    });
    let head = ["LEVEL", "CHECK", "VERDICT", "FOUND"].map(str::to_owned);
    let rows = findings.iter().map(|Finding { path, check }| {
        let word = check.verdict.word().to_owned();
        vec![
            level_name(path),
            check.id.clone(),
            word,
            check.found.clone(),
        ]
    });
    let rows: Vec<_> = std::iter::once(head.to_vec()).chain(rows).collect();
    output::data(&output::table(&rows));
    for Finding { path, check } in findings {
        if let (Verdict::Degraded | Verdict::Broken, Some(mend)) = (check.verdict, &check.mend) {
            let line = format!("{}, {}: {mend}", level_name(path), check.id);
            output::data(&format!("\n{}\n", clean(&line)));
        }
    }
}

/// One finding in one sentence.
pub fn sentence(Finding { path, check }: &Finding) -> String {
    let mut text = format!("{}, {}: {}", level_name(path), check.id, check.found);
    if !check.means.is_empty() {
        text.push_str(&format!("; {}", check.means));
    }
    clean(&text) + "."
}

pub fn level_name(path: &NodePath) -> String {
    match path.is_host() {
        true => "this machine".to_owned(),
        false => path.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nestlab_model::doctor::Check;

    #[test]
    fn the_worst_decides_the_exit_code() {
        let findings = |verdicts: &[Verdict]| {
            let check = |verdict: &Verdict| Check::new("", "").found(*verdict, "");
            super::super::at(&NodePath::host(), verdicts.iter().map(check).collect())
        };
        assert_eq!(exit_code(&findings(&[])), 0);
        assert_eq!(exit_code(&findings(&[Verdict::Ok, Verdict::Unproved])), 0);
        assert_eq!(exit_code(&findings(&[Verdict::Degraded, Verdict::Ok])), 1);
        assert_eq!(
            exit_code(&findings(&[Verdict::Degraded, Verdict::Broken])),
            2
        );
    }
}
