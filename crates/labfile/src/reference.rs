//! The reference of the lab file, written from the table of keys.

use crate::keys::{Object, objects};
use crate::template::BUILTIN;
use nestlab_model::{ImageName, builtin_images};
use std::fmt::Write;

const HEAD: &str = "\
# The lab file

<!-- Written by `cargo run -p nestlab-labfile --example generate`. Do not edit. -->

A lab is one YAML file, `nestlab.yaml`. Unknown keys are errors, and `nestlab validate` reports
every mistake of the file in one run. For completion in an editor, put this on its first line:

```yaml
# yaml-language-server: $schema=../../docs/nestlab.schema.json
```

";

const TEMPLATES: &str = "\
## Templates

`{{ NAME }}` in a value stands for a variable of the file or for one of the names below; there are
no expressions. YAML wants quotes around a value that begins with `{{`. Write `\\{{` for a literal
`{{`. Keys are never templates, and neither are scripts in files of their own: give those arguments
or an environment.

";

/// The whole page.
pub(crate) fn reference() -> String {
    let mut text = HEAD.to_owned();
    for object in objects() {
        section(object, &mut text);
    }
    text.push_str(TEMPLATES);
    text.push_str("| Name | Stands for |\n|---|---|\n");
    for (name, doc) in BUILTIN {
        let _ = writeln!(text, "| `{name}` | {} |", sentence(doc));
    }
    text.push_str("\n## Values\n\n");
    text.push_str(VALUES);
    let images: Vec<String> = builtin_images()
        .keys()
        .map(ImageName::as_str)
        .map(|name| format!("`{name}`"))
        .collect();
    let _ = writeln!(text, "- Built-in images: {}.", images.join(", "));
    text
}

const VALUES: &str = "\
- A size has a unit: `KiB`, `MiB`, `GiB`, `TiB`; a bare `K`, `M`, `G`, `T` means the same; `kB`, `MB`,
  `GB`, `TB` are powers of 1000. A bare number is bytes.
- A time has a unit: `ms`, `s`, `m`, `h`. A bare number is seconds.
- A name has at most 63 of `a-z`, `0-9` and `-`, and starts and ends with a letter or digit.
- A relative path starts at the folder of the lab file in which it stands.
";

fn section(object: &Object, text: &mut String) {
    let title = sentence(object.name);
    let _ = writeln!(text, "## {title}\n\n{}\n", object.doc);
    text.push_str("| Key | Value | Default | Meaning |\n|---|---|---|---|\n");
    for key in object.keys {
        let default = match (key.required, key.default) {
            (true, _) => "**required**".to_owned(),
            (false, "") => "—".to_owned(),
            (false, default) => default.to_owned(),
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {default} | {} |",
            key.name,
            key.shape.words(),
            key.doc
        );
    }
    text.push('\n');
}

/// The text with a capital first letter.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(chars).collect()
    })
}
