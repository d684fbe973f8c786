//! The classes that the evaluator itself needs, and the exceptions.

use crate::class::Class;
use crate::value::{Name, Value};
use std::rc::Rc;

/// The classes of values.
pub(crate) struct Classes {
    pub object: Rc<Class>,
    pub module: Rc<Class>,
    pub class: Rc<Class>,
    pub kernel: Rc<Class>,
    pub comparable: Rc<Class>,
    pub enumerable: Rc<Class>,
    pub enumerator: Rc<Class>,
    pub nil: Rc<Class>,
    pub yes: Rc<Class>,
    pub no: Rc<Class>,
    pub integer: Rc<Class>,
    pub float: Rc<Class>,
    pub string: Rc<Class>,
    pub symbol: Rc<Class>,
    pub array: Rc<Class>,
    pub hash: Rc<Class>,
    pub range: Rc<Class>,
    pub proc: Rc<Class>,
    pub method: Rc<Class>,
    pub regexp: Rc<Class>,
    pub match_data: Rc<Class>,
    pub foreign: Rc<Class>,
    pub exception: Rc<Class>,
    pub standard_error: Rc<Class>,
}

/// Each exception with the one above it.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("ScriptError", "Exception"),
    ("LoadError", "ScriptError"),
    ("NotImplementedError", "ScriptError"),
    ("SyntaxError", "ScriptError"),
    ("SecurityError", "Exception"),
    ("SignalException", "Exception"),
    ("Interrupt", "SignalException"),
    ("SystemExit", "Exception"),
    ("NoMemoryError", "Exception"),
    ("ArgumentError", "StandardError"),
    ("UncaughtThrowError", "ArgumentError"),
    ("EncodingError", "StandardError"),
    ("FiberError", "StandardError"),
    ("IOError", "StandardError"),
    ("EOFError", "IOError"),
    ("IndexError", "StandardError"),
    ("KeyError", "IndexError"),
    ("StopIteration", "IndexError"),
    ("LocalJumpError", "StandardError"),
    ("NameError", "StandardError"),
    ("NoMethodError", "NameError"),
    ("RangeError", "StandardError"),
    ("FloatDomainError", "RangeError"),
    ("RegexpError", "StandardError"),
    ("RuntimeError", "StandardError"),
    ("FrozenError", "RuntimeError"),
    ("SystemCallError", "StandardError"),
    ("ThreadError", "StandardError"),
    ("TypeError", "StandardError"),
    ("ZeroDivisionError", "StandardError"),
    ("NoMatchingPatternError", "StandardError"),
    ("NoMatchingPatternKeyError", "NoMatchingPatternError"),
];

/// What the operating system answers.
const ERRNO: &[&str] = &[
    "ENOENT",
    "EACCES",
    "EISDIR",
    "ENOTDIR",
    "EEXIST",
    "ECONNREFUSED",
    "ETIMEDOUT",
    "EPERM",
    "EPIPE",
    "EINVAL",
];

impl Classes {
    pub(crate) fn new() -> Self {
        let object = Class::new(Some("Object"), None, false);
        let below = |name: &str, above: &Rc<Class>| {
            let class = Class::new(Some(name), Some(above.clone()), false);
            let value = Value::Class(class.clone());
            object
                .constants
                .borrow_mut()
                .insert(Name::from(name), value);
            class
        };
        let new = |name: &str| below(name, &object);
        let module_of = |name: &str| {
            let module = Class::new(Some(name), None, true);
            let value = Value::Class(module.clone());
            object
                .constants
                .borrow_mut()
                .insert(Name::from(name), value);
            module
        };
        let kernel = module_of("Kernel");
        let comparable = module_of("Comparable");
        let enumerable = module_of("Enumerable");
        let numeric = new("Numeric");
        let module = new("Module");
        let exception = new("Exception");
        let classes = Self {
            class: below("Class", &module),
            nil: new("NilClass"),
            yes: new("TrueClass"),
            no: new("FalseClass"),
            integer: below("Integer", &numeric),
            float: below("Float", &numeric),
            string: new("String"),
            symbol: new("Symbol"),
            array: new("Array"),
            hash: new("Hash"),
            range: new("Range"),
            proc: new("Proc"),
            method: new("Method"),
            regexp: new("Regexp"),
            match_data: new("MatchData"),
            enumerator: new("Enumerator"),
            foreign: Class::new(Some("Object"), Some(object.clone()), false),
            standard_error: below("StandardError", &exception),
            kernel,
            comparable,
            enumerable,
            exception,
            module,
            object: object.clone(),
        };
        classes.include_modules();
        classes.add_exceptions();
        let value = Value::Class(object.clone());
        object
            .constants
            .borrow_mut()
            .insert(Name::from("Object"), value.clone());
        object
            .constants
            .borrow_mut()
            .insert(Name::from("BasicObject"), value);
        classes
    }

    fn include_modules(&self) {
        for class in [&self.array, &self.hash, &self.range, &self.enumerator] {
            class.includes.borrow_mut().push(self.enumerable.clone());
        }
        let numeric = self.integer.superclass.clone();
        for class in numeric.iter().chain([&self.string, &self.symbol]) {
            class.includes.borrow_mut().push(self.comparable.clone());
        }
        self.object.includes.borrow_mut().push(self.kernel.clone());
    }

    fn add_exceptions(&self) {
        for (name, above) in EXCEPTIONS {
            let above = self
                .constant(above)
                .unwrap_or_else(|| self.standard_error.clone());
            let class = Class::new(Some(name), Some(above), false);
            let mut constants = self.object.constants.borrow_mut();
            constants.insert(Name::from(*name), Value::Class(class));
        }
        let errno = Class::new(Some("Errno"), None, true);
        let above = self.constant("SystemCallError");
        for name in ERRNO {
            let class = Class::new(Some(&format!("Errno::{name}")), above.clone(), false);
            errno
                .constants
                .borrow_mut()
                .insert(Name::from(*name), Value::Class(class));
        }
        let mut constants = self.object.constants.borrow_mut();
        constants.insert(Name::from("Errno"), Value::Class(errno));
    }

    /// The class with a name such as `Errno::ENOENT`.
    pub(crate) fn constant(&self, path: &str) -> Option<Rc<Class>> {
        let mut class = self.object.clone();
        for name in path.split("::") {
            let found = class.constants.borrow().get(name).cloned();
            class = match found {
                Some(Value::Class(class)) => class,
                _ => return None,
            };
        }
        Some(class)
    }
}
