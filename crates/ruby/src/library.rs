//! Ruby's own classes, as far as configuration files use them. One table of
//! methods per class; what is easier said in Ruby stands in `prelude/`, and is
//! evaluated when it is first named.

mod arguments;
mod array;
mod array_change;
mod classes;
mod comparable;
mod dir;
mod encoding;
mod enumerable;
mod enumerator;
mod environment;
mod exception;
mod file;
mod float;
mod format;
mod glob;
mod hash;
mod hash_change;
pub(crate) mod inspect;
mod integer;
mod iterate;
mod json;
mod kernel;
mod loading;
mod math;
mod module;
mod object;
mod prelude;
mod proc;
mod range;
pub(crate) mod regexp;
mod string;
mod string_change;
mod string_find;
mod structs;
mod symbol;
mod time;
mod yaml;
mod yaml_out;

pub(crate) use classes::Classes;
pub(crate) use prelude::autoload;

use crate::class::Class;
use crate::interpreter::Interpreter;
use crate::value::{Name, Value};
use std::rc::Rc;

/// Fills the classes and sets the constants and globals that every file finds.
pub(crate) fn install(ruby: &mut Interpreter<'_>) {
    object::install(ruby);
    kernel::install(ruby);
    loading::install(ruby);
    module::install(ruby);
    comparable::install(ruby);
    enumerable::install(ruby);
    enumerator::install(ruby);
    integer::install(ruby);
    float::install(ruby);
    math::install(ruby);
    string::install(ruby);
    string_find::install(ruby);
    string_change::install(ruby);
    symbol::install(ruby);
    array::install(ruby);
    array_change::install(ruby);
    hash::install(ruby);
    hash_change::install(ruby);
    range::install(ruby);
    proc::install(ruby);
    regexp::install(ruby);
    exception::install(ruby);
    structs::install(ruby);
    file::install(ruby);
    dir::install(ruby);
    environment::install(ruby);
    time::install(ruby);
    json::install(ruby);
    yaml::install(ruby);
    encoding::install(ruby);
}

/// A new module or class that every file finds.
fn add(ruby: &mut Interpreter<'_>, name: &str, is_module: bool) -> Rc<Class> {
    let above = (!is_module).then(|| ruby.classes.object.clone());
    let class = Class::new(Some(name), above, is_module);
    set(ruby, name, Value::Class(class.clone()));
    class
}

/// A constant that every file finds.
fn set(ruby: &mut Interpreter<'_>, name: &str, value: Value) {
    let object = &ruby.classes.object;
    object
        .constants
        .borrow_mut()
        .insert(Name::from(name), value);
}
