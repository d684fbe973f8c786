//! The folder of templates, which all labs of a user share.
//!
//! ```text
//! KEY/template.json       what the machine was; its time is that of the last use
//! KEY/machine.state       devices
//! KEY/machine.memory      memory
//! KEY/DISK.qcow2          what had been written to disks
//! KEY/unfit               no template can be made of this shape
//! .KEY.part/              one that is being made
//! .KEY.lock               held by whoever makes it
//! ```

use super::Templates;
use crate::{Fault, record};
use nestlab_backend::MachineSpec;
use nestlab_sys::lock::FileLock;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const RECORD: &str = "template.json";
const UNFIT: &str = "unfit";

/// `template.json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Template {
    /// The machine that it was made of.
    pub spec: MachineSpec,
    /// The boot of this level in which it was made, until all of it is on disk: it
    /// is of no use in the next one before.
    volatile_in: Option<String>,
}

/// What there is of a shape.
pub(super) enum Found {
    /// A template.
    Template(Box<Template>),
    /// Nothing yet.
    Nothing,
    /// No template can be made.
    Unfit,
}

/// The folder.
#[derive(Clone)]
pub(super) struct Shelf(Templates);

impl Shelf {
    pub fn new(templates: &Templates) -> Self {
        Self(templates.clone())
    }

    /// Where a template is.
    pub fn folder(&self, key: &str) -> PathBuf {
        self.0.folder.join(key)
    }

    /// Looks for a template, and notes that it is of use.
    pub fn find(&self, key: &str) -> Result<Found, Fault> {
        let folder = self.folder(key);
        if folder.join(UNFIT).exists() {
            return Ok(Found::Unfit);
        }
        let path = folder.join(RECORD);
        let Some(template) = record::read::<Template>(&path)? else {
            return Ok(Found::Nothing);
        };
        if template.volatile_in.is_some() && template.volatile_in != boot_id() {
            self.remove(key);
            return Ok(Found::Nothing);
        }
        // What cannot be noted is removed earlier than it should.
        let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Ok(Found::Template(Box::new(template)))
    }

    /// Makes us the one who makes a template; `None` if another does.
    pub fn begin(&self, key: &str) -> Result<Option<Making>, Fault> {
        nestlab_sys::dir::make_private(&self.0.folder).map_err(Fault::io(format!(
            "Cannot make {}",
            self.0.folder.display()
        )))?;
        let path = self.lock(key);
        let lock = FileLock::try_acquire(&path)
            .map_err(Fault::io(format!("Cannot lock {}", path.display())))?;
        Ok(lock.map(|lock| Making {
            shelf: self.clone(),
            key: key.to_owned(),
            part: self.0.folder.join(format!(".{key}.part")),
            lock: Some(lock),
        }))
    }

    /// Waits until nobody makes it, but not for ever.
    pub async fn wait(&self, key: &str, patience: Duration) {
        let _ = tokio::time::timeout(patience, FileLock::acquire(&self.lock(key))).await;
    }

    /// Forgets a template. Its clones have their own names for its files.
    pub fn remove(&self, key: &str) {
        let _ = std::fs::remove_dir_all(self.folder(key));
    }

    fn lock(&self, key: &str) -> PathBuf {
        self.0.folder.join(format!(".{key}.lock"))
    }

    /// Removes those that were not of use for the longest time, until the others
    /// fit into the budget.
    fn make_room(&self, but: &str) {
        let entries = std::fs::read_dir(&self.0.folder);
        let names = entries.into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        let mut others: Vec<(SystemTime, u64, String)> = names
            .filter(|name| !name.starts_with('.') && name != but)
            .map(|name| (self.last_use(&name), stored(&self.folder(&name)), name))
            .collect();
        others.sort();
        let mut total: u64 = others.iter().map(|(_, bytes, _)| bytes).sum();
        total += stored(&self.folder(but));
        for (_, bytes, name) in others {
            if total <= self.0.budget {
                return;
            }
            tracing::info!(name, bytes, "a template makes room");
            self.remove(&name);
            total -= bytes;
        }
    }

    fn last_use(&self, key: &str) -> SystemTime {
        let record = std::fs::metadata(self.folder(key).join(RECORD));
        record
            .and_then(|record| record.modified())
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// A template that is being made. Dropped, it leaves nothing.
pub(crate) struct Making {
    shelf: Shelf,
    key: String,
    part: PathBuf,
    /// `None` once others may use it.
    lock: Option<FileLock>,
}

impl Making {
    /// The folder to fill.
    pub fn part(&self) -> Result<&Path, Fault> {
        // Left by somebody who was killed in the middle.
        let _ = std::fs::remove_dir_all(&self.part);
        nestlab_sys::dir::make_private(&self.part)
            .map_err(Fault::io(format!("Cannot make {}", self.part.display())))?;
        Ok(&self.part)
    }

    /// Writes down what machine it is of, as the last thing.
    pub fn describe(&self, spec: MachineSpec) -> Result<(), Fault> {
        let template = Template {
            spec,
            volatile_in: boot_id(),
        };
        record::write(&self.part.join(RECORD), &template)
    }

    /// Says that none can be made of this shape.
    pub fn give_up(self) {
        let folder = self.shelf.folder(&self.key);
        let _ = nestlab_sys::dir::make_private(&folder)
            .and_then(|()| File::create(folder.join(UNFIT)).map(drop));
    }

    /// Lets others use what was filled, and sees to it in the background that it
    /// outlives a loss of power.
    pub fn finish(mut self) {
        let folder = self.shelf.folder(&self.key);
        self.shelf.remove(&self.key);
        if let Err(error) = std::fs::rename(&self.part, &folder) {
            tracing::warn!(%error, "a template cannot be put in its place");
            return;
        }
        self.lock.take();
        let (shelf, key) = (self.shelf.clone(), self.key.clone());
        tokio::task::spawn_blocking(move || {
            shelf.make_room(&key);
            if let Err(error) = make_durable(&folder) {
                tracing::warn!(%error, "a template will not outlive this boot");
            }
        });
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.part);
    }
}

/// Brings all of a template to disk, and says so in its record.
fn make_durable(folder: &Path) -> Result<(), Fault> {
    let cannot = || Fault::io(format!("Cannot bring {} to disk", folder.display()));
    for entry in std::fs::read_dir(folder).map_err(cannot())?.flatten() {
        let file = File::open(entry.path()).map_err(cannot())?;
        file.sync_all().map_err(cannot())?;
    }
    let path = folder.join(RECORD);
    if let Some(template) = record::read::<Template>(&path)? {
        let durable = Template {
            volatile_in: None,
            ..template
        };
        record::write(&path, &durable)?;
    }
    Ok(())
}

/// What a folder's files take on disk, in bytes.
fn stored(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| entry.metadata().ok());
    files.map(|file| file.blocks() * 512).sum()
}

/// The kernel's random id of this boot.
fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nestlab_model::{Accelerator, ByteSize, NodePath};

    fn spec() -> MachineSpec {
        MachineSpec {
            lab_id: "0".into(),
            path: NodePath::host(),
            run_dir: "/run".into(),
            cpus: 1,
            memory: ByteSize::mib(1),
            accelerator: Accelerator::Tcg,
            nested: false,
            balloon: false,
            boot: nestlab_backend::Start::Kernel(nestlab_backend::BootSpec {
                kernel: "/k".into(),
                initrd: "/i".into(),
                cmdline: String::new(),
            }),
            disks: Vec::new(),
            nics: Vec::new(),
            memory_file: None,
        }
    }

    fn make(shelf: &Shelf, key: &str, bytes: usize) {
        let making = shelf.begin(key).unwrap().expect("nobody else makes it");
        assert!(shelf.begin(key).unwrap().is_none(), "we do");
        let part = making.part().unwrap();
        std::fs::write(part.join("machine.memory"), vec![1; bytes]).unwrap();
        making.describe(spec()).unwrap();
        making.finish();
    }

    fn has(shelf: &Shelf, key: &str) -> bool {
        matches!(shelf.find(key).unwrap(), Found::Template(_))
    }

    #[tokio::test]
    async fn the_least_used_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(&Templates {
            folder: folder.path().join("templates"),
            budget: 300 << 10,
        });
        assert!(matches!(shelf.find("a").unwrap(), Found::Nothing));
        for key in ["a", "b"] {
            make(&shelf, key, 100 << 10);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(has(&shelf, "a"), "it is of use again");
        make(&shelf, "c", 150 << 10);
        let gone = || !shelf.folder("b").exists();
        let start = std::time::Instant::now();
        while !gone() && start.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(gone(), "the least used");
        assert!(has(&shelf, "a"));
        drop(shelf.begin("d").unwrap());
        assert!(!folder.path().join("templates/.d.part").exists());
        assert!(has(&shelf, "c"));
    }

    #[test]
    fn what_is_not_on_disk_is_of_this_boot() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(&Templates {
            folder: folder.path().to_owned(),
            budget: 0,
        });
        std::fs::create_dir(shelf.folder("a")).unwrap();
        let earlier = Template {
            spec: spec(),
            volatile_in: Some("another boot".into()),
        };
        record::write(&shelf.folder("a").join(RECORD), &earlier).unwrap();
        assert!(matches!(shelf.find("a").unwrap(), Found::Nothing));
        assert!(!shelf.folder("a").exists());
        shelf.begin("b").unwrap().unwrap().give_up();
        assert!(matches!(shelf.find("b").unwrap(), Found::Unfit));
    }
}
