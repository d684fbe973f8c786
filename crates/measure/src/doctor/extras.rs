//! What labs do without, and what somebody who sets a machine up wants to know of it
//! all the same.

use super::facilities::{run, text};
use nestlab_model::doctor::{Check, Verdict};
use std::fs::File;

pub(super) fn checks() -> Vec<Check> {
    vec![
        in_a_namespace(
            "kernel.netem",
            "tc qdisc add dev lo root netem delay 1ms",
            "links cannot be given delay or loss",
        ),
        device("kernel.vhost-net", "/dev/vhost-net"),
        device("kernel.vhost-vsock", "/dev/vhost-vsock"),
        huge_pages(),
        same_pages(),
    ]
}

/// Whether what changes networks works in a namespace of an ordinary user.
pub(super) fn nftables() -> Check {
    let id = "kernel.nftables";
    let check = in_a_namespace(
        id,
        "nft add table inet probe",
        "networks with a way out do not come up",
    );
    match check.verdict {
        Verdict::NotApplicable => Check {
            verdict: Verdict::Degraded,
            ..check
        }
        .mend("`sudo modprobe nf_tables`, `sudo apt install nftables`"),
        _ => check,
    }
}

fn in_a_namespace(id: &str, line: &str, means: &str) -> Check {
    let check = Check::new(id, format!("`{line}` in a namespace of its own"));
    let words = ["--user", "--map-root-user", "--net"];
    let line: Vec<&str> = words.into_iter().chain(line.split(' ')).collect();
    match run("unshare", &line) {
        Ok(_) => check.found(Verdict::Ok, "it works"),
        Err(why) => check.found(Verdict::NotApplicable, why).means(means),
    }
}

fn device(id: &str, path: &str) -> Check {
    let check = Check::new(id, format!("opened {path}"));
    match File::options().read(true).write(true).open(path) {
        Ok(_) => check.found(Verdict::Ok, "it opens"),
        Err(error) => check.found(
            Verdict::NotApplicable,
            format!("{error}; nothing here uses it"),
        ),
    }
}

fn huge_pages() -> Check {
    let check = Check::new("kernel.huge-pages", "read how the kernel gives them out");
    match chosen(&text("/sys/kernel/mm/transparent_hugepage/enabled")) {
        Some("never") => check
            .found(Verdict::NotApplicable, "never, unless reserved")
            .means("memory of machines in machines is slower")
            .mend("`echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled`"),
        Some(word) => check.found(Verdict::Ok, format!("given: {word}")),
        None => check.found(Verdict::NotApplicable, "the kernel has none"),
    }
}

/// The word in brackets, as files in /sys have it.
fn chosen(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0)
}

/// Pages that are the same in several machines may be kept once; who shares a page can
/// tell by its speed that somebody else has it.
fn same_pages() -> Check {
    let check = Check::new("kernel.same-pages", "read /sys/kernel/mm/ksm/run");
    match text("/sys/kernel/mm/ksm/run").as_str() {
        "1" => check.found(Verdict::Ok, "merged (KSM runs)"),
        "0" => check.found(Verdict::Ok, "not merged (KSM is off)"),
        _ => check.found(Verdict::NotApplicable, "the kernel has no KSM"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_word_is_the_one_in_brackets() {
        assert_eq!(chosen("always [madvise] never"), Some("madvise"));
        assert_eq!(chosen(""), None);
    }

    #[test]
    fn what_labs_do_without_raises_no_alarm() {
        for check in checks() {
            assert!(check.verdict <= Verdict::Ok, "{check:?}");
        }
    }
}
