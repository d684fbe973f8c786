//! What labs left behind whose records are gone: they crashed in the middle, or somebody
//! removed their folder by hand.

use crate::context::Context;
use crate::error::{Code, Error};
use crate::output;
use crate::place::Dirs;
use crate::sweep;
use crate::terminal::agrees;
use nestlab_model::doctor::{Check, Verdict};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// What is left of one lab.
#[derive(Debug, PartialEq, Eq)]
struct Orphan {
    /// The lab's id.
    id: String,
    folders: Vec<PathBuf>,
    /// Process ids.
    processes: Vec<u32>,
}

pub fn check(dirs: &Dirs) -> Check {
    let check = Check::new(
        "leftovers",
        "looked for what belongs to no lab that is known",
    );
    match find(dirs).as_slice() {
        [] => check.found(Verdict::Ok, "nothing is left over"),
        found => check
            .found(Verdict::Degraded, format!("of {} labs", found.len()))
            .means("memory and room are taken by what nobody can use")
            .mend("`nestlab doctor --orphans` shows and removes it"),
    }
}

/// Shows what is left over, and removes it if that is agreed to.
pub async fn remove(context: &Context, dirs: &Dirs, yes: bool) -> Result<u8, Error> {
    let found = find(dirs);
    tell(context, &found);
    if found.is_empty() {
        return Ok(0);
    }
    if !yes && !std::io::stdin().is_terminal() {
        return Err(
            Error::new(Code::Failed, "Nothing was removed: there is nobody to ask")
                .hint("`nestlab doctor --orphans --yes` removes it"),
        );
    }
    if !yes && !agrees("Remove all of this, with whatever disks it holds?")? {
        return Err(Error::new(Code::Interrupted, "Nothing was removed"));
    }
    let _alone = dirs.lock_records()?;
    for orphan in &found {
        sweep::sweep(&orphan.id).await;
        for folder in &orphan.folders {
            let cannot =
                |error| Error::caused(format!("Cannot remove {}", folder.display()), &error);
            nestlab_sys::dir::remove(folder).map_err(cannot)?;
        }
    }
    context.say("It is gone");
    Ok(0)
}

fn tell(context: &Context, found: &[Orphan]) {
    if context.global.json {
        let orphans = found.iter().map(|orphan| {
            json!({ "id": orphan.id, "folders": orphan.folders, "processes": orphan.processes })
        });
        return output::json(&json!({ "orphans": orphans.collect::<Vec<_>>() }));
    }
    if found.is_empty() {
        return context.say("Nothing is left over");
    }
    for Orphan {
        id,
        folders,
        processes,
    } in found
    {
        let folders = folders.iter().map(|folder| folder.display().to_string());
        let processes = processes.iter().map(|pid| format!("process {pid}"));
        let all: Vec<_> = folders.chain(processes).collect();
        output::data(&format!("lab {id}: {}\n", all.join(", ")));
    }
}

/// What has the id of no lab that is known here. Sockets and memory are in places that
/// several of a user's state folders share (another XDG_STATE_HOME): those of labs that
/// another one knows are not ours to judge, nor are those of processes that nothing binds
/// to our own.
fn find(dirs: &Dirs) -> Vec<Orphan> {
    // Whoever makes a lab holds it: a folder without a record is not half-made then.
    let _alone = dirs.state.exists().then(|| dirs.lock_records());
    let known: BTreeSet<String> = dirs.records().into_iter().map(|lab| lab.id).collect();
    let places = [
        dirs.state.join("labs"),
        dirs.runtime.clone(),
        dirs.memory.clone(),
    ];
    let mut ids: BTreeSet<String> = places.iter().flat_map(|place| ids_in(place)).collect();
    ids.extend(sweep::ids_below(&places[0]));
    let unknown = ids.into_iter().filter(|id| !known.contains(id));
    let orphan = |id: String| {
        let of_it = places.iter().map(|place| place.join(&id));
        let folders: Vec<_> = of_it.filter(|folder| folder.exists()).collect();
        if folders.iter().any(|folder| dirs.is_of_others(folder)) {
            return None;
        }
        let processes = sweep::processes(&id);
        let ours = processes.is_empty()
            || folders.iter().any(|folder| folder.starts_with(&places[0]))
            || sweep::ids_below(&places[0]).contains(&id);
        ours.then_some(Orphan {
            id,
            folders,
            processes: processes.iter().map(|process| process.pid).collect(),
        })
    };
    unknown.filter_map(orphan).collect()
}

/// Names in a folder that are ids of labs.
fn ids_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| sweep::is_id(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_without_a_record_are_left_over() {
        let world = tempfile::tempdir().unwrap();
        let dirs = Dirs {
            state: world.path().join("state"),
            store: world.path().join("store"),
            runtime: world.path().join("run"),
            memory: world.path().join("memory"),
            template_budget: nestlab_model::ByteSize::gib(0),
            container_engine: None,
        };
        assert_eq!(find(&dirs), []);
        let half = dirs.lab_state("0badcafe");
        let socket = dirs.lab_runtime("0badcafe");
        std::fs::create_dir_all(&half).unwrap();
        std::fs::create_dir_all(&socket).unwrap();
        std::fs::create_dir_all(dirs.memory.join("not-an-id")).unwrap();
        let found = find(&dirs);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].folders, [half, socket]);
        assert_eq!(check(&dirs).verdict, Verdict::Degraded);
    }

    #[test]
    fn what_another_state_folder_knows_is_left_alone() {
        let world = tempfile::tempdir().unwrap();
        let dirs = |name: &str| Dirs {
            state: world.path().join(name),
            store: world.path().join("store"),
            runtime: world.path().join("run"),
            memory: world.path().join("memory"),
            template_budget: nestlab_model::ByteSize::gib(0),
            container_engine: None,
        };
        let (ours, theirs) = (dirs("ours"), dirs("theirs"));
        std::fs::create_dir_all(theirs.lab_state("0badcafe")).unwrap();
        theirs.claim("0badcafe").unwrap();
        theirs.claim("0badcafe").unwrap();
        assert_eq!(find(&ours), []);
        std::fs::remove_dir_all(&theirs.state).unwrap();
        let folders = [ours.lab_runtime("0badcafe"), ours.lab_memory("0badcafe")];
        assert_eq!(find(&ours)[0].folders, folders);
    }
}
