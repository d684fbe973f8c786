//! Going through collections, comparing, and being equal.

use crate::class::Body;
use crate::error::Eval;
use crate::interpreter::Interpreter;
use crate::value::{Block, Code, Collected, Proc, Range, Value, Walk};
use std::cmp::Ordering;
use std::rc::Rc;

impl Interpreter<'_> {
    /// The elements of whatever has some.
    pub(crate) fn iterate(&mut self, value: &Value) -> Eval<Vec<Value>> {
        match value {
            Value::Array(array) => {
                let count = array.items.borrow().len();
                self.step(count as u64 / 8)?;
                Ok(array.items.borrow().clone())
            }
            Value::Hash(hash) => {
                let mut items = Vec::new();
                for (key, item) in hash.entries() {
                    items.push(self.array(vec![key, item])?);
                }
                Ok(items)
            }
            Value::Range(range) => self.range_items(range),
            value if self.responds(value, "each") => self.collect(value, "each", Vec::new()),
            value => {
                let error = self.no_method(value, "each");
                Err(error)
            }
        }
    }

    /// What a method yields.
    pub(crate) fn collect(
        &mut self,
        value: &Value,
        name: &str,
        args: Vec<Value>,
    ) -> Eval<Vec<Value>> {
        let collected = Rc::new(Collected::default());
        let code = Code::Collect(collected.clone());
        let block: Block = Rc::new(Proc {
            code,
            lambda: false,
        });
        self.send_with(value, name, args, Some(block))?;
        Ok(collected.items.take())
    }

    pub(crate) fn range_items(&mut self, range: &Range) -> Eval<Vec<Value>> {
        match (&range.first, &range.last) {
            (Value::Int(first), last) => {
                let last = match last {
                    Value::Int(last) => *last,
                    Value::Float(last) if last.is_finite() => last.floor() as i64,
                    _ => return Err(self.endless()),
                };
                let exclusive = range.exclusive && matches!(range.last, Value::Int(_));
                let last = if exclusive {
                    last.saturating_sub(1)
                } else {
                    last
                };
                if last < *first {
                    return Ok(Vec::new());
                }
                let count = last
                    .checked_sub(*first)
                    .and_then(|count| usize::try_from(count).ok());
                self.room_for(count.unwrap_or(usize::MAX).saturating_add(1))?;
                Ok((*first..=last).map(Value::Int).collect())
            }
            (Value::Str(first), Value::Str(last)) => {
                let (first, last) = (first.text.borrow().clone(), last.text.borrow().clone());
                self.text_range(&first, &last, range.exclusive)
            }
            (_, Value::Nil) => Err(self.endless()),
            (Value::Object(_), _) if self.responds(&range.first, "succ") => {
                self.object_range(range)
            }
            (first, _) => {
                let class = self.class_of(first).title();
                Err(self.raise("TypeError", format!("can't iterate from {class}")))
            }
        }
    }

    /// What `succ` leads to: addresses and the like.
    fn object_range(&mut self, range: &Range) -> Eval<Vec<Value>> {
        let mut items = Vec::new();
        let mut item = range.first.clone();
        loop {
            let order = self.order(&item, &range.last)?;
            if order.is_gt() || (order.is_eq() && range.exclusive) {
                return Ok(items);
            }
            items.push(item.clone());
            if order.is_eq() {
                return Ok(items);
            }
            self.room_for(items.len() / 64)?;
            item = self.send(&item, "succ", Vec::new())?;
        }
    }

    fn endless(&mut self) -> crate::error::Error {
        self.raise("RangeError", "cannot convert endless range to an array")
    }

    fn text_range(&mut self, first: &str, last: &str, exclusive: bool) -> Eval<Vec<Value>> {
        let mut items = Vec::new();
        let mut text = first.to_owned();
        loop {
            let is_last = text == last;
            if text.len() > last.len() || (is_last && exclusive) {
                break;
            }
            items.push(Value::text(text.clone()));
            if is_last {
                break;
            }
            self.step(1)?;
            self.allocate(64)?;
            text = super::string_find::successor(&text);
        }
        Ok(items)
    }

    /// `a == b`
    pub(crate) fn equal(&mut self, a: &Value, b: &Value) -> Eval<bool> {
        self.same(a, b, &mut Walk::new())
    }

    fn same(&mut self, a: &Value, b: &Value, walk: &mut Walk) -> Eval<bool> {
        match (a, b) {
            (Value::Int(a), Value::Float(b)) => return Ok(*a as f64 == *b),
            (Value::Float(a), Value::Int(b)) => return Ok(*a == *b as f64),
            (Value::Float(a), Value::Float(b)) => return Ok(a == b),
            _ if a.is_same(b) => return Ok(true),
            _ => {}
        }
        self.step(1)?;
        if !walk.enter() {
            return Ok(false);
        }
        let same = match (a, b) {
            (Value::Str(a), Value::Str(b)) => *a.text.borrow() == *b.text.borrow(),
            (Value::Array(a), Value::Array(b)) => {
                let (a, b) = (a.items.borrow().clone(), b.items.borrow().clone());
                a.len() == b.len() && self.all_same(a.iter().zip(&b), walk)?
            }
            (Value::Hash(one), Value::Hash(other)) => {
                let entries = one.entries();
                let pairs: Option<Vec<(Value, Value)>> = entries
                    .into_iter()
                    .map(|(key, value)| Some((value, other.get(&key)?)))
                    .collect();
                let counts = one.map.borrow().len() == other.map.borrow().len();
                match pairs.filter(|_| counts) {
                    Some(pairs) => self.all_same(pairs.iter().map(|(a, b)| (a, b)), walk)?,
                    None => false,
                }
            }
            (Value::Range(a), Value::Range(b)) => {
                let ends = [(&a.first, &b.first), (&a.last, &b.last)];
                a.exclusive == b.exclusive && self.all_same(ends.into_iter(), walk)?
            }
            (Value::Regex(a), Value::Regex(b)) => a.source == b.source && a.options == b.options,
            (Value::Object(_), _) => self.send(a, "==", vec![b.clone()])?.is_truthy(),
            _ => false,
        };
        walk.leave();
        Ok(same)
    }

    fn all_same<'v>(
        &mut self,
        pairs: impl Iterator<Item = (&'v Value, &'v Value)>,
        walk: &mut Walk,
    ) -> Eval<bool> {
        for (a, b) in pairs {
            if !self.same(a, b, walk)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `a <=> b`; `None` if they cannot be compared.
    pub(crate) fn compare(&mut self, a: &Value, b: &Value) -> Eval<Option<Ordering>> {
        self.step(1)?;
        Ok(match (a, b) {
            (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
            (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b),
            (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
            (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
            (Value::Str(a), Value::Str(b)) => Some(a.text.borrow().cmp(&b.text.borrow())),
            (Value::Symbol(a), Value::Symbol(b)) => Some(a.cmp(b)),
            (Value::Array(one), Value::Array(other)) => {
                let (a, b) = (one.items.borrow().clone(), other.items.borrow().clone());
                return self.deeper_order(a, b);
            }
            (Value::Object(_), _) => match self.find_method(a, "<=>") {
                Some(method) if !matches!(method.body, Body::Native(..)) => {
                    match self.send(a, "<=>", vec![b.clone()])? {
                        Value::Int(order) => Some(order.cmp(&0)),
                        _ => None,
                    }
                }
                _ => a.is_same(b).then_some(Ordering::Equal),
            },
            _ if self.equal(a, b)? => Some(Ordering::Equal),
            _ => None,
        })
    }

    fn deeper_order(&mut self, a: Vec<Value>, b: Vec<Value>) -> Eval<Option<Ordering>> {
        self.levels += 50;
        let result = self.order_of_lists(&a, &b);
        self.levels -= 50;
        result
    }

    fn order_of_lists(&mut self, a: &[Value], b: &[Value]) -> Eval<Option<Ordering>> {
        if self.levels > 6000 {
            return Ok(None);
        }
        for (a, b) in a.iter().zip(b) {
            match self.compare(a, b)? {
                Some(Ordering::Equal) => {}
                other => return Ok(other),
            }
        }
        Ok(Some(a.len().cmp(&b.len())))
    }

    /// `a <=> b`, which must be possible.
    pub(crate) fn order(&mut self, a: &Value, b: &Value) -> Eval<Ordering> {
        match self.compare(a, b)? {
            Some(order) => Ok(order),
            None => {
                let class = self.class_of(a).title();
                let other = match b {
                    Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                        super::inspect::plain(b)
                    }
                    _ => self.class_of(b).title(),
                };
                let message = format!("comparison of {class} with {other} failed");
                Err(self.raise("ArgumentError", message))
            }
        }
    }

    /// Sorts by a comparison that may fail.
    pub(crate) fn sort(
        &mut self,
        items: Vec<Value>,
        order: &mut dyn FnMut(&mut Self, &Value, &Value) -> Eval<Ordering>,
    ) -> Eval<Vec<Value>> {
        // Merging, because a comparison of a file's own need not be an order.
        let mut runs: Vec<Vec<Value>> = items.into_iter().map(|item| vec![item]).collect();
        while runs.len() > 1 {
            let mut merged = Vec::with_capacity(runs.len().div_ceil(2));
            let mut left = runs.into_iter();
            while let Some(first) = left.next() {
                merged.push(match left.next() {
                    Some(second) => self.merge(first, second, order)?,
                    None => first,
                });
            }
            runs = merged;
        }
        Ok(runs.pop().unwrap_or_default())
    }

    fn merge(
        &mut self,
        a: Vec<Value>,
        b: Vec<Value>,
        order: &mut dyn FnMut(&mut Self, &Value, &Value) -> Eval<Ordering>,
    ) -> Eval<Vec<Value>> {
        let mut merged = Vec::with_capacity(a.len() + b.len());
        let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().peekable());
        while let (Some(left), Some(right)) = (a.peek(), b.peek()) {
            let next = match order(self, left, right)? {
                Ordering::Greater => b.next(),
                _ => a.next(),
            };
            merged.extend(next);
        }
        merged.extend(a);
        merged.extend(b);
        Ok(merged)
    }
}
