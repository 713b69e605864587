//! Crate docs.
use std::fmt;

/// A point.
#[derive(Debug)]
pub struct Point<T> {
    x: T,
}

impl<T> Point<T> {
    /// Makes one.
    pub fn new(x: T) -> Self { Point { x } }
}
pub trait Shape { fn area(&self) -> f64; }
enum Kind { A }
mod inner { pub fn helper() {} }
macro_rules! twice { ($x:expr) => { $x * 2 } }
type Alias = Point<i32>;

fn every(mut a: i32, (b, c): (i32, i32), &d: &i32, _: u8) {}
