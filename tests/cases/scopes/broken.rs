use std::fmt;

struct Point {
    x: i32,
}

impl Point {
    /// Adds.
    fn add(&self, by: i32) -> i32 {
        self.x + (by
    }

    fn twice(&self) -> i32 {
        let y = ;
        self.x * 2
    }
}

fn after(a: i32) -> i32 {
    match a {
        1 => 2,
    a
}
