//! Finds what a lab may have left running, even when its records are lost:
//! every process carries the lab's id in its arguments.

use crate::supervisor;
use nestlab_sys::proc;

/// Programs that a lab starts on this machine.
const PROGRAMS: [&str; 6] = [
    "nestlab",
    "qemu-system-",
    "slirp4netns",
    "passt",
    "pasta",
    "ld-linux",
];

/// Ends every process of the lab that is still there; returns how many.
pub async fn sweep(lab_id: &str) -> usize {
    let found = proc::find(|argv| is_of_lab(argv, lab_id));
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
    ours && !verb && arguments.iter().any(|argument| argument.contains(lab_id))
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
        check("vi /labs/1a2b3c4d/lab.json", false);
    }
}
