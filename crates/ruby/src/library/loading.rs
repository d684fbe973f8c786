//! `require` and its like.

use crate::class::Entry;
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::Value;
use std::path::PathBuf;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let kernel = ruby.classes.kernel.clone();
    kernel.functions(FUNCTIONS);
    kernel.meta().natives(FUNCTIONS);
}

const FUNCTIONS: &[Entry] = &[
    ("require", 1, 1, require),
    ("require_relative", 1, 1, |ruby, _, call| {
        let name = ruby.path(&call.args[0])?;
        let base = here(ruby, &call);
        Ok(Value::Bool(ruby.load(&name, &base, false)?))
    }),
    ("load", 1, 2, |ruby, _, call| {
        let name = ruby.path(&call.args[0])?;
        let base = ruby.folder.clone();
        Ok(Value::Bool(ruby.load(&name, &base, true)?))
    }),
    ("gem", 1, 255, |_, _, _| Ok(Value::Bool(true))),
    ("__dir__", 0, 0, |ruby, _, call| {
        let folder = here(ruby, &call);
        Ok(Value::text(folder.to_string_lossy()))
    }),
];

/// Libraries of Ruby's whose parts are either there or refused when they are called.
const HARMLESS: &[&str] = &[
    "socket",
    "net/http",
    "net/https",
    "net/ssh",
    "net/scp",
    "open-uri",
    "pty",
    "win32ole",
    "tty-prompt",
    "yaml",
    "psych",
    "json",
    "ipaddr",
    "erb",
    "securerandom",
    "rbconfig",
    "fileutils",
    "pathname",
    "ostruct",
    "open3",
    "etc",
    "set",
    "time",
    "date",
    "shellwords",
    "digest",
    "digest/md5",
    "digest/sha1",
    "digest/sha2",
    "base64",
    "English",
    "pp",
    "tempfile",
    "tmpdir",
    "optparse",
    "logger",
    "benchmark",
    "bigdecimal",
    "singleton",
    "forwardable",
    "observer",
    "delegate",
    "timeout",
    "uri",
    "csv",
    "zlib",
    "stringio",
    "strscan",
    "io/console",
    "find",
    "getoptlong",
    "rubygems",
    "bundler",
    "bundler/setup",
    "bundler/inline",
    "openssl",
    "abbrev",
    "monitor",
    "thread",
    "comparable",
    "erb/util",
    "cgi",
    "resolv",
    "readline",
    "highline/import",
    "rbconfig/sizeof",
    "objspace",
    "open-uri/cached",
    "weakref",
    "prime",
    "matrix",
    "rational",
    "colorize",
    "log4r",
    "i18n",
    "deep_merge",
    "hash_deep_merge",
    "concurrent",
];

fn require(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    let name = ruby.path(&call.args[0])?;
    if name.starts_with(['.', '/', '~']) {
        let base = ruby.folder.clone();
        return Ok(Value::Bool(ruby.load(&name, &base, false)?));
    }
    // What the host stands for is there already.
    if HARMLESS.contains(&&*name) || ruby.host.provides(&name) {
        return Ok(Value::Bool(true));
    }
    let base = ruby.folder.clone();
    Ok(Value::Bool(ruby.load(&name, &base, false)?))
}

/// The folder of the file that calls.
fn here(ruby: &Interpreter<'_>, call: &Call) -> PathBuf {
    let source = ruby.sources.get(call.span.file);
    source
        .and_then(|source| source.path.parent().map(PathBuf::from))
        .unwrap_or_default()
}
