//! A lab that a verb makes for itself: it is up for as long as it is looked at.

use crate::context::Context;
use crate::error::{Code, Error};
use crate::place::{self, Dirs, Place};
use std::path::PathBuf;
use std::process::Stdio;
use tokio::process::Command;

/// Mebibytes of the innermost machine, and what each around it has more.
const INNERMOST: u32 = 192;
const AROUND: u32 = 512;

/// The lab, from when its file is written until it is destroyed.
pub struct ScratchLab {
    folder: PathBuf,
    name: String,
}

impl ScratchLab {
    /// Writes the file of a lab that is nobody else's. `nodes` is the YAML below `nodes:`.
    pub fn new(dirs: &Dirs, kind: &str, nodes: &str) -> Result<Self, Error> {
        let name = format!("{kind}-{}", std::process::id());
        let folder = dirs.state.join(&name);
        let cannot = |error| Error::caused(format!("Cannot write {}", folder.display()), &error);
        place::private_dir(&dirs.state)?;
        std::fs::create_dir_all(&folder).map_err(cannot)?;
        let text = format!("name: {name}\nnodes:\n{nodes}");
        std::fs::write(folder.join("nestlab.yaml"), text).map_err(cannot)?;
        Ok(Self { folder, name })
    }

    /// Brings it up without templates, does something with it, and removes it whatever
    /// came of that. Ctrl-C is heeded.
    pub async fn during<T>(
        self,
        context: &Context,
        work: impl AsyncFnOnce(Place) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let used = async {
            self.nestlab(&["up", "--cold"]).await?;
            work(place::named(&context.dirs()?, &self.name)?).await
        };
        let result = tokio::select! {
            result = used => result,
            _ = tokio::signal::ctrl_c() => Err(Error::new(Code::Interrupted, "Interrupted")),
        };
        let gone = self.destroy().await;
        let result = result?;
        gone.map(|()| result)
    }

    async fn destroy(self) -> Result<(), Error> {
        let gone = self.nestlab(&["destroy", "--yes"]).await;
        // It is ours, and `destroy` has told if anything of the lab is left.
        let _ = std::fs::remove_dir_all(&self.folder);
        gone
    }

    /// Runs a verb on the lab, as a user would.
    async fn nestlab(&self, arguments: &[&str]) -> Result<(), Error> {
        let cannot = |error| Error::caused("Cannot run this program", &error);
        let own = std::env::current_exe().map_err(cannot)?;
        let mut command = Command::new(own);
        command.arg("-C").arg(&self.folder).arg("--quiet");
        command.args(arguments).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let status = command.status().await.map_err(cannot)?;
        match status.success() {
            true => Ok(()),
            false => Err(Error::new(
                Code::Failed,
                format!(
                    "`nestlab {}` of a lab of our own failed",
                    arguments.join(" ")
                ),
            )),
        }
    }
}

/// The YAML of so many machines, `level-1` and on, each in the one before. The innermost
/// has as little as boots, and each around it room for what is in it.
pub fn chain(depth: u32) -> String {
    let mut text = String::new();
    for level in 1..=depth {
        let indent = "  ".repeat(level as usize * 3 - 2);
        let memory = INNERMOST + AROUND * (depth - level);
        text.push_str(&format!("{indent}level-{level}:\n"));
        text.push_str(&format!(
            "{indent}  image: debian\n{indent}  memory: {memory}MiB\n"
        ));
        if level < depth {
            text.push_str(&format!(
                "{indent}  nested: true\n{indent}  inside:\n{indent}    nodes:\n"
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_has_the_next_inside() {
        let expected = "  \
  level-1:
    image: debian
    memory: 704MiB
    nested: true
    inside:
      nodes:
        level-2:
          image: debian
          memory: 192MiB
";
        assert_eq!(chain(2), expected);
    }
}
