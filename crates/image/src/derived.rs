//! Images made over others: their files, a recipe's files, then its commands.
//!
//! The other image may be anybody's, and its links may lead anywhere. So files are put into
//! it as the layers of containers' images are, below a root that nothing leads out of, and
//! commands, which the image's own shell runs, are shut into that root (`nestlab_sys::confine`).

use crate::builder::{Progress, Streams, Work, program};
use crate::{Image, ImageError, Store, oci, recipe};
use nestlab_model::{ByteSize, Derived, Digest};
use nestlab_sys::{confine, users};
use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The hidden command that runs a line in the root that its first argument is.
pub const ROLE: &str = "__within";

/// Raised when the same is built differently.
const BUILDER: &str = "nestlab-derived-1";

/// Runs in namespaces of its own; they and all that is mounted are gone with it. The arguments
/// are this program, the root, the disk that is to be made of it, its size, and then the commands.
/// What is mounted in the root is not reached by a link, as that would lead out of it.
const SCRIPT: &str = r#"set -e
program=$1 root=$2 disk=$3 size=$4
shift 4
mount --make-rprivate /
# What belongs to others than its user can be removed by nobody but root of these namespaces.
clear() { umount -R "$root/dev" 2>/dev/null || true; find "$root" -xdev -mindepth 1 -delete; }
trap clear EXIT
inside() { "$program" __within "$root" "$1"; }
kept=/etc/.resolv.conf.nestlab
names=/etc/resolv.conf
[ -r $names ] || names=/dev/null
if [ $# -gt 0 ]; then
  for place in proc dev; do
    [ ! -L "$root/$place" ] || { echo "/$place of the image is a link" >&2; exit 1; }
    mkdir -p "$root/$place"
  done
  mount -t tmpfs -o mode=755 dev "$root/dev"
  for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  inside "mkdir -p /etc; mv /etc/resolv.conf $kept 2>/dev/null || true; cat >/etc/resolv.conf" <$names
  for line; do inside "$line" </dev/null; done
  inside "rm -f /etc/resolv.conf; mv $kept /etc/resolv.conf 2>/dev/null || true"
  umount -R "$root/dev"
fi
mke2fs -q -F -t ext4 -b 4096 -J size=16 -m 1 -E root_owner=0:0,lazy_itable_init=1 -d "$root" "$disk" "$size""#;

/// Names the image: by what it is made from.
pub(crate) fn digest(derived: &Derived, base: &Digest) -> Result<Digest, ImageError> {
    let mut hasher = Sha256::new();
    hasher.update(BUILDER);
    hasher.update(base.0);
    let made = (&derived.files, &derived.commands, derived.size);
    hasher.update(serde_json::to_vec(&made).expect("recipes are plain data"));
    recipe::hash_files(&mut hasher, &derived.files)?;
    Ok(Digest(hasher.finalize().into()))
}

/// Builds the image in `scratch`, over one that is there. Returns its disk.
pub(crate) async fn build(
    name: &str,
    derived: &Derived,
    base: &Image,
    store: &Store,
    scratch: &Path,
    progress: Progress<'_>,
) -> Result<PathBuf, ImageError> {
    let below = store.ensure_tree(&base.digest, progress).await?;
    let tree = scratch.join("tree");
    progress(format!("copying the image {}", base.name));
    let mut copy = program("cp");
    copy.args(["-a", "--reflink=auto", "--"])
        .arg(&below)
        .arg(&tree);
    Work::start(copy, "coreutils", Streams::None)?
        .finish(&format!("Cannot copy {}", base.name), &|_| {})
        .await?;
    for file in recipe::stage_files(&derived.files, store, scratch, progress).await? {
        oci::put(&file, &tree).map_err(|error| {
            ImageError::Unusable(format!("A file of the recipe cannot be put in: {error}"))
        })?;
    }
    let disk = scratch.join("disk.raw");
    progress(format!("running the commands of {name}"));
    let size = derived.size.unwrap_or(base.virtual_size);
    let program = std::env::current_exe().map_err(ImageError::io("find this program"))?;
    let command = in_namespaces(&program, derived, &tree, &disk, size);
    let work = Work::start(command, "util-linux", Streams::None)?;
    work.finish(&format!("Cannot build the image `{name}`"), progress)
        .await?;
    Ok(disk)
}

/// A user who is not root becomes root of the files, and has the subordinate ids for all
/// other users.
fn in_namespaces(
    own_program: &Path,
    derived: &Derived,
    tree: &Path,
    disk: &Path,
    size: ByteSize,
) -> tokio::process::Command {
    let mut command = program("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child"]);
    if !users::is_root() {
        command.args(["--user", "--map-root-user", "--map-auto"]);
    }
    command.args(["sh", "-c", SCRIPT, "nestlab-derived"]);
    command.arg(own_program).arg(tree).arg(disk);
    command.arg(format!("{}K", size.as_bytes().div_ceil(1024)));
    command.args(&derived.commands);
    command
}

/// Runs a line with the shell of a root, by the arguments of [`ROLE`], and gives its exit code.
///
/// # Errors
/// There are other arguments, or the namespaces cannot be made.
pub fn run_within(arguments: &[OsString]) -> Result<i32, String> {
    let [root, line] = arguments else {
        return Err("a root and a line are needed".to_owned());
    };
    let mut shell = std::process::Command::new("sh");
    shell.arg("-ec").arg(line).env("HOME", "/root");
    confine::run(Path::new(root), &mut shell).map_err(|error| error.to_string())
}
