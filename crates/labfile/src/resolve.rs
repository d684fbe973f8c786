//! From the tree to the model: defaults, variables, groups, addresses, other
//! lab files. What can be judged from the finished lab alone is left to
//! `checks`.

mod ansible;
mod container;
mod dependencies;
mod endpoints;
mod images;
mod layer;
mod networks;
mod node;
mod paths;
mod setup;
mod variables;

pub(crate) use networks::overlap;
pub(crate) use paths::resolve as resolve_path;

use crate::fields::Fields;
use crate::files::Files;
use crate::keys::LAB;
use crate::limits::MAX_LABFILE;
use crate::marks::Marks;
use crate::report::{Mark, Problem, Report};
use crate::template::Scope;
use crate::vagrant::{self, VagrantMachine};
use crate::value::Reader;
use crate::yaml::{self, Tree, Value};
use ipnet::Ipv4Net;
use nestlab_model::{ImageName, ImageSpec, Lab, LabName, NodePath, Playbook};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use variables::Given;

/// Lab files that are looked through for subnets.
const MAX_SCANNED: usize = 64;

/// A lab file that was read.
struct Parsed {
    number: usize,
    tree: Tree,
}

/// What nodes of one lab file share.
struct Unit {
    /// The folder that relative paths start at.
    folder: PathBuf,
    /// Images that the file defines; `None` for one that is wrong.
    images: BTreeMap<ImageName, Option<ImageSpec>>,
}

/// Where a layer is about to stand.
struct Site {
    /// The node around it; the host's path at the top.
    path: NodePath,
    /// What templates can name there.
    scope: Scope,
    /// Subnets of all layers above.
    taken: Vec<Ipv4Net>,
}

/// Everything that one run knows.
pub(crate) struct Resolver<'f> {
    files: &'f dyn Files,
    pub report: Report,
    pub marks: Marks,
    parsed: HashMap<PathBuf, Option<Rc<Parsed>>>,
    /// Images that some node uses.
    images: BTreeMap<ImageName, ImageSpec>,
    /// Images that can be named without being defined.
    known: BTreeMap<ImageName, ImageSpec>,
    /// The lab files around the current one, for cycles.
    chain: Vec<PathBuf>,
    /// What Ansible is to do.
    playbooks: Vec<Playbook>,
    /// Nodes so far.
    nodes: usize,
    /// Subnets written anywhere in the lab: automatic ones keep clear of them.
    written: Vec<Ipv4Net>,
    /// What Vagrantfiles are told.
    vagrant: &'f vagrant::Settings,
    /// The machines of the main file, if that is a Vagrantfile.
    pub machines: Vec<VagrantMachine>,
}

impl<'f> Resolver<'f> {
    pub fn new(
        files: &'f dyn Files,
        known: BTreeMap<ImageName, ImageSpec>,
        vagrant: &'f vagrant::Settings,
    ) -> Self {
        Self {
            files,
            known,
            report: Report::default(),
            marks: Marks::default(),
            parsed: HashMap::new(),
            images: BTreeMap::new(),
            chain: Vec::new(),
            playbooks: Vec::new(),
            nodes: 0,
            written: Vec::new(),
            vagrant,
            machines: Vec::new(),
        }
    }

    fn reader<'a>(&'a mut self, scope: &'a Scope) -> Reader<'a> {
        Reader {
            scope,
            report: &mut self.report,
        }
    }

    /// The lab of a file. A lab is given even if there were errors, with made
    /// up values in their place; `None` if there is nothing to go on with.
    pub fn lab(&mut self, path: &Path, overrides: &BTreeMap<String, String>) -> Option<Lab> {
        let parsed = self.open(path)?;
        self.chain.push(paths::clean(path));
        self.written = self.subnets(path, &parsed);
        let top = Mark::top(parsed.number);
        let fields = Fields::read(&parsed.tree, &LAB, top, &mut self.report)?;
        let given = Given {
            values: overrides.clone(),
            mark: fields.key_mark("variables"),
        };
        let scope = self.variables(&fields, &given);
        let unit = self.unit(path, &fields, &scope);
        let name = fields
            .get("name")
            .and_then(|tree| self.lab_name(tree, &scope));
        if let Some(tree) = fields.get("description") {
            self.reader(&scope).text(tree, "description");
        }
        let templates = match fields.get("templates") {
            Some(tree) => self
                .reader(&scope)
                .boolean(tree, "templates")
                .unwrap_or(true),
            None => true,
        };
        let site = Site {
            path: NodePath::host(),
            scope,
            taken: Vec::new(),
        };
        let layer = self.layer(&unit, fields.get("networks"), fields.get("nodes"), &site);
        Some(Lab {
            name: name.unwrap_or_else(|| LabName::new("invalid").expect("a valid name")),
            images: std::mem::take(&mut self.images),
            layer,
            templates,
            playbooks: std::mem::take(&mut self.playbooks),
        })
    }

    fn lab_name(&mut self, tree: &Tree, scope: &Scope) -> Option<LabName> {
        let text = self.reader(scope).text(tree, "name")?;
        self.reader(scope).name(&text, tree.mark, "lab")
    }

    fn unit(&mut self, path: &Path, fields: &Fields<'_>, scope: &Scope) -> Unit {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut unit = Unit {
            folder,
            images: BTreeMap::new(),
        };
        if let Some(tree) = fields.get("images") {
            unit.images = self.image_definitions(&unit, tree, scope);
        }
        unit
    }

    /// The main file. What it says of an unreadable one points at its top.
    fn open(&mut self, path: &Path) -> Option<Rc<Parsed>> {
        match self.read(path) {
            Ok(parsed) => parsed,
            Err(reason) => {
                let number = self.report.file(path, "");
                let message = format!("Cannot read the lab file {}: {reason}", path.display());
                let problem = Problem::error("unreadable-file", Mark::top(number), message);
                self.report.add(problem);
                None
            }
        }
    }

    /// A lab file, parsed once however often it is named. `Ok(None)` if its
    /// syntax is wrong, which is reported.
    fn read(&mut self, path: &Path) -> Result<Option<Rc<Parsed>>, String> {
        let key = paths::clean(path);
        if let Some(known) = self.parsed.get(&key) {
            return Ok(known.clone());
        }
        let bytes = self
            .files
            .read(path, MAX_LABFILE)
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8(bytes).map_err(|_| "It is not UTF-8 text".to_owned())?;
        let number = self.report.file(path, &text);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let tree = match self.vagrant.is_vagrantfile(path) {
            true => self.vagrantfile(path, text, number),
            false => yaml::parse(text, number, &mut self.report),
        };
        if tree.is_none() && !self.report.has_errors() {
            let problem = Problem::error("empty-file", Mark::top(number), "The lab file is empty");
            let hint = "begin with `name: my-lab` and `nodes:`";
            self.report.add(problem.hint(hint));
        }
        let parsed = tree.map(|tree| Rc::new(Parsed { number, tree }));
        self.parsed.insert(key, parsed.clone());
        Ok(parsed)
    }

    /// What a Vagrantfile amounts to.
    fn vagrantfile(&mut self, path: &Path, text: &str, number: usize) -> Option<Tree> {
        let world = vagrant::World {
            files: self.files,
            settings: self.vagrant,
            known: &self.known,
        };
        let lab = vagrant::read(path, text, number, &world, &mut self.report)?;
        if self.parsed.is_empty() {
            self.machines.clone_from(&lab.machines);
        }
        Some(lab.tree())
    }

    /// Every subnet that stands as such in a lab file or in those it names.
    /// Files that cannot be read are not spoken of here.
    fn subnets(&mut self, path: &Path, parsed: &Rc<Parsed>) -> Vec<Ipv4Net> {
        let mut found = Vec::new();
        let mut seen = vec![paths::clean(path)];
        let mut files = vec![(path.to_owned(), parsed.clone())];
        while let Some((path, parsed)) = files.pop() {
            let folder = path.parent().unwrap_or(Path::new(""));
            for (key, text) in scalars(&parsed.tree) {
                match key {
                    "subnet" => found.extend(text.parse::<Ipv4Net>()),
                    "from" if seen.len() < MAX_SCANNED => {
                        let path = paths::resolve(folder, text);
                        if seen.contains(&paths::clean(&path)) {
                            continue;
                        }
                        seen.push(paths::clean(&path));
                        if let Ok(Some(parsed)) = self.read(&path) {
                            files.push((path, parsed));
                        }
                    }
                    _ => {}
                }
            }
        }
        found
    }
}

/// Every key with a single value, however deep.
fn scalars(tree: &Tree) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut pending = vec![tree];
    while let Some(tree) = pending.pop() {
        match &tree.value {
            Value::Null | Value::Scalar(_) => {}
            Value::List(items) => pending.extend(items),
            Value::Map(entries) => {
                for entry in entries {
                    match &entry.value.value {
                        Value::Scalar(text) => found.push((&*entry.key, &**text)),
                        _ => pending.push(&entry.value),
                    }
                }
            }
        }
    }
    found
}
