//! Finds what a lab may have left running, even when its records are lost:
//! every process carries the lab's id in its arguments.

use crate::supervisor;
use nestlab_sys::proc;
use nestlab_sys::process::ProcessId;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

/// Programs that a lab starts on this machine.
const PROGRAMS: [&str; 6] = [
    "nestlab",
    "qemu-system-",
    "slirp4netns",
    "passt",
    "pasta",
    "ld-linux",
];

/// Digits of a lab's id.
const ID: usize = 8;

/// Whether a name can be the id of a lab.
pub fn is_id(name: &str) -> bool {
    name.len() == ID
        && name
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Every process of the lab that is still there.
pub fn processes(lab_id: &str) -> Vec<ProcessId> {
    proc::find(|argv| is_of_lab(argv, lab_id))
}

/// The ids of labs below a folder that processes of labs have in their arguments.
pub fn ids_below(folder: &Path) -> BTreeSet<String> {
    let folder = format!("{}/", folder.display());
    let ids = RefCell::new(BTreeSet::new());
    proc::find(|argv| {
        let named = argv
            .iter()
            .flat_map(|argument| argument.split(&folder).skip(1));
        let of_labs = named
            .filter_map(|rest| rest.get(..ID))
            .filter(|id| is_id(id));
        let of_labs = of_labs.filter(|id| is_of_lab(argv, id));
        ids.borrow_mut().extend(of_labs.map(str::to_owned));
        false
    });
    ids.into_inner()
}

/// Ends every process of the lab that is still there; returns how many.
pub async fn sweep(lab_id: &str) -> usize {
    let found = processes(lab_id);
    for process in &found {
        supervisor::stop(Some(*process)).await;
    }
    found.len()
}

fn is_of_lab(argv: &[String], lab_id: &str) -> bool {
    let Some((program, arguments)) = argv.split_first() else {
        return false;
    };
    let program = program.rsplit('/').next().unwrap_or_default();
    let ours = PROGRAMS.iter().any(|name| program.starts_with(name));
    // A verb that names the lab, such as this one's twin, is not part of it.
    let role = arguments
        .first()
        .is_some_and(|first| first.starts_with("__"));
    let verb = program.starts_with("nestlab") && !role;
    // A gateway has the id in its own name.
    ours && !verb && argv.iter().any(|word| word.contains(lab_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_labs_own_programs_are_its_own() {
        let check = |line: &str, expected: bool| {
            let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(is_of_lab(&argv, "1a2b3c4d"), expected, "{line}");
        };
        check("/x/nestlab __keeper 1a2b3c4d", true);
        check("/x/nestlab __keeper 99999999", false);
        check("/x/nestlab -l 1a2b3c4d destroy", false);
        check("qemu-system-x86_64 -name 1a2b3c4d/l1", true);
        check("slirp4netns-nestlab-1a2b3c4d --configure uplink0", true);
        check("slirp4netns-nestlab-99999999 --configure uplink0", false);
        check("vi /labs/1a2b3c4d/lab.json", false);
    }
}
