//! What must hold of the repository itself: the direction of dependencies, and examples that agree
//! with the code.

mod architecture;
mod compose;
mod source;
