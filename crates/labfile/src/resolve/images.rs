//! `images:`, and the images that nodes name.

use super::paths::Want;
use super::{Resolver, Unit};
use crate::fields::Fields;
use crate::keys::{IMAGE, RECIPE, RECIPE_FILE};
use crate::limits::{MAX_SCRIPT, MIN_DISK};
use crate::report::{Problem, did_you_mean, list};
use crate::template::Scope;
use crate::yaml::Tree;
use nestlab_model::{
    ByteSize, Derived, Digest, FileSource, ImageName, ImageSpec, REGISTRY_SCHEME, Recipe,
    RecipeFile, Reference,
};
use std::collections::BTreeMap;

const WEB: &[&str] = &["http://", "https://"];

/// Images by name; `None` for one that is wrong.
type Defined = BTreeMap<ImageName, Option<ImageSpec>>;

impl Resolver<'_> {
    pub(super) fn image_definitions(&mut self, unit: &Unit, tree: &Tree, scope: &Scope) -> Defined {
        let mut images = Defined::new();
        for entry in self.reader(scope).map(tree, "images").unwrap_or_default() {
            let name = self.reader(scope).name(&entry.key, entry.key_mark, "image");
            let fields = Fields::read(&entry.value, &IMAGE, entry.key_mark, &mut self.report);
            let spec = fields.and_then(|fields| self.image_spec(unit, &fields, &images, scope));
            if let Some(name) = name {
                images.insert(name, spec);
            }
        }
        images
    }

    /// `above` are the images that stand before it.
    fn image_spec(
        &mut self,
        unit: &Unit,
        fields: &Fields<'_>,
        above: &Defined,
        scope: &Scope,
    ) -> Option<ImageSpec> {
        let written = fields.get("sha256");
        let digest = written.and_then(|tree| self.digest(tree, scope));
        let sound = written.is_none() || digest.is_some();
        let spec = match fields.one_of(&["recipe", "path", "url", "oci"], &mut self.report)? {
            "recipe" => {
                let mark = fields.key_mark("recipe");
                let recipe = Fields::read(fields.get("recipe")?, &RECIPE, mark, &mut self.report)?;
                match recipe.one_of(&["suite", "from"], &mut self.report)? {
                    "from" => self.derived(unit, &recipe, above, scope),
                    _ => self.recipe(unit, &recipe, scope).map(ImageSpec::Recipe),
                }
            }
            "path" => {
                let path = self.existing(unit, fields.get("path")?, "path", scope, Want::Image)?;
                Some(ImageSpec::File {
                    path,
                    sha256: digest,
                })
            }
            "oci" => self.reference(fields, scope).map(ImageSpec::from),
            _ => self.fetched(fields, digest, scope),
        };
        self.no_checksums(fields);
        spec.filter(|_| sound)
    }

    /// An image with an `oci:`.
    fn reference(&mut self, fields: &Fields<'_>, scope: &Scope) -> Option<Reference> {
        if fields.get("sha256").is_some() {
            let mark = fields.key_mark("sha256");
            let problem = Problem::error("exclusive-keys", mark, "`sha256` says nothing of `oci`");
            let hint = "write it into the reference: `oci: NAME@sha256:…`";
            self.report.add(problem.hint(hint));
        }
        let expected = "an image in a registry such as `debian:12` or `ghcr.io/org/name:tag`";
        self.reader(scope)
            .parsed(fields.get("oci")?, "oci", expected)
    }

    /// An image with a `url:`.
    fn fetched(
        &mut self,
        fields: &Fields<'_>,
        digest: Option<Digest>,
        scope: &Scope,
    ) -> Option<ImageSpec> {
        let url = self.reader(scope).url(fields.get("url")?, "url", WEB);
        if let Some(tree) = fields.get("checksums").filter(|_| digest.is_none()) {
            let checksums = self.reader(scope).url(tree, "checksums", WEB)?;
            return url.map(|url| ImageSpec::Published { url, checksums });
        }
        self.needs_digest(fields, "`url` needs `sha256` or `checksums`");
        url.zip(digest)
            .map(|(url, sha256)| ImageSpec::Url { url, sha256 })
    }

    /// `checksums:` where it has no say.
    fn no_checksums(&mut self, fields: &Fields<'_>) {
        let beside = ["sha256", "recipe", "path", "oci"];
        let beside = beside.into_iter().find(|key| fields.get(key).is_some());
        if let (Some(beside), Some(_)) = (beside, fields.get("checksums")) {
            let mark = fields.key_mark("checksums");
            let message = format!("`checksums` says nothing beside `{beside}`");
            let problem = Problem::error("exclusive-keys", mark, message);
            self.report.add(problem.hint("remove one of them"));
        }
    }

    fn digest(&mut self, tree: &Tree, scope: &Scope) -> Option<Digest> {
        self.reader(scope)
            .parse(tree, "sha256", "64 hexadecimal digits", |text| {
                text.parse().map_err(|_| "")
            })
    }

    /// What is fetched must be known beforehand.
    fn needs_digest(&mut self, fields: &Fields<'_>, message: &str) {
        if fields.get("sha256").is_none() {
            let mark = fields.key_mark("url");
            let problem = Problem::error("missing-key", mark, message);
            let hint = "`sha256sum FILE` prints it";
            self.report
                .add(problem.label("what the file must hash to").hint(hint));
        }
    }

    /// Values that are wrong are left out: the error keeps the lab from being
    /// built anyway.
    fn recipe(&mut self, unit: &Unit, fields: &Fields<'_>, scope: &Scope) -> Option<Recipe> {
        let suite = self.reader(scope).parse(
            fields.get("suite")?,
            "suite",
            "a Debian suite such as `bookworm`",
            |text| plain_word(text).ok_or(""),
        )?;
        let mut recipe = Recipe::of(&suite, &[]);
        if let Some(tree) = fields.get("packages") {
            recipe.packages = self.packages(tree, scope);
        }
        recipe.files = self.recipe_files(unit, fields, scope);
        recipe.commands = self.commands(fields, scope);
        if let Some(tree) = fields.get("mirror") {
            recipe.mirror = self.reader(scope).url(tree, "mirror", WEB);
        }
        if let Some(tree) = fields.get("keyring") {
            recipe.keyring = self.existing(unit, tree, "keyring", scope, Want::File);
        }
        if let Some(tree) = fields.get("size") {
            recipe.size = self.disk_size(tree, "size", scope).unwrap_or(recipe.size);
        }
        Some(recipe)
    }

    /// A recipe that begins with another image.
    fn derived(
        &mut self,
        unit: &Unit,
        fields: &Fields<'_>,
        above: &Defined,
        scope: &Scope,
    ) -> Option<ImageSpec> {
        for key in ["packages", "mirror", "keyring"] {
            if fields.get(key).is_some() {
                let message = format!("`{key}` and `from` exclude each other");
                let problem = Problem::error("exclusive-keys", fields.key_mark(key), message);
                let hint = "`commands` can install packages, if the other image has a way to";
                self.report.add(problem.hint(hint));
            }
        }
        let files = self.recipe_files(unit, fields, scope);
        let commands = self.commands(fields, scope);
        let size = fields.get("size");
        let size = size.and_then(|tree| self.disk_size(tree, "size", scope));
        let (from, base) = self.named_image(above, fields.get("from")?, "from", scope)?;
        Some(ImageSpec::Derived(Derived {
            from,
            base: Box::new(base?),
            files,
            commands,
            size,
        }))
    }

    fn commands(&mut self, fields: &Fields<'_>, scope: &Scope) -> Vec<String> {
        let tree = fields.get("commands");
        let commands = tree.map(|tree| self.reader(scope).texts(tree, "commands"));
        commands.unwrap_or_default()
    }

    fn recipe_files(&mut self, unit: &Unit, fields: &Fields<'_>, scope: &Scope) -> Vec<RecipeFile> {
        let tree = fields.get("files");
        let items = tree.and_then(|tree| self.reader(scope).list(tree, "files"));
        let items = items.unwrap_or_default().iter();
        items
            .filter_map(|item| self.recipe_file(unit, item, scope))
            .collect()
    }

    fn packages(&mut self, tree: &Tree, scope: &Scope) -> Vec<String> {
        let items = self
            .reader(scope)
            .list(tree, "packages")
            .unwrap_or_default();
        let package = |item| {
            self.reader(scope)
                .parse(item, "packages", "the name of a Debian package", |text| {
                    plain_word(text).ok_or("")
                })
        };
        items.iter().filter_map(package).collect()
    }

    fn recipe_file(&mut self, unit: &Unit, tree: &Tree, scope: &Scope) -> Option<RecipeFile> {
        let fields = Fields::read(tree, &RECIPE_FILE, tree.mark, &mut self.report)?;
        let source = match fields.one_of(&["source", "content", "url"], &mut self.report)? {
            "url" => {
                let url = self.reader(scope).url(fields.get("url")?, "url", WEB);
                let digest = fields
                    .get("sha256")
                    .and_then(|tree| self.digest(tree, scope));
                self.needs_digest(&fields, "`url` needs `sha256`");
                url.zip(digest)
                    .map(|(url, sha256)| FileSource::Url { url, sha256 })
            }
            _ => self.file_source(unit, &fields, scope, Want::File),
        };
        let target = fields
            .get("target")
            .and_then(|t| self.reader(scope).target(t, "target"));
        let mode = fields
            .get("mode")
            .and_then(|t| self.reader(scope).mode(t, "mode"));
        Some(RecipeFile {
            source: source?,
            target: target?,
            mode,
        })
    }

    /// `source:` or `content:`.
    pub(super) fn file_source(
        &mut self,
        unit: &Unit,
        fields: &Fields<'_>,
        scope: &Scope,
        want: Want,
    ) -> Option<FileSource> {
        if let Some(tree) = fields.get("source") {
            return self
                .existing(unit, tree, "source", scope, want)
                .map(FileSource::Host);
        }
        let tree = fields.get("content")?;
        let text = self.reader(scope).text(tree, "content")?;
        if text.len() as u64 > MAX_SCRIPT {
            let problem = Problem::error("too-large", tree.mark, "`content` is too large");
            self.report
                .add(problem.label("at most 1 MiB").hint("use `source:` instead"));
            return None;
        }
        Some(FileSource::Inline(text))
    }

    pub(super) fn disk_size(&mut self, tree: &Tree, key: &str, scope: &Scope) -> Option<ByteSize> {
        let expected = "a size such as `20GiB`";
        self.reader(scope).parse(tree, key, expected, |text| {
            let size: ByteSize = text.parse().map_err(|error| format!("{error}"))?;
            if size < MIN_DISK {
                Err(format!("at least {MIN_DISK}"))
            } else {
                Ok(size)
            }
        })
    }

    /// The image that a node names, noted as used.
    pub(super) fn image(&mut self, unit: &Unit, tree: &Tree, scope: &Scope) -> Option<ImageName> {
        let (name, spec) = self.named_image(&unit.images, tree, "image", scope)?;
        self.used(name, spec?, tree)
    }

    /// An image by its name or, if it is one in a registry, its address.
    fn named_image(
        &mut self,
        defined: &Defined,
        tree: &Tree,
        key: &str,
        scope: &Scope,
    ) -> Option<(ImageName, Option<ImageSpec>)> {
        let text = self.reader(scope).text(tree, key)?;
        if text.starts_with(REGISTRY_SCHEME) {
            let expected = "an image in a registry such as `docker://debian:12`";
            let reference: Reference = self.reader(scope).parsed(tree, key, expected)?;
            return Some((reference.image_name(), Some(reference.into())));
        }
        let name = ImageName::new(&*text).ok();
        let found = name.as_ref().and_then(|name| match defined.get(name) {
            Some(own) => Some(own.clone()),
            None => self.known.get(name).cloned().map(Some),
        });
        let known = || {
            defined
                .keys()
                .chain(self.known.keys())
                .map(ImageName::as_str)
        };
        if let Some(found) = name.zip(found) {
            return Some(found);
        }
        let hint = did_you_mean(&text, known())
            .unwrap_or_else(|| format!("known images: {}", list(known())));
        let message = format!("Unknown image `{text}`");
        let problem = Problem::error("unknown-image", tree.mark, message);
        let label = match key {
            "from" => "neither above in `images:` nor built in",
            _ => "neither in `images:` nor built in",
        };
        self.report.add(problem.label(label).hint(hint));
        None
    }

    /// Notes that a node uses an image.
    fn used(&mut self, name: ImageName, spec: ImageSpec, tree: &Tree) -> Option<ImageName> {
        if self.images.get(&name).is_some_and(|other| *other != spec) {
            let message = format!("Image `{name}` is defined differently in two lab files");
            let problem = Problem::error("image-conflict", tree.mark, message);
            self.report.add(problem.hint("rename one of them"));
            return None;
        }
        self.images.insert(name.clone(), spec);
        Some(name)
    }
}

/// A word that may stand on a command line of apt's.
fn plain_word(text: &str) -> Option<String> {
    let inner = |c: char| c.is_ascii_alphanumeric() || "+.-_:=~/".contains(c);
    let ok = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(inner);
    ok.then(|| text.to_owned())
}
