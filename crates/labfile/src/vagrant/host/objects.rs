//! The objects that a Vagrantfile speaks to, and what each of their methods does.

use super::{Host, PLUGINS, Said, VERSION, values};
use crate::report::{Mark, Problem};
use crate::vagrant::config::StepId;
use crate::vagrant::datum::{Datum, Event, Log, Options, What};
use crate::vagrant::machine::{Step, Trigger};
use nestlab_ruby::{Call, Error, Handle, Interpreter, Span, Value};

/// An object, by what it is about.
#[derive(Debug, Clone)]
pub(super) enum Object {
    /// `Vagrant`, and whatever stands below it.
    Module(String),
    /// A `config`: the number of its scope.
    Config(usize),
    /// `config.vm`.
    Vm(usize),
    /// `config.trigger`.
    Triggers(usize),
    /// Anything else of `config`, such as `config.ssh`.
    Section(usize, String),
    /// The object of a provider's, a provisioner's or a trigger's block.
    Bag(usize),
    /// A map that lives within one, such as `vmx`.
    Entries(usize, String),
    /// Takes everything and does nothing. As in Vagrant, what was not set is no `nil` but a
    /// value that is true.
    Void,
}

impl Object {
    /// As messages call it.
    pub fn title(&self) -> String {
        match self {
            Self::Module(name) => name.clone(),
            Self::Config(_) => "config".into(),
            Self::Vm(_) => "config.vm".into(),
            Self::Triggers(_) => "config.trigger".into(),
            Self::Section(_, name) => format!("config.{name}"),
            Self::Bag(_) => "the configuration".into(),
            Self::Entries(_, name) => name.clone(),
            Self::Void => "a part of Vagrant".into(),
        }
    }
}

/// Options that begin as a list that is added to, or as a map.
const LISTS: [&str; 10] = [
    "build_args",
    "cmd",
    "create_args",
    "expose",
    "galaxy_roles",
    "paths",
    "ports",
    "raw_arguments",
    "skip_tags",
    "volumes",
];
const MAPS: [&str; 4] = ["env", "extra_vars", "groups", "host_vars"];

type Answer = Result<Value, Error>;

impl Host<'_> {
    pub(super) fn dispatch(
        &self,
        ruby: &mut Interpreter<'_>,
        me: Handle,
        object: &Object,
        call: Call,
    ) -> Answer {
        if is_universal(&call) {
            return ruby.universal(me, call);
        }
        match object {
            Object::Module(name) => self.module(ruby, me, name, call),
            Object::Config(scope) => self.config(ruby, *scope, &call),
            Object::Vm(scope) => self.vm(ruby, me, *scope, &call),
            Object::Triggers(scope) => self.triggers(ruby, me, *scope, &call),
            Object::Section(scope, name) => self.section(ruby, *scope, name, &call),
            Object::Bag(bag) => self.bag(ruby, *bag, &call),
            Object::Entries(bag, name) => self.entries(ruby, *bag, name, &call),
            Object::Void => Ok(Value::Foreign(me)),
        }
    }

    fn module(&self, ruby: &mut Interpreter<'_>, me: Handle, module: &str, call: Call) -> Answer {
        match (module, &*call.name) {
            ("Vagrant" | "Vagrant::Config", "configure" | "run") => {
                self.state.borrow_mut().configure.extend(call.block);
                Ok(Value::Nil)
            }
            ("Vagrant", "has_plugin?") => {
                let name = text(ruby, call.arg(0));
                let given = &self.settings.plugins;
                // A file that misses one stops, or installs it.
                let has = given.is_empty() || given.contains(&name);
                Ok(Value::Bool(has || PLUGINS.contains(&name.as_str())))
            }
            ("Vagrant", "require_version" | "version?") => {
                let wanted: Vec<_> = call.args.iter().map(|arg| text(ruby, Some(arg))).collect();
                let fits = crate::vagrant::image::satisfies(VERSION, &wanted.join(","));
                if !fits && &*call.name == "require_version" {
                    self.other_version(ruby, &wanted.join(", "), &call);
                }
                Ok(Value::Bool(fits))
            }
            ("Vagrant", "require_plugin") => Ok(Value::Nil),
            ("Vagrant", "VERSION") => ruby.string(VERSION),
            ("Vagrant", "original_env") => ruby.hash(Vec::new()),
            ("Vagrant", "in_installer?" | "prerelease?") => Ok(Value::Bool(false)),
            ("Vagrant::Util::Platform", "linux?" | "terminal_supports_colors?") => {
                Ok(Value::Bool(true))
            }
            ("Vagrant::Util::Platform", "platform") => ruby.string("linux-gnu"),
            ("Vagrant::Util::Platform", name) if name.ends_with('?') => Ok(Value::Bool(false)),
            (_, name) if name.starts_with(|c: char| c.is_ascii_uppercase()) => {
                Ok(self.object(Object::Module(format!("{module}::{name}"))))
            }
            ("Vagrant", _) => {
                let known = [
                    "configure",
                    "has_plugin?",
                    "require_version",
                    "version?",
                    "VERSION",
                ];
                Err(ruby.undefined(me, &call, &known))
            }
            // `Vagrant::UI::Colored.new.info "…"` and the like.
            _ => Ok(self.object(Object::Void)),
        }
    }

    fn other_version(&self, ruby: &Interpreter<'_>, wanted: &str, call: &Call) {
        let mark = self.mark(ruby, call.span);
        let message = format!("The file wants Vagrant {wanted}");
        let problem = Problem::warning("vagrant-version", mark, message);
        let hint = format!("it is read as Vagrant {VERSION} would");
        self.report.borrow_mut().add(problem.hint(hint));
    }

    fn config(&self, ruby: &mut Interpreter<'_>, scope: usize, call: &Call) -> Answer {
        let name = &*call.name;
        // `config.group = …`: of a plugin that has a single word.
        if let Some(name) = name.strip_suffix('=') {
            return self.section(ruby, scope, "plugins", &renamed(call, &format!("{name}=")));
        }
        let object = match name {
            "vm" => Object::Vm(scope),
            "trigger" => Object::Triggers(scope),
            name => Object::Section(scope, name.to_owned()),
        };
        if !call.args.is_empty() || call.block.is_some() {
            return self.section(ruby, scope, name, call);
        }
        Ok(self.object(object))
    }

    fn vm(&self, ruby: &mut Interpreter<'_>, me: Handle, scope: usize, call: &Call) -> Answer {
        match &*call.name {
            "network" => self.network(ruby, scope, call),
            "forward_port" => self.forward_port(ruby, scope, call),
            "synced_folder" => self.folder(ruby, scope, call),
            "share_folder" => self.share_folder(ruby, scope, call),
            "provider" => self.provider_block(ruby, scope, call),
            "provision" => self.provision(ruby, scope, call),
            "define" => self.define(ruby, scope, call),
            "cloud_init" | "disk" => self.vm_call(ruby, scope, call),
            "networks" | "provisioners" | "synced_folders" | "defined_vms" => {
                ruby.array(Vec::new())
            }
            name => {
                let assigns = name.ends_with('=');
                let reads = call.args.is_empty() && call.keywords.is_empty();
                let mark = self.mark(ruby, call.span);
                if !assigns && reads {
                    let known = crate::vagrant::tree::names();
                    if !known.contains(&name) {
                        return Err(ruby.undefined(me, call, &known));
                    }
                    let options = self.state.borrow().scopes[scope].vm.options();
                    return match options.given(name) {
                        Some(value) => values::value(ruby, &value.datum),
                        None => Ok(self.object(Object::Void)),
                    };
                }
                let event = self.event(ruby, call);
                let mut state = self.state.borrow_mut();
                let log = &mut state.scopes[scope].vm;
                log.mark = mark;
                log.events.push(event);
                Ok(Value::Nil)
            }
        }
    }

    /// An assignment or a call, as it was made.
    fn event(&self, ruby: &mut Interpreter<'_>, call: &Call) -> Event {
        let mark = self.place(ruby, call);
        match call.name.strip_suffix('=') {
            Some(name) => {
                let value = call.arg(0).cloned().unwrap_or_default();
                Event {
                    name: name.to_owned(),
                    what: What::Set(values::datum(ruby, &value)),
                    mark,
                }
            }
            None => Event {
                name: call.name.to_string(),
                what: What::Call(arguments(ruby, call)),
                mark,
            },
        }
    }

    /// Where a call is shown: without its block, which may be long.
    fn place(&self, ruby: &Interpreter<'_>, call: &Call) -> Mark {
        let mark = self.mark(ruby, call.span);
        let name = self.mark(ruby, call.name_span);
        if mark.start.line == mark.end.line {
            return mark;
        }
        Mark {
            start: mark.start,
            ..name
        }
    }

    /// Where a part of a call is shown; the call if that is all that is known.
    fn within(&self, ruby: &Interpreter<'_>, call: &Call, span: Span) -> Mark {
        if span == call.span {
            self.place(ruby, call)
        } else {
            self.mark(ruby, span)
        }
    }

    fn vm_call(&self, ruby: &mut Interpreter<'_>, scope: usize, call: &Call) -> Answer {
        let mut event = self.event(ruby, call);
        if let Some(block) = &call.block {
            let (bag, object) = self.new_bag(event.mark);
            ruby.call_block(block, vec![object])?;
            let options = self.take_bag(ruby, bag).options();
            if let What::Call(args) = &mut event.what {
                let map = options
                    .iter()
                    .map(|(name, value)| (Datum::Symbol(name.to_owned()), value.datum.clone()));
                args.push(Datum::Map(map.collect()));
            }
        }
        self.state.borrow_mut().scopes[scope].vm.events.push(event);
        Ok(Value::Nil)
    }

    fn network(&self, ruby: &mut Interpreter<'_>, scope: usize, call: &Call) -> Answer {
        let (positional, options) = self.options(ruby, call);
        let kind = positional.first().map(Datum::show).unwrap_or_default();
        let mut options = options;
        let kind = match kind.as_str() {
            // Version 1 of the configuration.
            "hostonly" => "private_network",
            "bridged" => "public_network",
            other => other,
        };
        if let Some(ip) = positional
            .get(1)
            .filter(|ip| !matches!(ip, Datum::Symbol(_)))
        {
            options.set("ip", ip.clone(), options.mark);
        }
        self.state.borrow_mut().scopes[scope].network(kind, options);
        Ok(Value::Nil)
    }

    /// `config.vm.forward_port 80, 8080` of version 1.
    fn forward_port(&self, ruby: &mut Interpreter<'_>, scope: usize, call: &Call) -> Answer {
        let (positional, given) = self.options(ruby, call);
        let mut options = Options::new(given.mark);
        for (name, port) in ["guest", "host"].into_iter().zip(positional) {
            options.set(name, port, given.mark);
        }
        for (theirs, ours) in [("auto", "auto_correct"), ("protocol", "protocol")] {
            if let Some(value) = given.get(theirs) {
                options.set(ours, value.datum.clone(), value.mark);
            }
        }
        self.state.borrow_mut().scopes[scope].network("forwarded_port", options);
        Ok(Value::Nil)
    }

    fn folder(&self, ruby: &mut Interpreter<'_>, scope: usize, call: &Call) -> Answer {
        let (positional, options) = self.options(ruby, call);
        let mut positional = positional.into_iter();
        let host = positional.next().unwrap_or(Datum::Nil);
        let guest = positional.next().filter(|guest| *guest != Datum::Nil);
        self.state.borrow_mut().scopes[scope].folder(host, guest.as_ref(), options);
        Ok(Value::Nil)
    }

    /// `config.vm.share_folder "id", "/guest", "host"` of version 1.
    fn share_folder(&self, ruby: &mut Interpreter<'_>, scope: usize, call: &Call) -> Answer {
        let (positional, options) = self.options(ruby, call);
        let host = positional.get(2).cloned().unwrap_or(Datum::Nil);
        self.state.borrow_mut().scopes[scope].folder(host, positional.get(1), options);
        Ok(Value::Nil)
    }

    fn provider_block(&self, ruby: &mut Interpreter<'_>, scope: usize, call: &Call) -> Answer {
        let name = text(ruby, call.arg(0));
        self.state.borrow_mut().scopes[scope].provider(&name, call.block.clone());
        Ok(Value::Nil)
    }

    fn define(&self, ruby: &mut Interpreter<'_>, scope: usize, call: &Call) -> Answer {
        let (positional, options) = self.options(ruby, call);
        let name = positional.first().map(Datum::show).unwrap_or_default();
        let mark = self.within(ruby, call, call.arg_span(0));
        let block = call.block.clone();
        self.state.borrow_mut().scopes[scope].define(&name, mark, &options, block);
        Ok(Value::Nil)
    }

    fn provision(&self, ruby: &mut Interpreter<'_>, scope: usize, call: &Call) -> Answer {
        let (positional, mut options) = self.options(ruby, call);
        let first = positional.first().map(Datum::show).unwrap_or_default();
        let (name, kind) = match options.take("type") {
            Some(kind) => (Some(first), kind.datum.show()),
            None => (None, first),
        };
        let mut take = |name: &str| options.take(name).map(|value| value.datum);
        let (run, order) = (take("run"), take("preserve_order"));
        let (before, after) = (take("before"), take("after"));
        let mark = options.mark;
        let mut log = Log::new(mark);
        for (name, value) in options.iter() {
            log.events.push(Event {
                name: name.to_owned(),
                what: What::Set(value.datum.clone()),
                mark: value.mark,
            });
        }
        if let Some(block) = &call.block {
            let (bag, object) = self.new_bag(mark);
            ruby.call_block(block, vec![object])?;
            log.events.extend(self.take_bag(ruby, bag).events);
        }
        let mut state = self.state.borrow_mut();
        let id = state.step_id(name.as_deref());
        let steps = &mut state.scopes[scope].steps;
        let known = steps
            .iter_mut()
            .find(|(known, _)| *known == id && matches!(id, StepId::Name(_)));
        let run = run.filter(Datum::is_true).map(|run| run.show());
        match known {
            Some((_, step)) => {
                step.log.events.extend(log.events);
                step.run = run.or(step.run.take());
                step.preserve_order = order.map_or(step.preserve_order, |order| order.is_true());
            }
            None => steps.push((
                id,
                Step {
                    name,
                    kind,
                    run,
                    before,
                    after,
                    preserve_order: order.is_some_and(|order| order.is_true()),
                    log,
                },
            )),
        }
        Ok(Value::Nil)
    }

    fn triggers(
        &self,
        ruby: &mut Interpreter<'_>,
        me: Handle,
        scope: usize,
        call: &Call,
    ) -> Answer {
        let at = match &*call.name {
            "before" | "reject" | "instead_of" => "before",
            "after" => "after",
            _ => return Err(ruby.undefined(me, call, &["before", "after"])),
        };
        let (positional, options) = self.options(ruby, call);
        let mut log = Log::new(options.mark);
        if let Some(block) = &call.block {
            let (bag, object) = self.new_bag(options.mark);
            // What takes no argument is of the old plugin, and speaks to the trigger itself.
            match block.arity() {
                0 => ruby.call_block_as(block, object, Vec::new())?,
                _ => ruby.call_block(block, vec![object, Value::Nil])?,
            };
            log.events = self.take_bag(ruby, bag).events;
        }
        for (name, value) in options.iter() {
            log.events.push(Event {
                name: name.to_owned(),
                what: What::Set(value.datum.clone()),
                mark: value.mark,
            });
        }
        let commands = positional.iter().flat_map(Datum::items).map(Datum::show);
        let mut state = self.state.borrow_mut();
        let scope = &mut state.scopes[scope];
        let list = if at == "before" {
            &mut scope.before
        } else {
            &mut scope.after
        };
        list.extend(commands.map(|command| Trigger {
            at,
            command,
            log: log.clone(),
        }));
        Ok(Value::Nil)
    }

    fn section(&self, ruby: &mut Interpreter<'_>, scope: usize, name: &str, call: &Call) -> Answer {
        let reads = call.args.is_empty() && call.keywords.is_empty() && call.block.is_none();
        if reads {
            let given = {
                let state = self.state.borrow();
                let mut sections = state.scopes[scope].sections.iter();
                let found = sections.find(|(known, _)| known == name);
                found.and_then(|(_, log)| log.options().given(&call.name).cloned())
            };
            if let Some(given) = given {
                return values::value(ruby, &given.datum);
            }
        }
        let event = self.event(ruby, call);
        let mut state = self.state.borrow_mut();
        let mark = event.mark;
        state.scopes[scope].section(name, mark).events.push(event);
        drop(state);
        Ok(if reads {
            self.object(Object::Void)
        } else {
            Value::Nil
        })
    }

    fn bag(&self, ruby: &mut Interpreter<'_>, bag: usize, call: &Call) -> Answer {
        let name = &*call.name;
        let mark = self.place(ruby, call);
        if let Some(name) = name.strip_suffix('=').filter(|name| *name != "[]") {
            let value = call.arg(0).cloned().unwrap_or_default();
            self.say_to(bag, name, Said::Set(value.clone()), mark);
            return Ok(value);
        }
        if !call.args.is_empty() || !call.keywords.is_empty() || call.block.is_some() {
            let mut args = call.args.clone();
            if !call.keywords.is_empty() {
                args.push(ruby.hash(call.keywords.clone())?);
            }
            self.say_to(bag, name, Said::Call(args), mark);
            return Ok(Value::Nil);
        }
        if let Some(value) = self.said(bag, name) {
            return Ok(value);
        }
        let begun = match name {
            "vmx" => return Ok(self.object(Object::Entries(bag, name.to_owned()))),
            name if LISTS.contains(&name) => ruby.array(Vec::new())?,
            name if MAPS.contains(&name) => ruby.hash(Vec::new())?,
            _ => return Ok(self.object(Object::Void)),
        };
        // The same object is given again, so what is added to it stays.
        self.say_to(bag, name, Said::Set(begun.clone()), mark);
        Ok(begun)
    }

    fn say_to(&self, bag: usize, name: &str, said: Said, mark: Mark) {
        let mut state = self.state.borrow_mut();
        state.bags[bag].said.push((name.to_owned(), said, mark));
    }

    /// The value that was assigned last.
    fn said(&self, bag: usize, name: &str) -> Option<Value> {
        let state = self.state.borrow();
        let said = state.bags[bag].said.iter().rev();
        said.filter(|(known, ..)| known == name)
            .find_map(|(_, said, _)| match said {
                Said::Set(value) => Some(value.clone()),
                _ => None,
            })
    }

    fn entries(&self, ruby: &mut Interpreter<'_>, bag: usize, name: &str, call: &Call) -> Answer {
        match (&*call.name, call.args.as_slice()) {
            ("[]=" | "store", [key, value]) => {
                let mark = self.place(ruby, call);
                let said = Said::Index(key.clone(), value.clone());
                self.say_to(bag, name, said, mark);
                Ok(value.clone())
            }
            ("delete", _) => Ok(Value::Nil),
            ("[]", [key]) => {
                let key = key.as_name();
                let state = self.state.borrow();
                let found = state.bags[bag]
                    .said
                    .iter()
                    .rev()
                    .find_map(|(_, said, _)| match said {
                        Said::Index(known, value) if known.as_name() == key => Some(value.clone()),
                        _ => None,
                    });
                Ok(found.unwrap_or_default())
            }
            _ => Ok(Value::Nil),
        }
    }

    /// What stands without names, and what stands with them: also a last map in braces.
    fn options(&self, ruby: &mut Interpreter<'_>, call: &Call) -> (Vec<Datum>, Options) {
        let mark = self.place(ruby, call);
        let mut options = Options::new(mark);
        let mut positional = Vec::new();
        for arg in &call.args {
            match arg.as_entries() {
                Some(entries) => {
                    for (key, value) in entries {
                        let key = text(ruby, Some(&key));
                        options.set(key, values::datum(ruby, &value), mark);
                    }
                }
                None => positional.push(values::datum(ruby, arg)),
            }
        }
        for (number, (key, value)) in call.keywords.iter().enumerate() {
            let key = text(ruby, Some(key));
            let span = call.keyword_spans.get(number).copied();
            let mark = self.within(ruby, call, span.unwrap_or(call.span));
            options.set(key, values::datum(ruby, value), mark);
        }
        (positional, options)
    }
}

/// What every object of Ruby can do.
fn is_universal(call: &Call) -> bool {
    const NAMES: [&str; 19] = [
        "!",
        "!=",
        "==",
        "===",
        "class",
        "equal?",
        "freeze",
        "frozen?",
        "hash",
        "inspect",
        "instance_of?",
        "is_a?",
        "kind_of?",
        "nil?",
        "object_id",
        "respond_to?",
        "send",
        "tap",
        "to_s",
    ];
    NAMES.contains(&&*call.name)
}

fn renamed(call: &Call, name: &str) -> Call {
    Call {
        name: name.into(),
        ..call.clone()
    }
}

fn text(ruby: &mut Interpreter<'_>, value: Option<&Value>) -> String {
    value.map_or(String::new(), |value| values::datum(ruby, value).show())
}

/// All arguments, those with names as a map at the end.
fn arguments(ruby: &mut Interpreter<'_>, call: &Call) -> Vec<Datum> {
    let mut args: Vec<_> = call
        .args
        .iter()
        .map(|arg| values::datum(ruby, arg))
        .collect();
    if !call.keywords.is_empty() {
        let pairs = call.keywords.iter();
        let pairs =
            pairs.map(|(key, value)| (values::datum(ruby, key), values::datum(ruby, value)));
        args.push(Datum::Map(pairs.collect()));
    }
    args
}
