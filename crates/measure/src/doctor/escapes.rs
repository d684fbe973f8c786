//! Known ways out of a guest that may have guests of its own.
//!
//! The fixed versions are those of the kernel's own stable series. A vendor
//! fixes without changing that number, so only the vendor knows.

use nestlab_model::doctor::{Check, Verdict};

/// The stable series in which CVE-2026-46113 and CVE-2026-53359 are fixed.
const SHADOW_PAGING: [(u32, u32, u32); 7] = [
    (5, 10, 260),
    (5, 15, 211),
    (6, 1, 177),
    (6, 6, 144),
    (6, 12, 95),
    (6, 18, 38),
    (7, 1, 3),
];

/// The stable series in which CVE-2026-64561 is fixed.
const ZAPSCAPE: [(u32, u32, u32); 1] = [(7, 1, 6)];

/// Judges a kernel by its release, such as `6.1.170`, as `uname -r` prints it.
pub fn checks(release: &str) -> Vec<Check> {
    [
        ("escapes.CVE-2026-46113", &SHADOW_PAGING[..]),
        ("escapes.CVE-2026-53359", &SHADOW_PAGING[..]),
        ("escapes.CVE-2026-64561", &ZAPSCAPE[..]),
    ]
    .map(|(id, fixes)| judge(id, release, fixes))
    .into()
}

fn judge(id: &str, release: &str, fixes: &[(u32, u32, u32)]) -> Check {
    let unknown = |why: &str| {
        Check::new(id, "compared the kernel with those that carry the fix")
            .found(Verdict::Unproved, format!("Linux {release}: {why}"))
            .mend("Ask the vendor of your kernel whether it is fixed")
    };
    let Some((major, minor, patch)) = upstream(release) else {
        return unknown("a vendor's kernel, whose number does not tell");
    };
    match fixes.iter().find(|fix| (fix.0, fix.1) == (major, minor)) {
        Some(fix) if patch >= fix.2 => {
            Check::new(id, "compared the kernel with those that carry the fix")
                .found(Verdict::Ok, format!("fixed in Linux {release}"))
        }
        Some(fix) => Check::new(id, "compared the kernel with those that carry the fix")
            .found(Verdict::Degraded, format!("not fixed in Linux {release}"))
            .means("who is root in a machine that may nest can get out of it")
            .mend(format!(
                "Update to Linux {major}.{minor}.{} or later; where no guest needs guests of its own, take nesting from it: the module option `nested=0`, no `nested: true`",
                fix.2
            )),
        None => unknown("no fix is known for this series"),
    }
}

/// The three numbers of a release that carries nothing else.
fn upstream(release: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = release.split('.').map(|part| part.parse().ok());
    let version = (numbers.next()??, numbers.next()??, numbers.next()??);
    numbers.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Degraded, Ok, Unproved};

    #[test]
    fn a_kernel_is_judged_within_its_own_series() {
        let cases = [
            ("6.1.176", [Degraded, Degraded, Unproved]),
            ("6.1.177", [Ok, Ok, Unproved]),
            ("7.1.2", [Degraded, Degraded, Degraded]),
            ("7.1.5", [Ok, Ok, Degraded]),
            ("7.1.6", [Ok, Ok, Ok]),
            ("6.1.0-28-amd64", [Unproved; 3]),
            ("", [Unproved; 3]),
        ];
        for (release, expected) in cases {
            let found: Vec<_> = checks(release).iter().map(|check| check.verdict).collect();
            assert_eq!(found, expected, "{release}");
        }
    }
}
